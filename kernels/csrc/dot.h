/* LINEAR in dot form: both operands lie along the inner dimension, a register block of
 * MR weight rows by up to NR activation rows, 16 lanes per pair, always the same lanes
 * and the same final order, so one row gives the bits of many. Quantized weights are
 * first unpacked to bf16 rows in scratch: 16 at a time where many activation rows use
 * them (the panel stays in L2), MR at a time where few do (L1). */
#ifndef INGOT_DOT_H
#define INGOT_DOT_H
#include "bf16.h"
#include "vec.h"

#if defined(__AVX512F__)
#define MR 4
#define NR 6
#elif defined(__AVX2__)
#define MR 2
#define NR 3
#else
#define MR 1
#define NR 2
#endif
#define UNROLL _Pragma("GCC unroll 8")

/* out[m][r] = w[m] . x[r] over k elements; n <= NR is a constant once inlined. */
typedef void (*dot_fn)(const uint8_t *const *w, const uint8_t *const *x, int64_t k, int n, float (*out)[NR]);

INLINE void dot_some(dot_fn dot, const uint8_t *const *w, const uint8_t *const *x, int64_t k, int n, float (*out)[NR]) {
	switch (n) {
	case 1: dot(w, x, k, 1, out); break;
	case 2: dot(w, x, k, 2, out); break;
#if NR > 2
	case 3: dot(w, x, k, 3, out); break;
#endif
#if NR > 3
	case 4: dot(w, x, k, 4, out); break;
	case 5: dot(w, x, k, 5, out); break;
	case 6: dot(w, x, k, 6, out); break;
#endif
	}
}

static inline int64_t out_row(const product *p, int64_t i) { return p->list ? p->list[i] : i; }

/* Rows o .. o+MR of W (at w) times n activation rows from list entry r. */
INLINE void dot_tile(const product *p, dot_fn dot, const uint8_t *const *w, int64_t o, int64_t outs, int64_t r, int n) {
	const uint8_t *x[NR];
	float out[MR][NR];
	for (int i = 0; i < n; i++)
		x[i] = (const uint8_t *)p->x + (p->list ? p->list[r + i] / p->in_div : r + i) * p->x_stride;
	dot_some(dot, w, x, p->k, n, out);
	for (int i = 0; i < n; i++)
		for (int m = 0; m < outs; m++)
			p->y[out_row(p, r + i) * p->y_stride + o + m] = p->bias ? out[m][i] + p->bias[o + m] : out[m][i];
}

/* wide: weight rows that share a panel. raw: W is used as it lies. */
INLINE void dot_product(const product *p, void *scratch, dot_fn dot, int raw) {
	int64_t wide = p->rows <= NR ? MR : 16, padded = (p->k + 31) / 32 * 32;
	const uint8_t *w[16];
	for (int64_t o = p->o0; o < p->o1; o += wide) {
		for (int m = 0; m < wide; m++) {
			const uint8_t *row = p->w + min64(o + m, p->o1 - 1) * p->w_stride;
			uint16_t *to = (uint16_t *)scratch + m * padded;
			w[m] = raw ? row : (const uint8_t *)to;
			if (!raw) NAME(unpack_bf16)(p->type, row, 0, p->k, to, 32);
		}
		for (int64_t r = 0; r < p->rows; r += NR)
			for (int m = 0; m < wide && o + m < p->o1; m += MR)
				dot_tile(p, dot, w + m, o + m, min64(MR, p->o1 - o - m), r, (int)min64(NR, p->rows - r));
	}
}
#endif
