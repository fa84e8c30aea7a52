/* The products of gradients on panels in scratch. Compiled with f32 elements, which
 * serve bf16 mode too on machines without bf16 products (factors are rounded), and with
 * -DPAIRS in bf16. */
#include "gemm.h"
#if defined(PACK_TILES)
#include "gemm_tiles.h"
#include "tile.h"
#define GROUP TILE_STEPS /* a panel's steps, with zeros, are a multiple of it */
#define PART 64
#else
#define GROUP 1
#define PART (4 * MR) /* rows of a block between which others are asked for */
#define panel_product gemm_panel
#endif

#define BLOCK (16 * MR) /* rows of A that go together */
#define WIDE 320        /* columns that a product takes at once: whole superblocks of a weight */

typedef struct {
	ALIGNED float panel[WIDE / PANEL][STEPS * PANEL];
	ALIGNED float edge[BLOCK][PANEL]; /* C where the columns do not fill a vector */
	ALIGNED uint16_t row[STEP][WIDE + 256];
} work;

/* Columns n0 ... n1-1 of row k of B as bf16: where they lie, or unpacked to row. */
INLINE const uint16_t *bf16_row(const gemm_rows_of *b, int64_t k, int64_t n0, int64_t n1, uint16_t *row) {
	if (b->list) k = b->list[k] / b->div;
	const uint8_t *at = b->data + k * b->stride;
	if (b->type == INGOT_BF16) return (const uint16_t *)(const void *)at + n0;
#if defined(PACK_TILES)
	if (b->type == INGOT_PACK_BF16) {
		const uint16_t *tiles = (const uint16_t *)(const void *)b->data;
		for (int64_t n = n0 / 2 * 2; n < n1; n += 2)
			memcpy(row + n - n0 / 2 * 2, tiles + tile_at(ceil_div(b->rows, 16), ceil_div(b->cols, 32) * 32, k / 16, n / 32 * 32) + n % 32 / 2 * 32 + k % 16 * 2, 4);
		return row + n0 % 2;
	}
#endif
	int64_t from = n0 / 256 * 256;
	NAME(unpack_bf16)(b->type, at, from, n1 - from, row, 32);
	return row + n0 - from;
}

#if defined(PAIRS)
/* Two rows of n columns, pair by pair, in the same step of all panels. */
static void fill_step(const gemm_rows_of *b, int64_t k0, int64_t k, int64_t k1, int64_t n0, int64_t n, work *w) {
	const uint16_t *x = bf16_row(b, k, n0, n0 + n, w->row[0]), *y = k + 1 < k1 ? bf16_row(b, k + 1, n0, n0 + n, w->row[1]) : NULL;
	for (int64_t i = 0; i < n; i += PANEL) pair_elems(w->panel[i / PANEL] + (k - k0) / 2 * PANEL, x + i, y ? y + i : NULL, min64(PANEL, n - i));
}
#else
static void fill_step(const gemm_rows_of *b, int64_t k0, int64_t k, int64_t k1, int64_t n0, int64_t n, work *w) {
	(void)k1;
	const uint16_t *x = NULL;
	const float *exact = NULL;
	if (b->type == INGOT_F32) exact = (const float *)(const void *)(b->data + (b->list ? b->list[k] / b->div : k) * b->stride) + n0;
	else x = bf16_row(b, k, n0, n0 + n, w->row[0]);
	for (int64_t i = 0; i < n; i += PANEL) {
		float *panel = w->panel[i / PANEL] + (k - k0) * PANEL;
		int64_t cols = min64(PANEL, n - i);
		for (int64_t j = 0; j < cols; j++) panel[j] = exact ? exact[i + j] : bf16_f32(x[i + j]);
		for (int64_t j = cols; j < ceil_div(cols, 16) * 16; j++) panel[j] = 0;
	}
}
#endif

/* Rows k0 ... k1-1 of n columns of B in panels, and zeros up to whole groups; returns the steps. */
static int64_t fill(const gemm_rows_of *b, int64_t k0, int64_t k1, int64_t n0, int64_t n, work *w) {
	int64_t steps = ceil_div(k1 - k0, STEP), whole = ceil_div(steps, GROUP) * GROUP;
	for (int64_t k = k0; k < k1; k += STEP) fill_step(b, k0, k, k1, n0, n, w);
	for (int64_t i = 0; i < n && steps < whole; i += PANEL) memset(w->panel[i / PANEL] + steps * PANEL, 0, (size_t)((whole - steps) * PANEL) * 4);
	return whole;
}

/* Columns that do not fill vectors: sums go through scratch. */
static void edge_panel(const uint8_t *a, int64_t a_stride, int64_t steps, const float *panel, sums c, int64_t m, int64_t n, work *w) {
	for (int64_t r = 0; r < m; r++) {
		memset(w->edge[r], 0, sizeof w->edge[r]);
		memcpy(w->edge[r], sums_at(c, r, 0).from, (size_t)n * 4);
	}
	panel_product(a, a_stride, panel, steps, sums_in(w->edge[0], PANEL), m, (int)ceil_div(n, 16));
	for (int64_t r = 0; r < m; r++) memcpy(sums_at(c, r, 0).to, w->edge[r], (size_t)n * 4);
}

/* Asks for rows of A that are read soon: they come while others are multiplied. */
static void ask_rows(const uint8_t *a, int64_t a_stride, int64_t bytes, int64_t rows) {
	for (int64_t r = 0; r < rows; r++)
		for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(a + r * a_stride + i, 0, 2);
}

/* Up to BLOCK rows of A, which stay in the second cache, by the panels of wide columns;
 * meanwhile the rows of the next block come, as many as next. */
static void block(const uint8_t *a, int64_t a_stride, int64_t steps, sums c, int64_t m, int64_t next, int64_t wide, work *w) {
	int64_t parts = ceil_div(wide, PANEL) * ceil_div(m, PART), some = ceil_div(next, parts), asked = 0;
	for (int64_t n = 0; n < wide; n += PANEL) {
		int64_t cols = min64(PANEL, wide - n);
		for (int64_t r = 0; r < m; r += PART, asked += some) {
			const uint8_t *rows = a + r * a_stride;
			if (asked < next) ask_rows(a + (m + asked) * a_stride, a_stride, steps * 4, min64(some, next - asked));
			if (cols % 16) edge_panel(rows, a_stride, steps, w->panel[n / PANEL], sums_at(c, r, n), min64(PART, m - r), cols, w);
			else panel_product(rows, a_stride, w->panel[n / PANEL], steps, sums_at(c, r, n), min64(PART, m - r), (int)(cols / 16));
		}
	}
}

/* C as it is before its first chunk, or between chunks. */
static sums c_of(const gemm *g, int first) {
	if (!first) return sums_in(g->c, g->c_stride);
	return g->from ? (sums){g->from, g->from_stride, g->c, g->c_stride} : sums_of_zeros(g->c, g->c_stride);
}

/* A product over nothing. */
static void copy_sums(sums c, int64_t m, int64_t n) {
	for (int64_t r = 0; r < m; r++)
		for (int64_t i = 0; i < n; i++) sums_at(c, r, i).to[0] = c.from_stride ? sums_at(c, r, i).from[0] : 0;
}

#if defined(PAIRS)
void NAME(gemm_bf16)(const gemm *g, void *scratch) {
#else
void NAME(gemm_f32)(const gemm *g, void *scratch) {
#endif
	work *w = scratch;
#if defined(PACK_TILES)
	configure_tiles(16, 64);
#endif
	if (!g->k) copy_sums(sums_at(c_of(g, 1), g->m0, g->n0), g->m1 - g->m0, g->n1 - g->n0);
	for (int64_t n0 = g->n0; n0 < g->n1; n0 += WIDE) {
		int64_t wide = min64(WIDE, g->n1 - n0);
		for (int64_t k0 = 0; k0 < g->k; k0 += CHUNK_K) {
			int64_t k1 = min64(g->k, k0 + CHUNK_K);
			int64_t steps = fill(&g->b, k0, k1, n0, wide, w);
			for (int64_t m0 = g->m0; m0 < g->m1; m0 += BLOCK) {
				int64_t rows = min64(BLOCK, g->m1 - m0), next = min64(BLOCK, g->m1 - m0 - rows);
				block(g->a + m0 * g->a_stride + k0 / STEP * 4, g->a_stride, steps, sums_at(c_of(g, !k0), m0, n0), rows, next, wide, w);
			}
		}
	}
#if defined(PACK_TILES)
	_tile_release();
#endif
}
