/* SPDX-License-Identifier: MIT */
/*
 * kernels/cpu/matmul_integer.c - packed bytes stream by, tiles of rows stay in registers
 *
 * sum (a - za) (b - zb) = sum a b - za sum b - zb (sum a - k za): tiles multiply the bytes as they are,
 * and the zero points are taken off the finished sums. Operands that are no weights are packed block
 * by block on the stack; the formula holds for each block of k by itself.
 *
 * Compiled once more than the other files, for processors with AVX-512 VNNI.
 */
#include "kernels/matmul_integer.h"

#include <stddef.h>
#include <string.h>

#include "kernels/cpu/quad.h"

#define ROWS_MAX (QUAD_SUMS >= 12 ? 6 : 2)
#define PANELS_MAX (QUAD_SUMS >= 24 ? 6 : QUAD_SUMS >= 12 ? 4 : 2)
#define BLOCK_ROWS 192 /* the sums of rows that wait at a time */
#define BLOCK_K 512
#define BLOCK_PANELS 4
#define PANEL_ROW_BYTES (QUAD_COLUMNS * MATMUL_INTEGER_QUAD)

struct tile {
	const uint8_t *a; /* row r at a + r * a_row */
	const uint8_t (*a_tails)[MATMUL_INTEGER_QUAD]; /* of each row, where k is no multiple of 4 */
	const uint8_t *packed; /* panel p at packed + p * panel_bytes */
	int32_t *y; /* row r at y + r * y_row */
	int64_t a_row;
	int64_t panel_bytes;
	int64_t y_row;
	int64_t k;
	int64_t columns;
	const uint32_t *a_zeros; /* of each row */
	const uint32_t *a_sums; /* less k * a_zero */
	const uint32_t *b_zeros; /* of each column of whole panels */
	bool has_b_zeros;
	bool resume; /* y holds what other blocks of k gave */
};

/* The sums of one row and panel, whose zero points are taken off. */
ALWAYS_INLINE void tile_values(const struct tile *tile, const struct quad_sums *sums, int row,
			       int panel, uint32_t values[QUAD_COLUMNS])
{
	const uint32_t *b_zeros = tile->b_zeros + panel * QUAD_COLUMNS;
	uint32_t b_sums[QUAD_COLUMNS];

	memcpy(b_sums, tile->packed + (panel + 1) * tile->panel_bytes - sizeof(b_sums),
	       sizeof(b_sums));
	quad_fold(sums, values);
	for (int column = 0; column < QUAD_COLUMNS; column++)
		values[column] -= tile->a_zeros[row] * b_sums[column];
	if (tile->has_b_zeros)
		for (int column = 0; column < QUAD_COLUMNS; column++)
			values[column] -= tile->a_sums[row] * b_zeros[column];
}

/* The panels from `first` on: one that is cut, or all, which add to what is there. */
static __attribute__((noinline)) void tile_add(const struct tile *tile,
					       const struct quad_sums *sums, int rows, int panels,
					       int first)
{
	uint32_t values[QUAD_COLUMNS];

	for (int row = 0; row < rows; row++)
		for (int panel = first; panel < panels; panel++) {
			const int64_t place = (int64_t)panel * QUAD_COLUMNS;
			const int64_t left = tile->columns - place;
			const int64_t columns = left < QUAD_COLUMNS ? left : QUAD_COLUMNS;
			int32_t *y = tile->y + row * tile->y_row + place;

			tile_values(tile, &sums[row * panels + panel], row, panel, values);
			for (int64_t column = 0; tile->resume && column < columns; column++)
				values[column] += (uint32_t)y[column];
			if (columns == QUAD_COLUMNS)
				memcpy(y, values, sizeof(values));
			else
				memcpy(y, values, (size_t)columns * sizeof(*y));
		}
}

ALWAYS_INLINE struct quad_weights tile_weights(const struct tile *tile, int64_t k, int panel,
					       const bool is_signed)
{
	return quad_load(tile->packed + panel * tile->panel_bytes +
				 k / MATMUL_INTEGER_QUAD * PANEL_ROW_BYTES,
			 !is_signed);
}

/* Four of k, of rows at a, a + a_row, ... */
ALWAYS_INLINE void tile_step(const struct tile *tile, struct quad_sums *sums, int64_t k,
			     const uint8_t *a, int64_t a_row, const int rows, const int panels,
			     const bool is_signed)
{
	struct quad_weights weights[PANELS_MAX];

	UNROLL
	for (int panel = 0; panel < panels; panel++)
		weights[panel] = tile_weights(tile, k, panel, is_signed);
	UNROLL
	for (int row = 0; row < rows; row++) {
		uint32_t four;
		quad_vec value;

		memcpy(&four, a + row * a_row, sizeof(four));
		value = quad_splat(four, is_signed);
		UNROLL
		for (int panel = 0; panel < panels; panel++)
			quad_add(&sums[row * panels + panel], weights[panel], value, !is_signed);
	}
}

/* Panels [first, end), which are whole and have one block of k. */
ALWAYS_INLINE void tile_store(const struct tile *tile, const struct quad_sums *sums, const int rows,
			      const int panels, const int first, const int end)
{
	UNROLL
	for (int sum = 0; sum < rows * panels; sum++) {
		const int row = sum / panels, panel = sum % panels;
		uint32_t values[QUAD_COLUMNS];

		if (panel < first || panel >= end)
			continue;
		tile_values(tile, &sums[sum], row, panel, values);
		memcpy(tile->y + row * tile->y_row + panel * QUAD_COLUMNS, values, sizeof(values));
	}
}

ALWAYS_INLINE void tile_run(const struct tile *tile, const int rows, const int panels,
			    const bool is_signed)
{
	const struct tile here = *tile;
	const int whole = here.resume ? 0 : (int)(here.columns / QUAD_COLUMNS);
	struct quad_sums sums[QUAD_SUMS], finished[QUAD_SUMS];
	int64_t end = here.k / MATMUL_INTEGER_QUAD * MATMUL_INTEGER_QUAD;
	const uint8_t *a = here.a;
	int64_t a_row = here.a_row;
	int64_t k = 0;

	UNROLL
	for (int sum = 0; sum < rows * panels; sum++)
		sums[sum] = (struct quad_sums){ 0 };
	do {
		for (; k < end; k += MATMUL_INTEGER_QUAD, a += MATMUL_INTEGER_QUAD)
			tile_step(&here, sums, k, a, a_row, rows, panels, is_signed);
		end = here.k;
		a = here.a_tails[0];
		a_row = MATMUL_INTEGER_QUAD;
	} while (k < end);
	if (!here.resume)
		tile_store(&here, sums, rows, panels, 0, panels - 1);
	if (whole == panels) {
		tile_store(&here, sums, rows, panels, panels - 1, panels);
		return;
	}
	/* Copies, as sums whose address leaves this function would not stay in registers. */
	UNROLL
	for (int sum = 0; sum < rows * panels; sum++)
		finished[sum] = sums[sum];
	tile_add(tile, finished, rows, panels, whole);
}

#define FITS(rows, panels) ((rows) * (panels) <= QUAD_SUMS && (panels) <= PANELS_MAX)

#define TILE(rows, panels, sign, is_signed)                                \
	static void tile_##sign##_##rows##_##panels(const struct tile *tile) \
	{                                                                  \
		if (FITS(rows, panels))                                    \
			tile_run(tile, rows, panels, is_signed);           \
	}

#define TILES(rows, sign, is_signed)                                       \
	TILE(rows, 1, sign, is_signed) TILE(rows, 2, sign, is_signed)      \
	TILE(rows, 3, sign, is_signed) TILE(rows, 4, sign, is_signed)      \
	TILE(rows, 5, sign, is_signed) TILE(rows, 6, sign, is_signed)

#define ENTRY(rows, panels, sign) (FITS(rows, panels) ? tile_##sign##_##rows##_##panels : NULL)

#define ENTRIES(rows, sign)                                                \
	{ ENTRY(rows, 1, sign), ENTRY(rows, 2, sign), ENTRY(rows, 3, sign), \
	  ENTRY(rows, 4, sign), ENTRY(rows, 5, sign), ENTRY(rows, 6, sign) }

TILES(1, u8, false)
TILES(2, u8, false)
TILES(1, i8, true)
TILES(2, i8, true)
#if QUAD_SUMS >= 12
TILES(3, u8, false)
TILES(4, u8, false)
TILES(5, u8, false)
TILES(6, u8, false)
TILES(3, i8, true)
TILES(4, i8, true)
TILES(5, i8, true)
TILES(6, i8, true)
#define ALL_ENTRIES(sign)                                                  \
	{ ENTRIES(1, sign), ENTRIES(2, sign), ENTRIES(3, sign),            \
	  ENTRIES(4, sign), ENTRIES(5, sign), ENTRIES(6, sign) }
#else
#define ALL_ENTRIES(sign) { ENTRIES(1, sign), ENTRIES(2, sign) }
#endif

typedef void (*tile_function)(const struct tile *tile);

/* [a is signed][rows - 1][panels - 1] */
static const tile_function tiles[2][ROWS_MAX][6] = { ALL_ENTRIES(u8), ALL_ENTRIES(i8) };

/* Equal parts of at most `most`: the size of the next one. */
ALWAYS_INLINE int64_t next_part(int64_t left, int64_t most)
{
	int64_t parts = (left + most - 1) / most;

	return left <= most ? left : (left + parts - 1) / parts;
}

ALWAYS_INLINE uint32_t number_at(const void *bytes, int64_t index, bool is_signed)
{
	return is_signed ? (uint32_t)((const int8_t *)bytes)[index] :
			   (uint32_t)((const uint8_t *)bytes)[index];
}

/* One of the batches. */
struct matrix {
	const struct matmul_integer_args *args;
	const uint8_t *a, *b;
	const void *a_zero, *b_zero;
	int32_t *y;
	bool has_b_zeros; /* after packing */
};

static uint32_t zero_of(const void *zeros, int64_t index, int64_t step, bool is_signed)
{
	return zeros != NULL ? number_at(zeros, index * step, is_signed) : 0;
}

static uint32_t b_zero_of(const struct matrix *matrix, int64_t column)
{
	const struct matmul_integer_args *args = matrix->args;

	return zero_of(matrix->b_zero, column, args->b_zero_step, args->b_signed) +
	       (uint32_t)matmul_integer_shift(args->a_signed, args->b_signed);
}

/* What tiles need of `rows` rows, `k` numbers each. */
struct row_terms {
	uint32_t zeros[BLOCK_ROWS];
	uint32_t sums[BLOCK_ROWS]; /* less k times the zero */
	uint8_t tails[BLOCK_ROWS][MATMUL_INTEGER_QUAD];
};

static void rows_sum(const struct matrix *matrix, int64_t first, int64_t rows, int64_t k_first,
		     int64_t k, struct row_terms *terms)
{
	const struct matmul_integer_args *args = matrix->args;
	const int64_t whole = k / MATMUL_INTEGER_QUAD * MATMUL_INTEGER_QUAD;

	for (int64_t row = 0; row < rows; row++) {
		const uint8_t *a = matrix->a + (first + row) * args->k + k_first;
		uint32_t sum = 0;

		terms->zeros[row] = zero_of(matrix->a_zero, first + row, args->a_zero_step,
					    args->a_signed);
		for (int64_t index = 0; matrix->has_b_zeros && index < k; index++)
			sum += a[index];
		/* Bytes of a signed operand count 256 too many where their highest bit is set. */
		for (int64_t index = 0; matrix->has_b_zeros && args->a_signed && index < k; index++)
			sum -= (uint32_t)(a[index] & 0x80) << 1;
		terms->sums[row] = sum - (uint32_t)k * terms->zeros[row];
		for (int64_t index = 0; index < MATMUL_INTEGER_QUAD; index++)
			terms->tails[row][index] = whole + index < k ? a[whole + index] : 0;
	}
}

/* What a block multiplies: rows [row, row + rows), k [k, k + ks), columns [column, column_end). */
struct block {
	int64_t row, rows;
	int64_t k, ks;
	int64_t column, column_end;
	const uint8_t *packed; /* the panel of the first column, from row k on */
};

/* As many panels as fit; returns how many columns that were. */
static int64_t block_compute(const struct matrix *matrix, const struct block *block,
			     const struct row_terms *terms)
{
	const struct matmul_integer_args *args = matrix->args;
	const int64_t left = block->column_end - block->column;
	int64_t rows = next_part(block->rows, ROWS_MAX);
	int64_t most = QUAD_SUMS / rows < PANELS_MAX ? QUAD_SUMS / rows : PANELS_MAX;
	int64_t panels;
	uint32_t b_zeros[PANELS_MAX * QUAD_COLUMNS];
	struct tile tile = {
		.packed = block->packed,
		.a_row = args->k,
		.panel_bytes = (int64_t)matmul_integer_panel_bytes(block->ks),
		.y_row = args->n,
		.k = block->ks,
		.b_zeros = b_zeros,
		.has_b_zeros = matrix->has_b_zeros,
		.resume = block->k > 0,
	};

	panels = next_part((left + QUAD_COLUMNS - 1) / QUAD_COLUMNS, most);
	tile.columns = panels * QUAD_COLUMNS < left ? panels * QUAD_COLUMNS : left;
	for (int64_t column = 0; matrix->has_b_zeros && column < panels * QUAD_COLUMNS; column++)
		b_zeros[column] = column < tile.columns ? b_zero_of(matrix, block->column + column) : 0;
	for (int64_t row = 0; row < block->rows; row += rows) {
		rows = next_part(block->rows - row, ROWS_MAX);
		tile.a = matrix->a + (block->row + row) * args->k + block->k;
		tile.y = matrix->y + (block->row + row) * args->n + block->column;
		tile.a_zeros = terms->zeros + row;
		tile.a_sums = terms->sums + row;
		tile.a_tails = terms->tails + row;
		tiles[args->a_signed][rows - 1][panels - 1](&tile);
	}
	return tile.columns;
}

static void matrix_packed(const struct matrix *matrix)
{
	const struct matmul_integer_args *args = matrix->args;
	const int64_t panel_bytes = (int64_t)matmul_integer_panel_bytes(args->k);
	struct block block = { .ks = args->k, .column_end = args->n };
	struct row_terms terms;

	for (; block.row < args->m; block.row += block.rows) {
		block.rows = next_part(args->m - block.row, BLOCK_ROWS);
		rows_sum(matrix, block.row, block.rows, 0, args->k, &terms);
		for (block.column = 0; block.column < args->n;) {
			block.packed = matrix->b + block.column / QUAD_COLUMNS * panel_bytes;
			block.column += block_compute(matrix, &block, &terms);
		}
	}
}

static void matrix_plain(const struct matrix *matrix)
{
	const struct matmul_integer_args *args = matrix->args;
	uint8_t packed[BLOCK_PANELS * (BLOCK_K * QUAD_COLUMNS + QUAD_COLUMNS * sizeof(int32_t))]
		__attribute__((aligned(64)));
	struct block block = { .packed = packed };
	struct row_terms terms;
	int64_t columns = 0;

	for (; block.column < args->n; block.column += columns) {
		int64_t left = args->n - block.column;

		columns = left < BLOCK_PANELS * QUAD_COLUMNS ? left : BLOCK_PANELS * QUAD_COLUMNS;
		block.column_end = block.column + columns;
		/* At least one block: a sum over no k is 0, and has to be written. */
		for (block.k = 0; block.k == 0 || block.k < args->k; block.k += BLOCK_K) {
			block.ks = args->k - block.k < BLOCK_K ? args->k - block.k : BLOCK_K;
			matmul_integer_pack(packed, matrix->b + block.k * args->n + block.column,
					    block.ks, columns, args->n, args->a_signed,
					    args->b_signed);
			for (block.row = 0; block.row < args->m; block.row += block.rows) {
				struct block part = block;

				block.rows = next_part(args->m - block.row, BLOCK_ROWS);
				part.row = block.row;
				part.rows = block.rows;
				rows_sum(matrix, part.row, part.rows, part.k, part.ks, &terms);
				while (part.column < part.column_end) {
					int64_t done = block_compute(matrix, &part, &terms);

					part.column += done;
					part.packed += done / QUAD_COLUMNS *
						       (int64_t)matmul_integer_panel_bytes(part.ks);
				}
			}
		}
	}
}

static void matrix_compute(struct matrix *matrix)
{
	const struct matmul_integer_args *args = matrix->args;
	const int64_t zeros = matrix->b_zero && args->b_zero_step ? args->n : 1;

	matrix->has_b_zeros = false;
	for (int64_t column = 0; column < zeros && !matrix->has_b_zeros; column++)
		matrix->has_b_zeros = b_zero_of(matrix, column) != 0;
	if (args->is_packed)
		matrix_packed(matrix);
	else
		matrix_plain(matrix);
}

static const void *moved(const void *bytes, int64_t count)
{
	return bytes != NULL ? (const uint8_t *)bytes + count : NULL;
}

static int64_t batch_at(const int64_t strides[MATMUL_BATCH_RANK], int64_t outer, int64_t middle,
			int64_t inner)
{
	return outer * strides[0] + middle * strides[1] + inner * strides[2];
}

void CPU(matmul_integer)(const void *erased)
{
	const struct matmul_integer_args *args = erased;
	struct matrix matrix = { .args = args, .y = args->y };

	for (int64_t outer = 0; outer < args->batch[0]; outer++)
		for (int64_t middle = 0; middle < args->batch[1]; middle++)
			for (int64_t inner = 0; inner < args->batch[2]; inner++) {
				matrix.a = moved(args->a, batch_at(args->a_batch, outer, middle,
								   inner));
				matrix.b = moved(args->b, batch_at(args->b_batch, outer, middle,
								   inner));
				matrix.a_zero = moved(args->a_zero, batch_at(args->a_zero_batch,
									     outer, middle, inner));
				matrix.b_zero = moved(args->b_zero, batch_at(args->b_zero_batch,
									     outer, middle, inner));
				matrix_compute(&matrix);
				matrix.y += args->m * args->n;
			}
}
