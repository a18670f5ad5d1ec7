/* SPDX-License-Identifier: MIT */
/*
 * tests/system/test_models.c - models through the daemon: right, the same bits always, errors that name their row
 */
#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "appliance.h"
#include "crowd.h"
#include "ledger.h"
#include "shoppers.h"
#include "tests/model/onnx_writer.h"

#define TIMEOUT_S 110

static const uint32_t batches[] = { 1, 7, 64, 2500 };

static struct hearth *connect_to(const struct appliance *appliance)
{
	struct hearth *hearth = NULL;
	int r;

	r = hearth_open(appliance->socket, NULL, &hearth);
	must(r == 0, "hearth_open: %s", hearth_strerror(r));
	return hearth;
}

static const struct hearth_model_info *model_of(struct hearth *hearth, const char *name)
{
	const struct hearth_model_info *model = NULL;
	int r;

	r = hearth_model(hearth, name, 0, &model);
	must(r == 0, "hearth_model: %s", hearth_strerror(r));
	return model;
}

static const struct hearth_completion *take(struct hearth *hearth)
{
	const struct hearth_completion *completion = NULL;
	int r;

	r = hearth_wait(hearth, CROWD_PATIENCE_NS, &completion);
	must(r == 0, "hearth_wait: %s", hearth_strerror(r));
	return completion;
}

/* --- shoppers ---------------------------------------------------------------------------------------- */

/* Scores all rows in batches of `rows`, and compares them bit by bit with `bits` (filled when
 * `is_first`). */
static void score_all(struct hearth *hearth, const struct hearth_model_info *model,
		      uint32_t version, uint32_t rows, bool is_first, float bits[SHOPPERS_ROWS])
{
	uint32_t row;

	for (row = 0; row < SHOPPERS_ROWS; row += rows) {
		uint32_t count = row + rows > SHOPPERS_ROWS ? SHOPPERS_ROWS - row : rows;
		const struct hearth_completion *completion;
		struct hearth_request *request = NULL;
		int r;

		r = hearth_acquire(hearth, model, count, &request);
		must(r == 0, "acquire: %s", hearth_strerror(r));
		request->version = version;
		shoppers_fill(request, model, row, count);
		r = hearth_submit(hearth, request);
		must(r == 0, "submit: %s", hearth_strerror(r));
		completion = take(hearth);
		must(completion->version == version && completion->numerics == model->numerics,
		     "version %u, numerics %u", completion->version, completion->numerics);
		shoppers_check(completion, row, count);
		if (is_first)
			memcpy(bits + row, completion->outputs[0].data, count * sizeof(float));
		must(memcmp(bits + row, completion->outputs[0].data, count * sizeof(float)) == 0,
		     "rows %u+%u of version %u have other bits in a batch of %u", row, count,
		     version, rows);
		r = hearth_release(hearth, completion->id);
		must(r == 0, "release: %s", hearth_strerror(r));
	}
}

struct scorer {
	const struct appliance *appliance;
	float *bits; /* shared, of both versions */
};

static void score_beside_others(void *argument)
{
	const struct scorer *scorer = argument;
	struct hearth *hearth = connect_to(scorer->appliance);
	const struct hearth_model_info *model = model_of(hearth, "shoppers");
	uint32_t version;
	uint32_t index;

	for (version = 1; version <= 2; version++)
		for (index = 0; index < sizeof(batches) / sizeof(batches[0]); index++)
			score_all(hearth, model, version, batches[index], false,
				  scorer->bits + (version - 1) * SHOPPERS_ROWS);
	hearth_close(hearth);
}

static void check_workers(const struct appliance *appliance, json_int_t wanted)
{
	json_t *rows = appliance_rows(appliance, "status");
	cpu_set_t cpus;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
	if (wanted > CPU_COUNT(&cpus))
		wanted = CPU_COUNT(&cpus);
	ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(rows, 0), "workers")),
			 wanted);
	json_decref(rows);
}

/* _i: with a thread that computes, or with two where there are as many CPUs. */
START_TEST(both_versions_score_right_and_the_same_bits_in_any_company)
{
	enum { CLIENTS = 3 };
	const char *const flags[] = { "--load", "all", "--workers", _i ? "2" : "1", NULL };
	const struct hearth_model_info *model;
	struct appliance appliance;
	struct scorer scorer = { &appliance, crowd_share(2 * SHOPPERS_ROWS * sizeof(float)) };
	struct hearth *hearth;
	pid_t pids[CLIENTS];
	uint32_t version;
	uint32_t index;

	appliance_open(&appliance, flags);
	check_workers(&appliance, _i ? 2 : 1);
	hearth = connect_to(&appliance);
	model = model_of(hearth, "shoppers");
	ck_assert_uint_ge(model->rows_max, SHOPPERS_ROWS);
	for (version = 1; version <= 2; version++)
		for (index = 0; index < sizeof(batches) / sizeof(batches[0]); index++)
			score_all(hearth, model, version, batches[index], index == 0,
				  scorer.bits + (version - 1) * SHOPPERS_ROWS);
	hearth_close(hearth);
	for (index = 0; index < CLIENTS; index++)
		pids[index] = crowd_start(score_beside_others, &scorer);
	for (index = 0; index < CLIENTS; index++)
		crowd_finish(pids[index]);
	appliance_close(&appliance);
}
END_TEST

static const char *const ways[][5] = {
	{ "--bell", "auto", "--spin-us", "0", NULL },
	{ "--bell", "auto", "--spin-us", "1000", NULL },
	{ "--bell", "socket", "--spin-us", "0", NULL },
	{ "--bell", "socket", "--spin-us", "1000", NULL },
	{ "--wait", "poll", "--spin-us", "0", NULL },
	{ "--wait", "poll", "--spin-us", "1000", NULL },
};
#define WAYS (sizeof(ways) / sizeof(ways[0]))

/* _i / 3: how the daemon sleeps; _i % 3: how the client does. */
START_TEST(every_way_to_sleep_wakes_on_both_sides)
{
	struct ledger_plan plan = {
		.slots = 4,
		.depth = 1 + (uint32_t)_i % 2,
		.requests = 2000 / CROWD_SLOWDOWN,
		.kinds = LEDGER_ALL,
		.way = (enum ledger_way)(_i % 3),
		.seed = (uint64_t)_i,
	};
	struct appliance appliance;

	appliance_open(&appliance, ways[_i / 3]);
	plan.socket = appliance.socket;
	ledger_run(&plan);
	appliance_close(&appliance);
}
END_TEST

/* Who rings without work 256 times is only polled from then on; whoever rings for each of its
 * requests must be able to do so for ever. */
START_TEST(a_client_that_always_has_to_ring_is_not_taken_for_a_rude_one)
{
	enum { TURNS = 600 };
	const struct hearth_info *info;
	struct appliance appliance;
	struct hearth *hearth;
	uint32_t turn;

	appliance_open(&appliance, ways[_i]);
	hearth = connect_to(&appliance);
	ck_assert_int_eq(hearth_about(hearth, &info), 0);
	if (_i >= 2)
		ck_assert(info->features & HEARTH_FEATURE_SOCKET_BELL);
	for (turn = 0; turn < TURNS; turn++) {
		struct hearth_request *request = NULL;
		int r;

		await(hearth_load_relaxed(&hearth->daemon->need_wakeup));
		r = hearth_acquire_ping(hearth, &request);
		must(r == 0, "acquire: %s", hearth_strerror(r));
		r = hearth_submit(hearth, request);
		must(r == 0, "submit: %s", hearth_strerror(r));
		r = hearth_release(hearth, take(hearth)->id);
		must(r == 0, "release: %s", hearth_strerror(r));
	}
	ck_assert_uint_ge(appliance_number(&appliance, "rings_total"), TURNS / 2);
	hearth_close(hearth);
	appliance_close(&appliance);
}
END_TEST

/* --- models made here --------------------------------------------------------------------------------- */

#define TABLE_ROWS 10
#define TABLE_COLUMNS 4

static float cell(int64_t row, uint32_t column)
{
	return (float)(100 * row + column);
}

/* Two tables of 10 rows, each with its ids: y = one[i], z = two[j]. */
static void save_lookup(const struct appliance *appliance)
{
	struct onnx_writer *writer = onnx_writer_new(17);
	float table[TABLE_ROWS][TABLE_COLUMNS];
	uint32_t column;
	uint32_t row;

	for (row = 0; row < TABLE_ROWS; row++)
		for (column = 0; column < TABLE_COLUMNS; column++)
			table[row][column] = cell(row, column);
	onnx_writer_input(writer, "i", DTYPE_I64, "batch");
	onnx_writer_input(writer, "j", DTYPE_I64, "batch");
	onnx_writer_tensor(writer, "one", DTYPE_F32, "10,4", table, sizeof(table));
	onnx_writer_tensor(writer, "two", DTYPE_F32, "10,4", table, sizeof(table));
	onnx_writer_node(writer, "Gather", "one,i", "y");
	onnx_writer_node(writer, "Gather", "two,j", "z");
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,4");
	onnx_writer_output(writer, "z", DTYPE_F32, "batch,4");
	appliance_save(appliance, "lookup", writer);
}

static uint64_t lookup_submit(struct hearth *hearth, const struct hearth_model_info *model,
			      const int64_t i[], const int64_t j[], uint32_t rows)
{
	struct hearth_request *request = NULL;
	uint64_t id;
	int r;

	r = hearth_acquire(hearth, model, rows, &request);
	must(r == 0, "acquire: %s", hearth_strerror(r));
	id = request->id;
	memcpy(request->inputs[0].data, i, rows * sizeof(*i));
	memcpy(request->inputs[1].data, j, rows * sizeof(*j));
	r = hearth_submit(hearth, request);
	must(r == 0, "submit: %s", hearth_strerror(r));
	return id;
}

/* Expected: the row of the table, or -1: zeros. */
static void lookup_check(const struct hearth_completion *completion, uint32_t output,
			 const int64_t rows_wanted[], uint32_t rows)
{
	const float *values = completion->outputs[output].data;
	uint32_t column;
	uint32_t row;

	must(completion->status == 0 && completion->output_count == 2, "status %d, %u outputs",
	     completion->status, completion->output_count);
	must(completion->outputs[output].dims[0] == rows, "%u rows",
	     completion->outputs[output].dims[0]);
	for (row = 0; row < rows; row++)
		for (column = 0; column < TABLE_COLUMNS; column++) {
			float wanted = rows_wanted[row] < 0 ? 0 : cell(rows_wanted[row], column);

			must(values[row * TABLE_COLUMNS + column] == wanted,
			     "output %u, row %u: %g, expected %g", output, row,
			     (double)values[row * TABLE_COLUMNS + column], (double)wanted);
		}
}

START_TEST(a_model_of_two_outputs_gives_both)
{
	const int64_t i[] = { 0, 9, 4 };
	const int64_t j[] = { 7, 7, 0 };
	const struct hearth_completion *completion;
	const struct hearth_model_info *model;
	struct appliance appliance;
	struct hearth *hearth;

	appliance_init(&appliance);
	save_lookup(&appliance);
	appliance_start(&appliance, NULL);
	hearth = connect_to(&appliance);
	model = model_of(hearth, "lookup");
	ck_assert_uint_eq(model->output_count, 2);
	ck_assert_str_eq(model->outputs[0].name, "y");
	ck_assert_str_eq(model->outputs[1].name, "z");
	lookup_submit(hearth, model, i, j, 3);
	completion = take(hearth);
	lookup_check(completion, 0, i, 3);
	lookup_check(completion, 1, j, 3);
	hearth_close(hearth);
	appliance_close(&appliance);
}
END_TEST

START_TEST(a_bad_id_names_its_input_and_row_and_spoils_no_other_request_of_the_batch)
{
	enum { REQUESTS = 8, BAD = 3, ROWS = 5, BAD_ROW = 2, TURNS = 50 };
	static const int64_t bad_ids[] = { TABLE_ROWS, -TABLE_ROWS - 1, INT64_MAX, INT64_MIN,
					   INT64_C(1) << 32 };
	const struct hearth_model_info *model;
	struct appliance appliance;
	struct hearth *hearth;
	uint64_t batches_before;
	uint32_t turn;

	appliance_init(&appliance);
	save_lookup(&appliance);
	appliance_start(&appliance, NULL);
	hearth = connect_to(&appliance);
	model = model_of(hearth, "lookup");
	batches_before = appliance_number(&appliance, "batches_total");
	for (turn = 0; turn < TURNS; turn++) {
		uint32_t bad_input = turn % 2;
		int64_t ids[2][REQUESTS][ROWS];
		uint64_t numbers[REQUESTS];
		uint32_t request;
		uint32_t row;

		for (request = 0; request < REQUESTS; request++)
			for (row = 0; row < ROWS; row++) {
				ids[0][request][row] = (request + row) % TABLE_ROWS;
				ids[1][request][row] = (request * row) % TABLE_ROWS;
			}
		ids[bad_input][BAD][BAD_ROW] = bad_ids[turn % 5];
		/* It finds all of them at once when it goes on. */
		appliance_suspend(&appliance);
		for (request = 0; request < REQUESTS; request++)
			numbers[request] = lookup_submit(hearth, model, ids[0][request],
							 ids[1][request], ROWS);
		appliance_resume(&appliance);
		for (request = 0; request < REQUESTS; request++) {
			const struct hearth_completion *completion = take(hearth);
			char sentence[128];

			must(completion->id == numbers[request], "out of order");
			if (request != BAD) {
				lookup_check(completion, 0, ids[0][request], ROWS);
				lookup_check(completion, 1, ids[1][request], ROWS);
			} else {
				ck_assert_int_eq(completion->status, -ERANGE);
				ck_assert_uint_eq(completion->detail,
						  hearth_detail(HEARTH_DETAIL_ID, bad_input,
								BAD_ROW));
				snprintf(sentence, sizeof(sentence), "input %u '%s', row %d",
					 bad_input, bad_input ? "j" : "i", BAD_ROW);
				ck_assert(strstr(hearth_completion_strerror(hearth, completion),
						 sentence));
			}
			ck_assert_int_eq(hearth_release(hearth, completion->id), 0);
		}
	}
	/* They did share batches. */
	ck_assert_uint_eq(appliance_number(&appliance, "batches_total") - batches_before, TURNS);
	hearth_close(hearth);
	appliance_close(&appliance);
}
END_TEST

/* What each policy reads for these ids, in table `one`. */
static const int64_t asked[] = { 3, -1, 42, 9 };
static const struct {
	const char *missing;
	int64_t rows[4];
	uint32_t substituted;
	int error_row;
} policies[] = {
	{ "zero", { 3, -1, -1, 9 }, 2, -1 },
	{ "row 5", { 3, 5, 5, 9 }, 2, -1 },
	{ "wrap", { 0 }, 0, 2 },
	{ "error", { 0 }, 0, 1 },
};

START_TEST(the_config_file_says_what_a_table_does_with_a_missing_id)
{
	const int64_t zeros[4] = { 0 };
	const struct hearth_completion *completion;
	const struct hearth_model_info *model;
	struct appliance appliance;
	struct hearth *hearth;
	char config[256];

	appliance_init(&appliance);
	save_lookup(&appliance);
	snprintf(config, sizeof(config),
		 "rows-max = 128\n[model shoppers]\nload = none\n[table lookup/one]\nmissing = %s\n",
		 policies[_i].missing);
	appliance_write(appliance.config, config);
	appliance_start(&appliance, NULL);
	hearth = connect_to(&appliance);
	model = model_of(hearth, "lookup");
	ck_assert_uint_eq(model->rows_max, 128);
	ck_assert_int_eq(hearth_model(hearth, "shoppers", 0, &model), -ENOENT);

	lookup_submit(hearth, model, asked, zeros, 4);
	completion = take(hearth);
	ck_assert_uint_eq(completion->substituted, policies[_i].substituted);
	if (policies[_i].error_row >= 0) {
		ck_assert_int_eq(completion->status, -ERANGE);
		ck_assert_uint_eq(hearth_detail_value(completion->detail),
				  (unsigned)policies[_i].error_row);
	} else {
		lookup_check(completion, 0, policies[_i].rows, 4);
		lookup_check(completion, 1, zeros, 4);
	}
	ck_assert_int_eq(hearth_release(hearth, completion->id), 0);

	/* The other table has no policy: what is missing there is an error. */
	lookup_submit(hearth, model, zeros, asked, 4);
	completion = take(hearth);
	ck_assert_int_eq(completion->status, -ERANGE);
	ck_assert_uint_eq(hearth_detail_tensor(completion->detail), 1);
	ck_assert_uint_eq(hearth_detail_value(completion->detail), 2);
	hearth_close(hearth);
	appliance_close(&appliance);
}
END_TEST

START_TEST(a_config_file_with_a_mistake_is_refused_with_its_line)
{
	static const struct {
		const char *config;
		const char *sentence;
	} mistakes[] = {
		{ "rows-max = many\n", ":1" },
		{ "\nno-such-key = 1\n", ":2" },
		{ "[table lookup/one]\nmissing = perhaps\n", ":2" },
		{ "[model shoppers]\nload = sometimes\n", ":2" },
		{ "bell = gong\n", ":1" },
	};
	char text[APPLIANCE_TEXT_BYTES];
	struct appliance appliance;
	uint32_t index;

	for (index = 0; index < sizeof(mistakes) / sizeof(mistakes[0]); index++) {
		appliance_init(&appliance);
		appliance_write(appliance.config, mistakes[index].config);
		ck_assert_int_ne(appliance_refuse(&appliance, NULL, text), 0);
		ck_assert_msg(strstr(text, mistakes[index].sentence), "%s", text);
	}
}
END_TEST

/* --- what does not fit ---------------------------------------------------------------------------------- */

START_TEST(too_little_room_says_how_much_is_needed_and_too_many_rows_how_many_fit)
{
	const struct hearth_completion *completion;
	const struct hearth_model_info *model;
	struct hearth_request *request = NULL;
	const uint32_t rows = 100;
	struct appliance appliance;
	struct hearth *hearth;
	uint32_t needed_bytes;
	uint32_t too_many;

	appliance_open(&appliance, (const char *[]){ "--rows-max", "512", NULL });
	hearth = connect_to(&appliance);
	model = model_of(hearth, "shoppers");
	ck_assert_uint_eq(model->rows_max, 512);

	ck_assert_int_eq(hearth_acquire_sizes(hearth, model, &rows, 128, &request), 0);
	shoppers_fill(request, model, 0, rows);
	ck_assert_int_eq(hearth_submit(hearth, request), 0);
	completion = take(hearth);
	ck_assert_int_eq(completion->status, -ENOBUFS);
	needed_bytes = completion->response_bytes;
	ck_assert_uint_gt(needed_bytes, rows * sizeof(float));
	ck_assert_int_eq(hearth_release(hearth, completion->id), 0);

	ck_assert_int_eq(hearth_acquire_sizes(hearth, model, &rows, needed_bytes, &request), 0);
	shoppers_fill(request, model, 0, rows);
	ck_assert_int_eq(hearth_submit(hearth, request), 0);
	completion = take(hearth);
	shoppers_check(completion, 0, rows);
	ck_assert_int_eq(hearth_release(hearth, completion->id), 0);

	too_many = model->rows_max + 1;
	ck_assert_int_eq(hearth_acquire(hearth, model, too_many, &request), 0);
	shoppers_fill(request, model, 0, too_many);
	ck_assert_int_eq(hearth_submit(hearth, request), 0);
	completion = take(hearth);
	ck_assert_int_eq(completion->status, -EMSGSIZE);
	ck_assert_uint_eq(completion->detail, hearth_detail(HEARTH_DETAIL_ROWS, 0, 512));
	hearth_close(hearth);
	appliance_close(&appliance);
}
END_TEST

/* One request a batch may have rows_max; many together are cut into several. */
START_TEST(more_rows_than_a_batch_holds_are_spread_over_several)
{
	enum { REQUESTS = 40, ROWS = 60 };
	const struct hearth_model_info *model;
	struct hearth_request *request = NULL;
	struct appliance appliance;
	struct hearth *hearth;
	uint32_t turn;

	appliance_open(&appliance, (const char *[]){ "--rows-max", "64", NULL });
	hearth = connect_to(&appliance);
	model = model_of(hearth, "shoppers");
	for (turn = 0; turn < REQUESTS; turn++) {
		ck_assert_int_eq(hearth_acquire(hearth, model, ROWS, &request), 0);
		shoppers_fill(request, model, turn, ROWS);
		request->user_data = turn;
		ck_assert_int_eq(hearth_submit(hearth, request), 0);
	}
	for (turn = 0; turn < REQUESTS; turn++) {
		const struct hearth_completion *completion = take(hearth);

		shoppers_check(completion, (uint32_t)completion->user_data, ROWS);
		ck_assert_int_eq(hearth_release(hearth, completion->id), 0);
	}
	ck_assert_uint_eq(appliance_number(&appliance, "rows_total"), REQUESTS * ROWS);
	hearth_close(hearth);
	appliance_close(&appliance);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("models");
	TCase *shoppers = tcase_create("shoppers");
	TCase *made = tcase_create("made");
	TCase *limits = tcase_create("limits");

	tcase_set_timeout(shoppers, TIMEOUT_S);
	tcase_add_loop_test(shoppers, both_versions_score_right_and_the_same_bits_in_any_company, 0,
			    2);
	tcase_add_loop_test(shoppers, every_way_to_sleep_wakes_on_both_sides, 0, 3 * WAYS);
	tcase_add_loop_test(shoppers, a_client_that_always_has_to_ring_is_not_taken_for_a_rude_one,
			    0, WAYS);
	suite_add_tcase(suite, shoppers);

	tcase_set_timeout(made, TIMEOUT_S);
	tcase_add_test(made, a_model_of_two_outputs_gives_both);
	tcase_add_test(made,
		       a_bad_id_names_its_input_and_row_and_spoils_no_other_request_of_the_batch);
	tcase_add_loop_test(made, the_config_file_says_what_a_table_does_with_a_missing_id, 0,
			    sizeof(policies) / sizeof(policies[0]));
	tcase_add_test(made, a_config_file_with_a_mistake_is_refused_with_its_line);
	suite_add_tcase(suite, made);

	tcase_set_timeout(limits, TIMEOUT_S);
	tcase_add_test(limits,
		       too_little_room_says_how_much_is_needed_and_too_many_rows_how_many_fit);
	tcase_add_test(limits, more_rows_than_a_batch_holds_are_spread_over_several);
	suite_add_tcase(suite, limits);
	return appliance_check(suite);
}
