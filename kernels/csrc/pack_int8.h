/* Activations in int8 per block of 32, as quant.QuantizeActs specifies. */
#ifndef INGOT_PACK_INT8_H
#define INGOT_PACK_INT8_H
#include <float.h>
#include "internal.h"
#include "mathf.h"
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
/* The 32 integers round(x * inv), as bytes, and minus their sums. */
static inline void round_block(act_block *restrict b, const float *restrict x, float inv) {
	__m512 by = _mm512_set1_ps(inv);
	__m128i lo = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x), by)));
	__m128i hi = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x + 16), by)));
	__m256i q = _mm256_inserti128_si256(_mm256_castsi128_si256(lo), hi, 1);
	_mm256_storeu_si256((void *)b->q, q);
	__m256i sad = _mm256_sad_epu8(_mm256_xor_si256(q, _mm256_set1_epi8(-128)), _mm256_setzero_si256()); /* of q + 128, in eights */
	int32_t s0 = _mm256_extract_epi32(sad, 0) + _mm256_extract_epi32(sad, 2), s1 = _mm256_extract_epi32(sad, 4) + _mm256_extract_epi32(sad, 6);
	b->minus_sum[0] = 16 * 128 - s0;
	b->minus_sum[1] = 16 * 128 - s1;
	b->minus_sum[2] = 32 * 128 - s0 - s1;
}

static inline float absmax32(const float *restrict x) {
	__m512i abs = _mm512_set1_epi32(0x7fffffff);
	__m512i a = _mm512_and_si512(_mm512_loadu_si512(x), abs), b = _mm512_and_si512(_mm512_loadu_si512(x + 16), abs);
	return bits_f32((uint32_t)_mm512_reduce_max_epi32(_mm512_max_epi32(a, b))); /* magnitudes compare as integers; a NaN is the largest */
}
#else
static inline void round_block(act_block *restrict b, const float *restrict x, float inv) {
	int32_t sum[2] = {0, 0};
	for (int h = 0; h < 2; h++)
		for (int i = 0; i < 16; i++) {
			int32_t q = (int32_t)round_even(x[16 * h + i] * inv);
			b->q[16 * h + i] = (int8_t)q;
			sum[h] += q;
		}
	b->minus_sum[0] = -sum[0];
	b->minus_sum[1] = -sum[1];
	b->minus_sum[2] = -sum[0] - sum[1];
}

static inline float absmax32(const float *restrict x) {
	uint32_t top = 0; /* magnitudes compare as integers; a NaN is the largest */
	for (int i = 0; i < 32; i++) {
		uint32_t a = f32_bits(x[i]) & 0x7fffffff;
		top = a > top ? a : top;
	}
	return bits_f32(top);
}
#endif

/* A block too small for 127/absmax, or not finite, becomes zeros; the latter keeps
 * what is not finite as its scale. */
static inline void quantize_block(act_block *restrict b, const float *restrict x) {
	float top = absmax32(x), inv = 127.0f / top;
	if (!(inv > 0 && inv <= FLT_MAX)) {
		*b = (act_block){.scale = top <= FLT_MAX ? 0.0f : top};
		return;
	}
	b->scale = top / 127.0f;
	round_block(b, x, inv);
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
