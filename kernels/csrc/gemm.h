/* Products of gradients: C[m, n] = from[m, n] + sum over k, in order, of A[m, k] B[k, n].
 * A lies in rows along k; B in rows along n, of which panels are made: a few vectors of
 * columns, row after row of B. A register block of MR rows of A by up to NV vectors reads
 * a panel in a stream and A by broadcasts. The inner dimension is cut into chunks of
 * CHUNK_K, at multiples of it; C waits in memory between chunks. So a sum's order depends
 * on K alone, whoever computes which rows and columns.
 *
 * With PAIRS, elements are bf16 and two rows of B lie together, pair by pair. */
#ifndef INGOT_GEMM_H
#define INGOT_GEMM_H
#include "bf16.h"
#include "grad.h"
#include "vec.h"

#if defined(__AVX512F__)
#define MR 12
#define NV 2
#elif defined(__AVX2__)
#define MR 3
#define NV 2
#else
#define MR 2
#define NV 1
#endif
#define PANEL (16 * NV)  /* columns */
#define CHUNK_K 512
#define UNROLL _Pragma("GCC unroll 16")

#if defined(PAIRS)
#define STEP 2 /* rows of B that a step of a panel holds */
#else
#define STEP 1
#endif
#define STEPS (CHUNK_K / STEP)

/* acc + a b of one step, for a word of A and a vector of a panel. */
INLINE vf step_product(vf acc, uint32_t a, vf b) {
#if defined(PAIRS)
	return (vf){{_mm512_dpbf16_ps(acc.p[0], (__m512bh)b.p[0], (__m512bh)_mm512_set1_epi32((int)a))}};
#else
	return vf_mla(vf_set(bits_f32(a)), b, acc);
#endif
}

/* Where the vectors of B lie: vector j of step s at at + s * step + j * vector, in floats. */
typedef struct {
	const float *at;
	int64_t step, vector;
} columns;

/* Where sums begin and where they go, which may be the same place. Strides in floats. */
typedef struct {
	const float *from;
	int64_t from_stride;
	float *to;
	int64_t stride;
} sums;

static const ALIGNED float gemm_zeros[PANEL];

INLINE sums sums_of_zeros(float *to, int64_t stride) { return (sums){gemm_zeros, 0, to, stride}; }
INLINE sums sums_in(float *c, int64_t stride) { return (sums){c, stride, c, stride}; }

/* Rows from r, columns from i. */
INLINE sums sums_at(sums c, int64_t r, int64_t i) {
	return (sums){c.from_stride ? c.from + r * c.from_stride + i : c.from, c.from_stride, c.to + r * c.stride + i, c.stride};
}

/* n rows by nv vectors, both constants once inlined. The rows below are asked for. */
INLINE void gemm_tile(const uint8_t *a, int64_t a_stride, columns b_at, int64_t steps, sums c, int n, int nv) {
	vf acc[MR][NV];
	UNROLL for (int i = 0; i < n; i++)
		UNROLL for (int j = 0; j < nv; j++) {
			acc[i][j] = vf_load(c.from + i * c.from_stride + 16 * j);
			__builtin_prefetch(c.to + (n + i) * c.stride + 16 * j, 1);
		}
	for (int64_t s = 0; s < steps; s++) {
		vf b[NV];
		UNROLL for (int j = 0; j < nv; j++) b[j] = vf_load(b_at.at + s * b_at.step + j * b_at.vector);
		UNROLL for (int i = 0; i < n; i++) {
			uint32_t x = load_u32(a + i * a_stride + 4 * s);
			UNROLL for (int j = 0; j < nv; j++) acc[i][j] = step_product(acc[i][j], x, b[j]);
		}
	}
	UNROLL for (int i = 0; i < n; i++)
		UNROLL for (int j = 0; j < nv; j++) vf_store(c.to + i * c.stride + 16 * j, acc[i][j]);
}

INLINE void gemm_rows(const uint8_t *a, int64_t a_stride, columns panel, int64_t steps, sums c, int n, int nv) {
	switch (nv) {
	case 1: gemm_tile(a, a_stride, panel, steps, c, n, 1); break;
#if NV > 1
	case 2: gemm_tile(a, a_stride, panel, steps, c, n, 2); break;
#endif
	}
}

/* m rows of A by nv whole vectors of columns. */
INLINE void gemm_columns(const uint8_t *a, int64_t a_stride, columns panel, int64_t steps, sums c, int64_t m, int nv) {
	for (; m >= MR; m -= MR, a += MR * a_stride, c = sums_at(c, MR, 0)) gemm_rows(a, a_stride, panel, steps, c, MR, nv);
#define REST(n) case n: gemm_rows(a, a_stride, panel, steps, c, n, nv); break;
	switch (m) {
	REST(1)
#if MR > 2
	REST(2)
#endif
#if MR > 3
	REST(3) REST(4) REST(5) REST(6) REST(7) REST(8) REST(9) REST(10) REST(11)
#endif
	}
#undef REST
}

/* The same with a panel in scratch. */
__attribute__((unused)) static void gemm_panel(const uint8_t *a, int64_t a_stride, const float *panel, int64_t steps, sums c, int64_t m, int nv) {
	gemm_columns(a, a_stride, (columns){panel, PANEL, 16}, steps, c, m, nv);
}

#if defined(PAIRS)
/* Two rows of bf16, pair by pair. A row that is absent counts as zeros. */
INLINE void pair_elems(float *panel, const uint16_t *x, const uint16_t *y, int64_t n) {
	static const uint16_t low[32] = {0, 32, 1, 33, 2, 34, 3, 35, 4, 36, 5, 37, 6, 38, 7, 39, 8, 40, 9, 41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46, 15, 47};
	__m512i first = _mm512_loadu_si512(low), second = _mm512_add_epi16(first, _mm512_set1_epi16(16));
	for (int64_t i = 0; i < n; i += 32) {
		__mmask32 some = n - i >= 32 ? 0xffffffffu : (1u << (n - i)) - 1;
		__m512i a = _mm512_maskz_loadu_epi16(some, x + i), b = y ? _mm512_maskz_loadu_epi16(some, y + i) : _mm512_setzero_si512();
		_mm512_storeu_si512(panel + i, _mm512_permutex2var_epi16(a, first, b));
		if (i + 16 < PANEL) _mm512_storeu_si512(panel + i + 16, _mm512_permutex2var_epi16(a, second, b));
	}
}
#endif
#endif
