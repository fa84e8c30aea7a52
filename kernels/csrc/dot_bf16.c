/* LINEAR in bf16 mode with vdpbf16ps: each of 16 f32 lanes adds two products at a
 * time. Activations are bf16 rows, padded with zeros to a multiple of 32. */
#include "dot.h"

INLINE __m512bh load_bf16(const uint8_t *p) { return (__m512bh)_mm512_loadu_si512((const void *)p); }

static inline __attribute__((always_inline)) void lanes(const uint8_t *const *w, const uint8_t *const *x, int64_t k, int n, int64_t next, vf (*acc)[NR]) {
	int64_t i = 0;
	for (; i + 32 <= k; i += 32) {
		__m512bh wide[MR];
		UNROLL for (int m = 0; m < MR; m++) {
			wide[m] = load_bf16(w[m] + 2 * i);
			__builtin_prefetch(w[m] + 2 * i + next, 0, 2);
		}
		UNROLL for (int r = 0; r < n; r++) {
			__m512bh v = load_bf16(x[r] + 2 * i);
			UNROLL for (int m = 0; m < MR; m++) acc[m][r].p[0] = _mm512_dpbf16_ps(acc[m][r].p[0], wide[m], v);
		}
	}
	if (i < k) { /* a row of W ends within the vector */
		__mmask32 tail = (__mmask32)((1u << (k - i)) - 1);
		UNROLL for (int m = 0; m < MR; m++) {
			__m512bh wide = (__m512bh)_mm512_maskz_loadu_epi16(tail, w[m] + 2 * i);
			UNROLL for (int r = 0; r < n; r++) acc[m][r].p[0] = _mm512_dpbf16_ps(acc[m][r].p[0], wide, load_bf16(x[r] + 2 * i));
		}
	}
}

static inline __attribute__((always_inline)) float no_tail(const uint8_t *w, const uint8_t *x, int64_t k) {
	(void)w, (void)x, (void)k;
	return -0.0f; /* adding it changes no bit */
}

void NAME(product_bf16)(const product *p, void *scratch) {
	if (p->type == INGOT_BF16)
		dot_product(p, scratch, (dot_kind){lanes, no_tail}, 1);
	else
		dot_product(p, scratch, (dot_kind){lanes, no_tail}, 0);
}
