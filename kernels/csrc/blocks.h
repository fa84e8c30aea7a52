/* Block formats of weights: sizes, conversions of halves, and every block type in the
 * integer form  w[i] = scale[i/group] * q[i] - min[i/group]  (see quant/introw.go). */
#ifndef INGOT_BLOCKS_H
#define INGOT_BLOCKS_H
#include "ingot.h"
#include <string.h>

typedef struct {
	int8_t q[256];
	float scale[16], min[16];
} int_block;

typedef struct {
	int elems, bytes;          /* of a block; elems 0: unknown type */
	int group;                 /* elements per scale: 16 or 32; 0: a plain type */
	int has_min;
	int shift;                 /* q + (1 << shift) is unsigned; 0: q is unsigned as it lies */
	void (*unpack)(int_block *, const uint8_t *);
} block_type;

const block_type *ingot_block_type(uint32_t dtype);

/* Decodes n elements of a row from element k0 to f32; k0 is a multiple of the block. */
void ingot_decode(uint32_t dtype, const uint8_t *row, int64_t k0, int64_t n, float *out);

extern const int8_t ingot_codes_iq4[16], ingot_codes_e2m1[16];

static inline float bits_f32(uint32_t u) {
	float f;
	memcpy(&f, &u, 4);
	return f;
}
static inline uint32_t f32_bits(float f) {
	uint32_t u;
	memcpy(&u, &f, 4);
	return u;
}
static inline uint16_t load_u16(const uint8_t *p) {
	uint16_t u;
	memcpy(&u, p, 2);
	return u;
}
static inline uint32_t load_u32(const uint8_t *p) {
	uint32_t u;
	memcpy(&u, p, 4);
	return u;
}
static inline float bf16_f32(uint16_t h) { return bits_f32((uint32_t)h << 16); }

/* Half to even; a NaN stays a (quiet) NaN. */
static inline uint16_t f32_bf16(float f) {
	uint32_t u = f32_bits(f), r = (u + 0x7fff + (u >> 16 & 1)) >> 16;
	return (uint16_t)((u & 0x7fffffff) > 0x7f800000 ? (u >> 16 | 64) : r);
}

/* The exponent is rebased by a multiplication, which is exact, also for subnormals. */
static inline float f16_f32(uint16_t h) {
	uint32_t em = (uint32_t)(h & 0x7fff) << 13, sign = (uint32_t)(h & 0x8000) << 16;
	float f = bits_f32(em) * 0x1p112f;
	uint32_t u = em >= 0x0f800000 ? em | 0x7f800000 : f32_bits(f); /* infinity, NaN */
	return bits_f32(u | sign);
}

/* Half to even, overflow to infinity. */
static inline uint16_t f32_f16(float f) {
	uint32_t u = f32_bits(f), sign = u >> 16 & 0x8000, a = u & 0x7fffffff;
	if (a > 0x7f800000) return (uint16_t)(sign | 0x7e00);
	if (a >= 0x477ff000) return (uint16_t)(sign | 0x7c00);
	if (a < 0x38800000) /* subnormal: the addition rounds at 2^-24 */
		return (uint16_t)(sign | (f32_bits(bits_f32(a) + 0.5f) - 0x3f000000));
	return (uint16_t)(sign | ((a + 0xfff + (a >> 13 & 1) - 0x38000000) >> 13));
}

/* 2^(e-127) / 2, MXFP4's scale; subnormal below e = 2. */
static inline float e8m0_half(uint8_t e) {
	return bits_f32(e < 2 ? 0x00200000u << e : (uint32_t)(e - 1) << 23);
}

/* The six-bit scale and minimum j of Q4_K and Q5_K. */
static inline void scale_min_k4(const uint8_t *s, int j, int *sc, int *m) {
	if (j < 4) {
		*sc = s[j] & 63;
		*m = s[j + 4] & 63;
	} else {
		*sc = (s[j + 4] & 15) | s[j - 4] >> 6 << 4;
		*m = s[j + 4] >> 4 | s[j] >> 6 << 4;
	}
}
#endif
