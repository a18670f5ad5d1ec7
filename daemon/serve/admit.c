/* SPDX-License-Identifier: MIT */
/*
 * daemon/serve/admit.c - step 5 of the request path: everything a request can run out of is leased
 *
 * The completion's place is there because the client had a credit; the staging
 * rows are taken here. What passes cannot fail for lack of anything.
 */
#include "serve/admit.h"

#include <errno.h>
#include <string.h>

#include "base/clamp.h"
#include "serve/batcher.h"
#include "serve/finish.h"
#include "serve/hold.h"

#define REQUEST_HEADER_BYTES_MAX 2048 /* with its table */

/* The daemon's copy of a request header and its table. */
struct admission {
	struct hearth_request_header header;
	struct hearth_tensor tensors[HEARTH_TENSORS_MAX];
	int64_t symbols[SIGNATURE_SYMBOLS_MAX];
};

struct refusal {
	int status;
	uint64_t detail;
	uint32_t bytes_needed;
};

static struct refusal refuse(int status, uint64_t detail)
{
	struct refusal refusal = { status, detail, 0 };

	return refusal;
}

static const struct refusal accepted = { 0, 0, 0 };

static bool is_reserved_zero(const struct hearth_request_header *header)
{
	uint64_t words[sizeof(header->_reserved) / sizeof(uint64_t)];

	memcpy(words, header->_reserved, sizeof(words));
	return (words[0] | words[1] | words[2] | words[3]) == 0;
}

/* Reads every byte of the client's header and table exactly once. */
static struct refusal copy_header(const struct lane *lane, const struct hearth_request_slot *slot,
				  struct admission *admission)
{
	struct refusal malformed = refuse(-EINVAL, hearth_detail(HEARTH_DETAIL_SLOT, 0, 0));
	const uint8_t *range = lane->request_area + slot->request_offset;
	struct hearth_request_header *header = &admission->header;
	uint64_t table_end;
	uint32_t mask;

	if (slot->request_bytes < sizeof(*header))
		return malformed;
	memcpy(header, range, sizeof(*header));
	if (header->header_bytes < sizeof(*header) || header->header_bytes > REQUEST_HEADER_BYTES_MAX ||
	    header->header_bytes % 4 != 0 || header->flags != 0 ||
	    header->input_count > HEARTH_TENSORS_MAX || !is_reserved_zero(header))
		return malformed;
	table_end = header->header_bytes + header->input_count * sizeof(struct hearth_tensor);
	if (table_end > slot->request_bytes || table_end > REQUEST_HEADER_BYTES_MAX)
		return malformed;
	/* Clamped as well as checked, here and below: a branch may be the processor's guess. */
	mask = (uint32_t)(clamp_mask(table_end, (uint64_t)slot->request_bytes + 1) &
			  clamp_mask(table_end, REQUEST_HEADER_BYTES_MAX + 1));
	header->header_bytes &= mask;
	header->input_count &= mask;
	memcpy(admission->tensors, range + header->header_bytes,
	       header->input_count * sizeof(struct hearth_tensor));
	return accepted;
}

static struct version *choose_version(struct data *data, const struct hearth_request_header *header)
{
	const struct data_model *model = data_model_find(data, header->model);
	uint32_t index;

	if (!model)
		return NULL;
	if (header->version == 0)
		return model->current;
	for (index = 0; index < DATA_VERSIONS_MAX; index++)
		if (model->versions[index] && model->versions[index]->number == header->version)
			return model->versions[index];
	return NULL;
}

static struct refusal mismatch(uint32_t input)
{
	return refuse(-EINVAL, hearth_detail(HEARTH_DETAIL_TENSOR, input, 0));
}

static struct refusal check_tensors(const struct version *version, uint32_t request_bytes,
				    struct admission *admission)
{
	const struct signature *signature = version->signature;
	struct signature_shape shapes[SIGNATURE_TENSORS_MAX];
	uint32_t input;

	if (admission->header.input_count != signature->input_count)
		return mismatch(admission->header.input_count < signature->input_count
					? admission->header.input_count
					: signature->input_count);
	for (input = 0; input < signature->input_count; input++) {
		struct hearth_tensor *tensor = admission->tensors + input;
		uint32_t rank = signature->inputs[input].rank; /* a number of the daemon's own */
		uint32_t mask;
		uint32_t dim;

		if (tensor->dtype != (uint32_t)signature->inputs[input].dtype ||
		    tensor->rank != rank || rank > HEARTH_RANK_MAX ||
		    tensor->offset % HEARTH_ALIGN_BYTES != 0 ||
		    (uint64_t)tensor->offset + tensor->bytes > request_bytes)
			return mismatch(input);
		mask = (uint32_t)clamp_mask((uint64_t)tensor->offset + tensor->bytes,
					    (uint64_t)request_bytes + 1);
		tensor->offset &= mask;
		tensor->bytes &= mask;
		shapes[input].rank = rank;
		for (dim = 0; dim < rank; dim++)
			shapes[input].dims[dim] = tensor->dims[dim];
	}
	if (signature_solve(signature, shapes, admission->symbols, &input) ==
	    SIGNATURE_E_MISMATCH)
		return mismatch(input);
	for (input = 0; input < signature->input_count; input++)
		if (admission->tensors[input].bytes !=
		    version_input_bytes(version, input, admission->symbols))
			return mismatch(input);
	return accepted;
}

static struct refusal check_sizes(const struct version *version, const struct request *request,
				  const struct admission *admission)
{
	int32_t row_symbol = version->signature->row_symbol;
	uint64_t needed_bytes;
	struct refusal refusal;

	if (row_symbol >= 0 && admission->symbols[row_symbol] < 1)
		return mismatch(0);
	if (!version_fits(version, admission->symbols))
		return refuse(-EMSGSIZE, hearth_detail(HEARTH_DETAIL_ROWS, 0, version->rows_max));
	needed_bytes = version_response_bytes(version, admission->symbols);
	if (needed_bytes > request->response_bytes) {
		refusal = refuse(-ENOBUFS, 0);
		refusal.bytes_needed =
			needed_bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)needed_bytes;
		return refusal;
	}
	return accepted;
}

void admit_infer(struct data *data, struct request *request,
		 const struct hearth_request_slot *slot)
{
	struct lane *lane = request->lane;
	struct admission admission;
	struct refusal refusal;
	struct version *version = NULL;

	refusal = refuse(finish_judge(request, request->arrived_ns), 0);
	if (refusal.status == 0)
		refusal = copy_header(lane, slot, &admission);
	if (refusal.status == 0) {
		version = choose_version(data, &admission.header);
		if (!version && admission.header.version == 0 &&
		    hold_takes(data, request, admission.header.model))
			return;
		if (!version)
			refusal = refuse(-ENOENT, hearth_detail(HEARTH_DETAIL_MODEL,
								admission.header.model & 0xffff,
								admission.header.version));
	}
	if (refusal.status == 0 && version->is_stale)
		refusal = refuse(-ESTALE, 0);
	if (refusal.status == 0)
		refusal = check_tensors(version, slot->request_bytes, &admission);
	if (refusal.status == 0)
		refusal = check_sizes(version, request, &admission);
	if (refusal.status != 0) {
		finish_refused(data, lane, slot, request->arrived_ns, refusal.status,
			       refusal.detail, refusal.bytes_needed);
		return;
	}
	batcher_join(data, version, request, lane->request_area + slot->request_offset,
		     admission.tensors, admission.symbols);
}
