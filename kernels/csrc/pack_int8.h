/* Activations in int8 per block of 32, as quant.QuantizeActs specifies. */
#ifndef INGOT_PACK_INT8_H
#define INGOT_PACK_INT8_H
#include <float.h>
#include "internal.h"
#include "mathf.h"

static inline float absmax32(const float *restrict x) {
	uint32_t top = 0; /* magnitudes compare as integers; a NaN is the largest */
	for (int i = 0; i < 32; i++) {
		uint32_t a = f32_bits(x[i]) & 0x7fffffff;
		top = a > top ? a : top;
	}
	return bits_f32(top);
}

/* A block too small for 127/absmax, or not finite, becomes zeros; the latter keeps
 * what is not finite as its scale. */
static inline void quantize_block(act_block *restrict b, const float *restrict x) {
	float top = absmax32(x), inv = 127.0f / top;
	if (!(inv > 0 && inv <= FLT_MAX)) {
		*b = (act_block){.scale = top <= FLT_MAX ? 0.0f : top};
		return;
	}
	int32_t sum[2] = {0, 0};
	for (int h = 0; h < 2; h++)
		for (int i = 0; i < 16; i++) {
			int32_t q = (int32_t)round_even(x[16 * h + i] * inv);
			b->q[16 * h + i] = (int8_t)q;
			sum[h] += q;
		}
	b->scale = top / 127.0f;
	b->minus_sum[0] = -sum[0];
	b->minus_sum[1] = -sum[1];
	b->minus_sum[2] = -sum[0] - sum[1];
}

/* A row of cols elements; the last block is filled up with zeros. */
static inline void quantize_row(act_block *restrict b, const float *restrict x, int64_t cols) {
	int64_t k = 0;
	for (; k + 32 <= cols; k += 32) quantize_block(b++, x + k);
	if (k < cols) {
		float tail[32] = {0};
		memcpy(tail, x + k, (size_t)(cols - k) * 4);
		quantize_block(b, tail);
	}
}
#endif
