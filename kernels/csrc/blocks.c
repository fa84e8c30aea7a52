#include "blocks.h"
#include "grids.h"

const int8_t ingot_codes_iq4[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
const int8_t ingot_codes_e2m1[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}; /* doubled */

static float f16_at(const uint8_t *p) { return f16_f32(load_u16(p)); }

static int nibble(const uint8_t *p, int i) { return p[i / 2] >> (i % 2 * 4) & 15; }

static void nibbles(int8_t *q, const uint8_t *s, int n, int minus) {
	for (int i = 0; i < n; i++) {
		q[i] = (int8_t)((s[i] & 15) - minus);
		q[n + i] = (int8_t)((s[i] >> 4) - minus);
	}
}

static void fifth_bits(int8_t *q, uint32_t high, int minus) {
	for (int i = 0; i < 32; i++) q[i] = (int8_t)((q[i] | (int)(high >> i & 1) << 4) - minus);
}

static void codes(int8_t *q, const uint8_t *s, const int8_t *table) {
	for (int i = 0; i < 16; i++) {
		q[i] = table[s[i] & 15];
		q[16 + i] = table[s[i] >> 4];
	}
}

static void pairs(int8_t *q, const uint8_t *s, int minus) {
	for (int i = 0; i < 256; i++) q[i] = (int8_t)((s[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2) & 3) - minus);
}

static void q4_0(int_block *b, const uint8_t *s) {
	b->scale[0] = f16_at(s);
	nibbles(b->q, s + 2, 16, 8);
}

static void q4_1(int_block *b, const uint8_t *s) {
	b->scale[0] = f16_at(s);
	b->min[0] = -f16_at(s + 2);
	nibbles(b->q, s + 4, 16, 0);
}

static void q5_0(int_block *b, const uint8_t *s) {
	b->scale[0] = f16_at(s);
	nibbles(b->q, s + 6, 16, 0);
	fifth_bits(b->q, load_u32(s + 2), 16);
}

static void q5_1(int_block *b, const uint8_t *s) {
	b->scale[0] = f16_at(s);
	b->min[0] = -f16_at(s + 2);
	nibbles(b->q, s + 8, 16, 0);
	fifth_bits(b->q, load_u32(s + 4), 0);
}

static void q8_0(int_block *b, const uint8_t *s) {
	b->scale[0] = f16_at(s);
	memcpy(b->q, s + 2, 32);
}

static void q2_k(int_block *b, const uint8_t *s) {
	float d = f16_at(s + 80), dmin = f16_at(s + 82);
	for (int g = 0; g < 16; g++) {
		b->scale[g] = d * (float)(s[g] & 15);
		b->min[g] = dmin * (float)(s[g] >> 4);
	}
	pairs(b->q, s + 16, 0);
}

static void q3_k(int_block *b, const uint8_t *s) {
	const uint8_t *sc = s + 96;
	float d = f16_at(s + 108);
	for (int g = 0; g < 16; g++) {
		int v = (sc[g % 8] >> (g / 8 * 4) & 15) | (sc[8 + g % 4] >> (g / 4 * 2) & 3) << 4;
		b->scale[g] = d * (float)(v - 32);
	}
	pairs(b->q, s + 32, 4);
	for (int i = 0; i < 256; i++) b->q[i] = (int8_t)(b->q[i] + (s[i % 32] >> (i / 32) & 1) * 4);
}

static void scales_k4(int_block *b, const uint8_t *s) {
	float d = f16_at(s), dmin = f16_at(s + 2);
	for (int g = 0; g < 8; g++) {
		int sc, m;
		scale_min_k4(s + 4, g, &sc, &m);
		b->scale[g] = d * (float)sc;
		b->min[g] = dmin * (float)m;
	}
}

static void q4_k(int_block *b, const uint8_t *s) {
	scales_k4(b, s);
	for (int c = 0; c < 4; c++) nibbles(b->q + 64 * c, s + 16 + 32 * c, 32, 0);
}

static void q5_k(int_block *b, const uint8_t *s) {
	scales_k4(b, s);
	for (int c = 0; c < 4; c++) nibbles(b->q + 64 * c, s + 48 + 32 * c, 32, 0);
	for (int i = 0; i < 256; i++) b->q[i] = (int8_t)(b->q[i] | (s[16 + i % 32] >> (i / 32) & 1) << 4);
}

static void q6_k(int_block *b, const uint8_t *s) {
	const uint8_t *ql = s, *qh = s + 128;
	float d = f16_at(s + 208);
	for (int g = 0; g < 16; g++) b->scale[g] = d * (float)(int8_t)s[192 + g];
	for (int i = 0; i < 256; i++) {
		int h = i / 128, j = i / 32 % 4, l = i % 32;
		int low = ql[64 * h + j % 2 * 32 + l] >> (j / 2 * 4) & 15;
		b->q[i] = (int8_t)((low | (qh[32 * h + l] >> (2 * j) & 3) << 4) - 32);
	}
}

static void iq4_nl(int_block *b, const uint8_t *s) {
	b->scale[0] = f16_at(s);
	codes(b->q, s + 2, ingot_codes_iq4);
}

static void iq4_xs(int_block *b, const uint8_t *s) {
	float d = f16_at(s);
	int high = load_u16(s + 2);
	for (int g = 0; g < 8; g++) {
		b->scale[g] = d * (float)((nibble(s + 4, g) | (high >> (2 * g) & 3) << 4) - 32);
		codes(b->q + 32 * g, s + 8 + 16 * g, ingot_codes_iq4);
	}
}

static void mxfp4(int_block *b, const uint8_t *s) {
	b->scale[0] = e8m0_half(s[0]);
	codes(b->q, s + 1, ingot_codes_e2m1);
}

/* Seven signs; the eighth makes their number even. */
static int signs7(uint32_t low) { return (int)((low & 127) | ((uint32_t)__builtin_popcount(low & 127) & 1) << 7); }

static int8_t with_sign(int v, int sign) { return (int8_t)(sign & 1 ? -v : v); }

static void put_iq2(int8_t *q, uint16_t vector, int signs) {
	static const int8_t magnitude[4] = {8, 25, 43, 0};
	for (int i = 0; i < 8; i++) q[i] = with_sign(magnitude[vector >> (2 * i) & 3], signs >> i);
}

static float quarter(float d, int sc) { return d * (0.5f + (float)sc) * 0.25f; }

static void iq2_xxs(int_block *b, const uint8_t *s) {
	float d = f16_at(s);
	for (int g = 0; g < 8; g++) {
		const uint8_t *p = s + 2 + 8 * g;
		uint32_t word = load_u32(p + 4);
		b->scale[g] = quarter(d, (int)(word >> 28));
		for (int k = 0; k < 4; k++) put_iq2(b->q + 32 * g + 8 * k, grid_iq2xxs[p[k]], signs7(word >> (7 * k)));
	}
}

static void iq2_xs(int_block *b, const uint8_t *s) {
	float d = f16_at(s);
	for (int g = 0; g < 16; g++) b->scale[g] = quarter(d, nibble(s + 66, g));
	for (int k = 0; k < 32; k++) {
		uint32_t word = load_u16(s + 2 + 2 * k);
		put_iq2(b->q + 8 * k, grid_iq2xs[word & 511], signs7(word >> 9));
	}
}

static void iq2_s(int_block *b, const uint8_t *s) {
	float d = f16_at(s);
	for (int g = 0; g < 16; g++) b->scale[g] = quarter(d, nibble(s + 74, g));
	for (int k = 0; k < 32; k++) {
		int high = s[66 + k / 4] >> (k % 4 * 2) & 3;
		put_iq2(b->q + 8 * k, grid_iq2s[s[2 + k] | high << 8], s[34 + k]);
	}
}

static void iq3_xxs(int_block *b, const uint8_t *s) {
	static const int8_t magnitude[8] = {4, 12, 20, 28, 36, 44, 52, 62};
	float d = f16_at(s);
	for (int g = 0; g < 8; g++) {
		uint32_t word = load_u32(s + 66 + 4 * g);
		b->scale[g] = d * (0.5f + (float)(word >> 28)) * 0.5f;
		for (int i = 0; i < 32; i++) {
			int vector = grid_iq3xxs[s[2 + 8 * g + i / 4]], signs = signs7(word >> (i / 8 * 7));
			b->q[32 * g + i] = with_sign(magnitude[vector >> (i % 4 * 4) & 7], signs >> i % 8);
		}
	}
}

static void iq3_s(int_block *b, const uint8_t *s) {
	float d = f16_at(s);
	for (int g = 0; g < 8; g++) b->scale[g] = d * (float)(2 * nibble(s + 106, g) + 1);
	for (int i = 0; i < 256; i++) {
		int k = i / 4, high = s[66 + k / 8] >> (k % 8) & 1;
		int vector = grid_iq3s[s[2 + k] | high << 8];
		b->q[i] = with_sign((vector >> (i % 4 * 4) & 15) * 2 + 1, s[74 + i / 8] >> i % 8);
	}
}

static void put_iq1(int8_t *q, int position, int negative) {
	for (int i = 0; i < 8; i++) q[i] = (int8_t)((grid_iq1[position] >> (2 * i) & 3) * 8 - 8 + (negative ? -1 : 1));
}

/* The eighths of IQ1 go into the integers: 8 t +- 1. */
static float eighth(float d, int sc) { return d * (float)(2 * sc + 1) * 0.125f; }

static void iq1_s(int_block *b, const uint8_t *s) {
	float d = f16_at(s);
	for (int g = 0; g < 8; g++) {
		int qh = load_u16(s + 34 + 2 * g);
		b->scale[g] = eighth(d, qh >> 12 & 7);
		for (int k = 0; k < 4; k++)
			put_iq1(b->q + 32 * g + 8 * k, s[2 + 4 * g + k] | (qh >> (3 * k) & 7) << 8, qh >> 15);
	}
}

static void iq1_m(int_block *b, const uint8_t *s) {
	uint32_t d = 0;
	for (int w = 0; w < 4; w++) d |= (uint32_t)load_u16(s + 48 + 2 * w) >> 12 << (4 * w);
	for (int g = 0; g < 16; g++) b->scale[g] = eighth(f16_f32((uint16_t)d), load_u16(s + 48 + g / 4 * 2) >> (g % 4 * 3) & 7);
	for (int k = 0; k < 32; k++) {
		int high = nibble(s + 32, k);
		put_iq1(b->q + 8 * k, s[k] | (high & 7) << 8, high & 8);
	}
}

static void one_scale(int_block *b, float d) {
	for (int g = 0; g < 8; g++) b->scale[g] = d;
}

/* Digits base 3: n bytes give elements p*n + i for p < count/n. */
static void trits(int8_t *q, const uint8_t *s, int n, int count) {
	for (int i = 0; i < n; i++) {
		uint8_t v = s[i];
		for (int e = i; e < count; e += n, v = (uint8_t)(v * 3)) q[e] = (int8_t)((v * 3 >> 8) - 1);
	}
}

static void tq1_0(int_block *b, const uint8_t *s) {
	one_scale(b, f16_at(s + 52));
	trits(b->q, s, 32, 160);
	trits(b->q + 160, s + 32, 16, 80);
	trits(b->q + 240, s + 48, 4, 16);
}

static void tq2_0(int_block *b, const uint8_t *s) {
	one_scale(b, f16_at(s + 64));
	pairs(b->q, s, 1);
}

const block_type *ingot_block_type(uint32_t dtype) {
	static const block_type types[INGOT_MXFP4 + 1] = {
		[INGOT_F32] = {1, 4, 0, 0, 0, 0}, [INGOT_F16] = {1, 2, 0, 0, 0, 0}, [INGOT_BF16] = {1, 2, 0, 0, 0, 0},
		[INGOT_Q4_0] = {32, 18, 32, 0, 3, q4_0}, [INGOT_Q4_1] = {32, 20, 32, 1, 0, q4_1},
		[INGOT_Q5_0] = {32, 22, 32, 0, 4, q5_0}, [INGOT_Q5_1] = {32, 24, 32, 1, 0, q5_1},
		[INGOT_Q8_0] = {32, 34, 32, 0, 7, q8_0}, [INGOT_IQ4_NL] = {32, 18, 32, 0, 7, iq4_nl},
		[INGOT_MXFP4] = {32, 17, 32, 0, 4, mxfp4},
		[INGOT_Q2_K] = {256, 84, 16, 1, 0, q2_k}, [INGOT_Q3_K] = {256, 110, 16, 0, 2, q3_k},
		[INGOT_Q4_K] = {256, 144, 32, 1, 0, q4_k}, [INGOT_Q5_K] = {256, 176, 32, 1, 0, q5_k},
		[INGOT_Q6_K] = {256, 210, 16, 0, 5, q6_k}, [INGOT_IQ4_XS] = {256, 136, 32, 0, 7, iq4_xs},
		[INGOT_IQ2_XXS] = {256, 66, 32, 0, 6, iq2_xxs}, [INGOT_IQ2_XS] = {256, 74, 16, 0, 6, iq2_xs},
		[INGOT_IQ2_S] = {256, 82, 16, 0, 6, iq2_s}, [INGOT_IQ3_XXS] = {256, 98, 32, 0, 6, iq3_xxs},
		[INGOT_IQ3_S] = {256, 110, 32, 0, 5, iq3_s}, [INGOT_IQ1_S] = {256, 50, 32, 0, 4, iq1_s},
		[INGOT_IQ1_M] = {256, 56, 16, 0, 4, iq1_m}, [INGOT_TQ1_0] = {256, 54, 32, 0, 1, tq1_0},
		[INGOT_TQ2_0] = {256, 66, 32, 0, 1, tq2_0},
	};
	static const block_type unknown = {0};
	return dtype <= INGOT_MXFP4 ? &types[dtype] : &unknown;
}

static void decode_plain(uint32_t dtype, const uint8_t *p, int64_t n, float *out) {
	switch (dtype) {
	case INGOT_F32: memcpy(out, p, (size_t)n * 4); break;
	case INGOT_F16: for (int64_t i = 0; i < n; i++) out[i] = f16_at(p + 2 * i); break;
	case INGOT_BF16: for (int64_t i = 0; i < n; i++) out[i] = bf16_f32(load_u16(p + 2 * i)); break;
	}
}

void ingot_decode(uint32_t dtype, const uint8_t *row, int64_t k0, int64_t n, float *out) {
	const block_type *t = ingot_block_type(dtype);
	row += k0 / t->elems * t->bytes;
	if (!t->unpack) {
		decode_plain(dtype, row, n, out);
		return;
	}
	int_block b;
	for (int64_t k = 0; k < n; k += t->elems, row += t->bytes) {
		t->unpack(&b, row);
		for (int i = 0; i < t->elems && k + i < n; i++) {
			int g = i / t->group;
			float v = b.scale[g] * (float)b.q[i];
			out[k + i] = t->has_min ? v - b.min[g] : v;
		}
	}
}
