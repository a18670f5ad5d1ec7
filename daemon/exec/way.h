/* SPDX-License-Identifier: MIT */
/*
 * daemon/exec/way.h - the ways of a batch through its workers
 *
 * exec/spread.h says what they are; a row's bits do not depend on them.
 */
#ifndef HEARTH_EXEC_WAY_H
#define HEARTH_EXEC_WAY_H

enum way {
	WAY_AUTO,    /* what was measured at load */
	WAY_ALONE,   /* one thread, chunk after chunk */
	WAY_ROWS,    /* each chunk of rows by whoever is free */
	WAY_COLUMNS, /* one run, its large matrices split by columns */
	WAY_COUNT,
};

const char *way_name(enum way way);

#endif
