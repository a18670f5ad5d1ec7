/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/passes/fuse.c - the passes that rewrite nodes, in their order
 *
 * They run after the proof about rows (graph/rows.c), which reads the file's own operators.
 */
#include "graph/graph.h"

typedef int (*pass_function)(struct graph *graph);

static const pass_function passes[] = {
	pass_cse,
	pass_bag,
	pass_gelu,
	pass_layernorm,
	pass_fuse_gemm,
	pass_batchnorm,
	pass_cross,
	pass_pair,
	pass_chain,
	pass_concat, /* the last: it looks at who writes and reads in the end */
};

int graph_fuse(struct graph *graph)
{
	for (size_t pass = 0; pass < sizeof(passes) / sizeof(passes[0]); pass++) {
		int r;

		r = passes[pass](graph);
		if (r < 0)
			return err_trace(r);
	}
	return 0;
}
