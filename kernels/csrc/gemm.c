/* The products of gradients on panels in scratch. Compiled with f32 elements, which
 * serve bf16 mode too on machines without bf16 products (factors are rounded), and with
 * -DPAIRS in bf16. */
#include "gemm.h"
#if defined(PACK_TILES)
#include "tile.h"
#endif

#define BLOCK (16 * MR) /* rows of A that go together */
#define WIDE 256        /* columns that a product takes at once: whole superblocks of a weight */

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

#define AHEAD 24 /* rows */

/* Asks for a row that is read soon: the rows' parts are too short for the machine to see a stream. */
INLINE void fetch_row(const gemm_rows_of *b, int64_t k, int64_t n0) {
	if (b->list || k >= b->rows || b->type == INGOT_PACK_BF16) return;
	const uint8_t *at = b->data + k * b->stride + n0 * b->stride / b->cols;
	__builtin_prefetch(at), __builtin_prefetch(at + 64);
}

#if defined(PAIRS)
static void fill_panel(const gemm_rows_of *b, int64_t k0, int64_t k1, int64_t n0, int64_t n, float *panel, work *w) {
	for (int64_t k = k0; k < k1; k += 2) {
		fetch_row(b, k + AHEAD, n0);
		fetch_row(b, k + AHEAD + 1, n0);
		const uint16_t *x = bf16_row(b, k, n0, n0 + n, w->row[0]), *y = k + 1 < k1 ? bf16_row(b, k + 1, n0, n0 + n, w->row[1]) : NULL;
		pair_elems(panel + (k - k0) / 2 * PANEL, x, y, n);
	}
}
#else
static void fill_panel(const gemm_rows_of *b, int64_t k0, int64_t k1, int64_t n0, int64_t n, float *panel, work *w) {
	for (int64_t k = k0; k < k1; k++, panel += PANEL) {
		fetch_row(b, k + AHEAD, n0);
		if (b->type == INGOT_F32) {
			int64_t r = b->list ? b->list[k] / b->div : k;
			memcpy(panel, (const float *)(const void *)(b->data + r * b->stride) + n0, (size_t)n * 4);
		} else {
			const uint16_t *x = bf16_row(b, k, n0, n0 + n, w->row[0]);
			for (int64_t i = 0; i < n; i++) panel[i] = bf16_f32(x[i]);
		}
		for (int64_t i = n; i < (n + 15) / 16 * 16; i++) panel[i] = 0;
	}
}
#endif

/* Columns that do not fill vectors: C goes through scratch. */
static void edge_panel(const gemm *g, const uint8_t *a, int64_t steps, const float *panel, float *c, int64_t m, int64_t n, work *w) {
	for (int64_t r = 0; r < m; r++) {
		memset(w->edge[r], 0, sizeof w->edge[r]);
		memcpy(w->edge[r], c + r * g->c_stride, (size_t)n * 4);
	}
	gemm_panel(a, g->a_stride, panel, steps, w->edge[0], PANEL, m, (int)ceil_div(n, 16));
	for (int64_t r = 0; r < m; r++) memcpy(c + r * g->c_stride, w->edge[r], (size_t)n * 4);
}

/* Up to BLOCK rows of A, which stay in the second cache, by the panels of wide columns. */
static void block(const gemm *g, const uint8_t *a, int64_t steps, float *c, int64_t m, int64_t wide, work *w) {
	for (int64_t n = 0; n < wide; n += PANEL) {
		int64_t cols = min64(PANEL, wide - n);
		if (cols % 16) edge_panel(g, a, steps, w->panel[n / PANEL], c + n, m, cols, w);
		else gemm_panel(a, g->a_stride, w->panel[n / PANEL], steps, c + n, g->c_stride, m, (int)(cols / 16));
	}
}

/* C's rows before their first chunk. */
static void begin(const gemm *g, int64_t m0, int64_t m1, int64_t n0, int64_t n) {
	for (int64_t m = m0; m < m1; m++) {
		float *c = g->c + m * g->c_stride + n0;
		if (!g->from) memset(c, 0, (size_t)n * 4);
		else if (g->from != g->c) memcpy(c, g->from + m * g->from_stride + n0, (size_t)n * 4);
	}
}

#if defined(PAIRS)
void NAME(gemm_bf16)(const gemm *g, void *scratch) {
#else
void NAME(gemm_f32)(const gemm *g, void *scratch) {
#endif
	work *w = scratch;
	for (int64_t n0 = g->n0; n0 < g->n1; n0 += WIDE) {
		int64_t wide = min64(WIDE, g->n1 - n0);
		if (!g->k) begin(g, g->m0, g->m1, n0, wide);
		for (int64_t k0 = 0; k0 < g->k; k0 += CHUNK_K) {
			int64_t k1 = min64(g->k, k0 + CHUNK_K);
			for (int64_t n = 0; n < wide; n += PANEL) fill_panel(&g->b, k0, k1, n0 + n, min64(PANEL, wide - n), w->panel[n / PANEL], w);
			for (int64_t m0 = g->m0; m0 < g->m1; m0 += BLOCK) {
				int64_t m1 = min64(g->m1, m0 + BLOCK);
				if (!k0) begin(g, m0, m1, n0, wide);
				block(g, g->a + m0 * g->a_stride + k0 / STEP * 4, ceil_div(k1 - k0, STEP), g->c + m0 * g->c_stride + n0, m1 - m0, wide, w);
			}
		}
	}
}
