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

/* What a type adds to the shape: the products of MR weight rows and n activation rows,
 * added to the lanes, while the bytes next after each weight row are asked for; and what
 * is left of a row when its lanes are folded: columns that do not fill a vector. n is a
 * constant once inlined. */
typedef void (*lanes_fn)(const uint8_t *const *w, const uint8_t *const *x, int64_t k, int n, int64_t next, vf (*acc)[NR]);
typedef float (*tail_fn)(const uint8_t *w, const uint8_t *x, int64_t k);

typedef struct {
	lanes_fn lanes;
	tail_fn tail;
} dot_kind;

static inline int64_t out_row(const product *p, int64_t i) { return p->list ? p->list[i] : i; }

typedef struct {
	const uint8_t *w[16];
	int64_t o, outs; /* rows that w holds */
	int64_t next;    /* bytes from a row to the one that is read next, to be asked for */
} rows_of_w;

/* Weight rows m ... m+MR-1 times n activation rows from list entry r; n is a constant
 * once inlined. */
INLINE void dot_tile(const product *p, dot_kind kind, const rows_of_w *w, int m, int64_t r, int n) {
	const uint8_t *x[NR];
	vf acc[MR][NR];
	float y[MR][NR];
	for (int i = 0; i < n; i++)
		x[i] = (const uint8_t *)p->x + (p->list ? p->list[r + i] / p->in_div : r + i) * p->x_stride;
	UNROLL for (int j = 0; j < MR; j++)
		UNROLL for (int i = 0; i < n; i++) acc[j][i] = vf_set(0);
	kind.lanes(w->w + m, x, p->k, n, r ? 0 : w->next, acc);
	UNROLL for (int j = 0; j < MR; j++)
		UNROLL for (int i = 0; i < n; i++) y[j][i] = vf_total(acc[j][i]) + kind.tail(w->w[m + j], x[i], p->k);
	for (int i = 0; i < n; i++)
		for (int j = 0; j < min64(MR, w->outs - m); j++) {
			int64_t o = w->o + m + j;
			p->y[out_row(p, r + i) * p->y_stride + o] = p->bias ? y[j][i] + p->bias[o] : y[j][i];
		}
}

INLINE void dot_some(const product *p, dot_kind kind, const rows_of_w *w, int m, int64_t r, int n) {
	switch (n) {
	case 1: dot_tile(p, kind, w, m, r, 1); break;
	case 2: dot_tile(p, kind, w, m, r, 2); break;
#if NR > 2
	case 3: dot_tile(p, kind, w, m, r, 3); break;
#endif
#if NR > 3
	case 4: dot_tile(p, kind, w, m, r, 4); break;
	case 5: dot_tile(p, kind, w, m, r, 5); break;
	case 6: dot_tile(p, kind, w, m, r, 6); break;
#endif
	}
}

/* n weight rows from o; raw: W is used as it lies. */
INLINE rows_of_w take_rows(const product *p, int64_t o, int64_t n, int raw, uint16_t *to) {
	int64_t padded = (p->k + 31) / 32 * 32;
	rows_of_w w = {.o = o, .outs = min64(n, p->o1 - o), .next = raw && o + n < p->o1 ? n * p->w_stride : 0};
	for (int m = 0; m < n; m++) {
		const uint8_t *row = p->w + min64(o + m, p->o1 - 1) * p->w_stride;
		w.w[m] = raw ? row : (const uint8_t *)(to + m * padded);
		if (!raw) NAME(unpack_bf16)(p->type, row, 0, p->k, to + m * padded, 32);
	}
	return w;
}

/* wide: weight rows that all activation rows meet before the next ones. */
INLINE void dot_product(const product *p, void *scratch, dot_kind kind, int raw) {
	int64_t wide = p->rows <= NR ? MR : 16;
	for (int64_t o = p->o0; o < p->o1; o += wide) {
		rows_of_w w = take_rows(p, o, wide, raw, scratch);
		for (int64_t r = 0; r < p->rows; r += NR)
			for (int m = 0; m < w.outs; m += MR) dot_some(p, kind, &w, m, r, (int)min64(NR, p->rows - r));
	}
}
#endif
