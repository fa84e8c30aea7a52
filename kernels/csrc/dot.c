/* LINEAR with f32 arithmetic: F32 weights, and bf16 mode on machines without bf16
 * products, where activations are kept as f32 (rounded to bf16) and weights widen in
 * the register. */
#include "dot.h"

INLINE void dot(const uint8_t *const *w, const uint8_t *const *x, int64_t k, int n, float (*out)[NR], int size) {
	vf acc[MR][NR];
	UNROLL for (int m = 0; m < MR; m++)
		UNROLL for (int r = 0; r < n; r++) acc[m][r] = vf_set(0);
	int64_t i = 0;
	for (; i + 16 <= k; i += 16) {
		vf wide[MR];
		UNROLL for (int m = 0; m < MR; m++)
			wide[m] = size == 2 ? vf_load_bf16((const uint16_t *)(const void *)w[m] + i) : vf_load((const float *)(const void *)w[m] + i);
		UNROLL for (int r = 0; r < n; r++) {
			vf v = vf_load((const float *)(const void *)x[r] + i);
			UNROLL for (int m = 0; m < MR; m++) acc[m][r] = vf_mla(wide[m], v, acc[m][r]);
		}
	}
	UNROLL for (int m = 0; m < MR; m++)
		UNROLL for (int r = 0; r < n; r++) {
			float total = vf_total(acc[m][r]);
			for (int64_t j = i; j < k; j++) {
				float e = size == 2 ? bf16_f32(load_u16(w[m] + 2 * j)) : bits_f32(load_u32(w[m] + 4 * j));
				total += e * ((const float *)(const void *)x[r])[j];
			}
			out[m][r] = total;
		}
}

static inline __attribute__((always_inline)) void dot_f32(const uint8_t *const *w, const uint8_t *const *x, int64_t k, int n, float (*out)[NR]) {
	dot(w, x, k, n, out, 4);
}

void NAME(product_f32)(const product *p, void *scratch) { dot_product(p, scratch, dot_f32, 1); }

static inline __attribute__((always_inline)) void dot_bf16(const uint8_t *const *w, const uint8_t *const *x, int64_t k, int n, float (*out)[NR]) {
	dot(w, x, k, n, out, 2);
}

void NAME(product_bf16)(const product *p, void *scratch) {
	if (p->type == INGOT_BF16)
		dot_product(p, scratch, dot_bf16, 1);
	else
		dot_product(p, scratch, dot_bf16, 0);
}
