/* LINEAR in bf16 mode with vdpbf16ps: each of 16 f32 lanes adds two products at a
 * time. Activations are bf16 rows, padded with zeros to a multiple of 32. */
#include "dot.h"

INLINE __m512bh load_bf16(const uint8_t *p) { return (__m512bh)_mm512_loadu_si512((const void *)p); }

static inline __attribute__((always_inline)) void dot(const uint8_t *const *w, const uint8_t *const *x, int64_t k, int n, float (*out)[NR]) {
	__m512 acc[MR][NR];
	UNROLL for (int m = 0; m < MR; m++)
		UNROLL for (int r = 0; r < n; r++) acc[m][r] = _mm512_setzero_ps();
	int64_t i = 0;
	for (; i + 32 <= k; i += 32) {
		__m512bh wide[MR];
		UNROLL for (int m = 0; m < MR; m++) wide[m] = load_bf16(w[m] + 2 * i);
		UNROLL for (int r = 0; r < n; r++) {
			__m512bh v = load_bf16(x[r] + 2 * i);
			UNROLL for (int m = 0; m < MR; m++) acc[m][r] = _mm512_dpbf16_ps(acc[m][r], wide[m], v);
		}
	}
	if (i < k) {
		__mmask32 tail = (__mmask32)((1u << (k - i)) - 1);
		UNROLL for (int m = 0; m < MR; m++) {
			__m512bh wide = (__m512bh)_mm512_maskz_loadu_epi16(tail, w[m] + 2 * i);
			UNROLL for (int r = 0; r < n; r++) acc[m][r] = _mm512_dpbf16_ps(acc[m][r], wide, load_bf16(x[r] + 2 * i));
		}
	}
	UNROLL for (int m = 0; m < MR; m++)
		UNROLL for (int r = 0; r < n; r++) out[m][r] = vf_total((vf){{acc[m][r]}});
}

void NAME(product_bf16)(const product *p, void *scratch) {
	if (p->type == INGOT_BF16)
		dot_product(p, scratch, dot, 1);
	else
		dot_product(p, scratch, dot, 0);
}
