/* SPDX-License-Identifier: MIT */ /* rank.c - scores four visitors of a shop: rank [SOCKET] */
#include <hearth.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	struct hearth *hearth = NULL;
	const struct hearth_model_info *model;
	struct hearth_request *request;
	const struct hearth_completion *answer;
	int r;

	if ((r = hearth_open(argc > 1 ? argv[1] : NULL, NULL, &hearth)) < 0 ||
	    (r = hearth_model(hearth, "shoppers", 0, &model)) < 0 ||
	    (r = hearth_acquire(hearth, model, 4, &request)) < 0)
		goto out;
	for (uint32_t input = 0; input < 3; input++) /* dense, ids, crosses */
		memset(request->inputs[input].data, 0, request->inputs[input].bytes);
	((float *)request->inputs[0].data)[2 * 10 + 8] = 1.5f; /* number 8 of visitor 2 */
	if ((r = hearth_submit(hearth, request)) < 0 ||
	    (r = hearth_wait(hearth, -1, &answer)) < 0 || (r = answer->status) < 0)
		goto out;
	for (int row = 0; row < 4; row++)
		printf("visitor %d: %.4f\n", row, ((const float *)answer->outputs[0].data)[row]);
out:
	if (r < 0)
		fprintf(stderr, "rank: %s\n", hearth_strerror(r));
	return hearth_close(hearth) < 0 || r < 0;
}
