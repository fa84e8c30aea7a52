/* LINEAR in bf16 mode with vdpbf16ps, on the panels of gemm.h: W^T is the product's B.
 * 16 rows of W (unpacked to bf16 where they are quantized) are transposed, pair of
 * columns by pair, so that a lane is an output and a sum goes over the columns in order:
 * one row of activations gives the bits of many. A panel of a chunk of columns stays in
 * the first cache while all rows meet it. */
#include "gemm.h"
#include "tile.h"

#define WIDE 256          /* outputs that many rows meet together */
#define BLOCK (16 * MR)   /* rows of activations that go together */
#define FEW MR            /* rows up to which W is read in one stream */

typedef struct {
	ALIGNED float panel[WIDE / PANEL][STEPS * PANEL];
	ALIGNED uint16_t rows[16][CHUNK_K];
	ALIGNED uint16_t x[BLOCK][CHUNK_K]; /* gathered rows */
	ALIGNED float y[BLOCK][PANEL];
} work;

/* The columns k ... k+n-1 of 16 rows of W from o, as pairs [n/2][16] at the stride of a
 * panel; rows that are not there repeat the last one. */
static void transpose_rows(const product *p, int64_t o, int64_t k, int64_t n, float *panel, ahead *next, work *w) {
	const uint16_t *row[16];
	for (int r = 0; r < 16; r++) {
		const uint8_t *at = p->w + min64(o + r, p->o1 - 1) * p->w_stride;
		if (p->type == INGOT_BF16)
			row[r] = (const uint16_t *)(const void *)at + k;
		else
			NAME(unpack_bf16)(p->type, at, k, n, w->rows[r], 32), row[r] = w->rows[r];
	}
	for (int64_t i = 0; i < n; i += 32) {
		__mmask32 some = n - i >= 32 ? 0xffffffffu : (1u << (n - i)) - 1;
		__m512i v[16];
		look_ahead(next);
#pragma GCC unroll 16
		for (int r = 0; r < 16; r++) v[r] = _mm512_maskz_loadu_epi16(some, row[r] + i);
		transpose16(v);
#pragma GCC unroll 16
		for (int d = 0; d < 16; d++) _mm512_store_si512(panel + (i / 2 + d) * PANEL, v[d]);
	}
}

static void fill(const product *p, int64_t o, int64_t outs, int64_t k, int64_t n, work *w) {
	ahead next = ahead_of(p, o, outs, k, n, ceil_div(outs, 16) * ceil_div(n, 32));
	for (int64_t g = 0; g < outs; g += 16) transpose_rows(p, o + g, k, n, w->panel[g / PANEL] + g % PANEL, &next, w);
}

static int64_t out_row(const product *p, int64_t i) { return p->list ? p->list[i] : i; }

/* Rows r ... r+m-1 of the activations' columns from k: where they lie, or gathered. */
static const uint8_t *activations(const product *p, int64_t r, int64_t m, int64_t k, int64_t n, int64_t *stride, work *w) {
	if (!p->list) {
		*stride = p->x_stride;
		return (const uint8_t *)p->x + r * p->x_stride + 2 * k;
	}
	*stride = sizeof w->x[0];
	for (int64_t i = 0; i < m; i++)
		memcpy(w->x[i], (const uint8_t *)p->x + p->list[r + i] / p->in_div * p->x_stride + 2 * k, (size_t)(n + n % 2) * 2);
	return (const uint8_t *)w->x;
}

static void gemm_interleaved(const uint8_t *x, int64_t stride, columns b, int64_t steps, sums c, int64_t m, int nv) {
	b.step = 16;
	gemm_columns(x, stride, b, steps, c, m, nv);
}

/* One panel's part of y: in y itself, or through scratch where its rows or columns do not
 * lie as the kernel stores them. */
static void panel_sums(const product *p, int64_t o, int64_t outs, int64_t r, int64_t m, const uint8_t *x, int64_t stride, int64_t k, int64_t n, columns b, work *w) {
	int64_t steps = ceil_div(n, 2), last = k + n == p->k;
	int straight = !p->list && outs % 16 == 0;
	sums c = straight ? sums_in(p->y + r * p->y_stride + o, p->y_stride) : sums_in(w->y[0], PANEL);
	if (!k) c = sums_of_zeros(c.to, c.stride);
	for (int64_t i = 0; i < m && k && !straight; i++) memcpy(w->y[i], p->y + out_row(p, r + i) * p->y_stride + o, (size_t)outs * 4);
	if (b.step == PANEL) gemm_panel(x, stride, b.at, steps, c, m, (int)ceil_div(outs, 16));
	else gemm_interleaved(x, stride, b, steps, c, m, (int)ceil_div(outs, 16));
	for (int64_t i = 0; i < m && (!straight || (last && p->bias)); i++) {
		float *y = p->y + out_row(p, r + i) * p->y_stride + o, *sum = sums_at(c, i, 0).to;
		for (int64_t j = 0; j < outs; j++) y[j] = last && p->bias ? sum[j] + p->bias[o + j] : sum[j];
	}
}

/* The outputs from o, which lie in panels or interleaved in W, and columns k ... k+n-1. */
static void multiply(const product *p, int64_t o, int64_t outs, int64_t k, int64_t n, columns b, int64_t panel, ahead *next, work *w) {
	for (int64_t r = 0; r < p->rows; r += BLOCK) {
		int64_t m = min64(BLOCK, p->rows - r), stride;
		const uint8_t *x = activations(p, r, m, k, n, &stride, w);
		for (int64_t g = 0; g < outs; g += PANEL) {
			if (next) look_ahead(next);
			panel_sums(p, o + g, min64(PANEL, outs - g), r, m, x, stride, k, n, (columns){b.at + g / PANEL * panel, b.step, b.vector}, w);
		}
	}
}

static void lying_rows(const product *p, int64_t o0, int64_t o1, work *w) {
	int64_t wide = p->rows <= FEW ? PANEL : WIDE;
	for (int64_t o = o0; o < o1; o += wide)
		for (int64_t k = 0; k < p->k; k += CHUNK_K) {
			int64_t outs = min64(wide, o1 - o), n = min64(CHUNK_K, p->k - k);
			fill(p, o, outs, k, n, w);
			multiply(p, o, outs, k, n, (columns){w->panel[0], PANEL, 16}, STEPS * PANEL, NULL, w);
		}
}

/* Whole groups of 16 rows: pair d of the columns of row r at dword 16 d + r of the group. */
static void interleaved_rows(const product *p, int64_t o0, int64_t o1, work *w) {
	int64_t wide = p->rows <= FEW ? PANEL : WIDE, group = 16 * p->w_stride / 4, chunk = p->rows <= FEW ? p->k : CHUNK_K;
	for (int64_t o = o0; o < o1; o += wide)
		for (int64_t k = 0; k < p->k; k += chunk) {
			int64_t outs = min64(wide, o1 - o), n = min64(chunk, p->k - k);
			const float *at = (const float *)(const void *)(p->w + o * p->w_stride) + 8 * k;
			ahead next = ahead_of(p, o, outs, k, n, ceil_div(p->rows, BLOCK) * ceil_div(outs, PANEL));
			multiply(p, o, outs, k, n, (columns){at, 16, group}, PANEL / 16 * group, p->rows <= FEW ? NULL : &next, w);
		}
}

void NAME(product_bf16)(const product *p, void *scratch) {
	int64_t whole = p->interleaved ? min64(p->o1, p->o_all / 16 * 16) : p->o0;
	interleaved_rows(p, p->o0, whole, scratch);
	lying_rows(p, max64(p->o0, whole), p->o1, scratch);
}
