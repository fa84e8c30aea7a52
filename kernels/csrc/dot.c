/* LINEAR with f32 arithmetic: F32 weights, and bf16 mode on machines without bf16
 * products, where activations are kept as f32 (rounded to bf16) and weights widen in
 * the register. */
#include "dot.h"

INLINE void add_products(const uint8_t *const *w, const uint8_t *const *x, int64_t k, int n, int64_t next, vf (*acc)[NR], int size) {
	for (int64_t i = 0; i + 16 <= k; i += 16) {
		vf wide[MR];
		UNROLL for (int m = 0; m < MR; m++) {
			wide[m] = size == 2 ? vf_load_bf16((const uint16_t *)(const void *)w[m] + i) : vf_load((const float *)(const void *)w[m] + i);
			if (size == 4 || i % 32 == 0) __builtin_prefetch(w[m] + i * size + next, 0, 2);
		}
		UNROLL for (int r = 0; r < n; r++) {
			vf v = vf_load((const float *)(const void *)x[r] + i);
			UNROLL for (int m = 0; m < MR; m++) acc[m][r] = vf_mla(wide[m], v, acc[m][r]);
		}
	}
}

/* The products of the last k % 16 columns, in order. */
INLINE float last_products(const uint8_t *w, const uint8_t *x, int64_t k, int size) {
	float total = 0;
	for (int64_t j = k / 16 * 16; j < k; j++)
		total += (size == 2 ? bf16_f32(load_u16(w + 2 * j)) : bits_f32(load_u32(w + 4 * j))) * ((const float *)(const void *)x)[j];
	return total;
}

#define KIND(name, size) \
	static inline __attribute__((always_inline)) void lanes_##name(const uint8_t *const *w, const uint8_t *const *x, int64_t k, int n, int64_t next, vf (*acc)[NR]) { \
		add_products(w, x, k, n, next, acc, size); \
	} \
	static inline __attribute__((always_inline)) float tail_##name(const uint8_t *w, const uint8_t *x, int64_t k) { return last_products(w, x, k, size); }
KIND(f32, 4)
KIND(bf16, 2)

void NAME(product_f32)(const product *p, void *scratch) { dot_product(p, scratch, (dot_kind){lanes_f32, tail_f32}, 1); }

void NAME(product_bf16)(const product *p, void *scratch) {
	if (p->type == INGOT_BF16)
		dot_product(p, scratch, (dot_kind){lanes_bf16, tail_bf16}, 1);
	else
		dot_product(p, scratch, (dot_kind){lanes_bf16, tail_bf16}, 0);
}
