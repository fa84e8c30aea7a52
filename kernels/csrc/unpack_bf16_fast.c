/* Rows of weights as bf16 with AVX-512. Types of four or five bits make a table of
 * their 16 or 32 values (scale x code - minimum, rounded once), from which one permute
 * takes 32 elements. vcvtne2ps2bf16 treats subnormal numbers as zero, the only
 * difference from unpack_bf16.c, which does the types that are absent here. */
#include "bf16.h"
#include "vec.h"

/* Where the next 32 elements go. Rows take it by value, so that it stays in registers. */
typedef struct {
	uint16_t *out;
	int64_t step;
} sink;

INLINE void put(sink *s, __m512i v) {
	_mm512_storeu_si512(s->out, v);
	s->out += s->step;
}

INLINE __m512i round2(__m512 lo, __m512 hi) { return (__m512i)_mm512_cvtne2ps_pbh(hi, lo); }

INLINE __m512 table16(__m512 codes, float scale, float min) {
	return _mm512_sub_ps(_mm512_mul_ps(codes, _mm512_set1_ps(scale)), _mm512_set1_ps(min));
}

INLINE __m512 codes16(const int8_t *codes) { return vf_load_i8(codes).p[0]; }

INLINE __m512i words(const uint8_t *p) { return _mm512_cvtepu8_epi16(_mm256_loadu_si256((const void *)p)); }

INLINE __m512i low_word4(__m512i w) { return _mm512_and_si512(w, _mm512_set1_epi16(15)); }

/* Two blocks of 32 nibbles, low nibbles first, each with its table. */
INLINE void nibbles2(sink *s, const uint8_t *q0, const uint8_t *q1, __m512 t0, __m512 t1) {
	const __m512i second = _mm512_inserti64x4(_mm512_setzero_si512(), _mm256_set1_epi16(16), 1);
	__m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const void *)q0)), _mm_loadu_si128((const void *)q1), 1);
	__m512i table = round2(t0, t1), w = _mm512_cvtepu8_epi16(both);
	__m512i lo = _mm512_permutexvar_epi16(_mm512_or_si512(low_word4(w), second), table);
	__m512i hi = _mm512_permutexvar_epi16(_mm512_or_si512(_mm512_srli_epi16(w, 4), second), table);
	_mm256_storeu_si256((void *)s->out, _mm512_castsi512_si256(lo));
	_mm256_storeu_si256((void *)(s->out + 16), _mm512_castsi512_si256(hi));
	s->out += s->step;
	_mm256_storeu_si256((void *)s->out, _mm512_extracti64x4_epi64(lo, 1));
	_mm256_storeu_si256((void *)(s->out + 16), _mm512_extracti64x4_epi64(hi, 1));
	s->out += s->step;
}

/* One block. */
INLINE void nibbles1(sink *s, const uint8_t *q, __m512 t) {
	__m256i w = _mm256_cvtepu8_epi16(_mm_loadu_si128((const void *)q));
	__m512i index = _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_and_si256(w, _mm256_set1_epi16(15))), _mm256_srli_epi16(w, 4), 1);
	put(s, _mm512_permutexvar_epi16(index, round2(t, t)));
}

INLINE float half(const uint8_t *p) { return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(load_u16(p)))); }

/* Makes gcc keep an array in memory: loads that broadcast are free, while the shuffles
 * that it would take instead compete with the permutes for one port. */
#define IN_MEMORY(array) __asm__("" : "+m"(array))

/* The f16 numbers at p, p + bytes, ... (at most 16) as f32: converted together, as
 * one at a time the conversions take half of the time of a row. */
INLINE void halves(const uint8_t *p, int blocks, int bytes, float to[16]) {
	ALIGNED uint16_t h[16];
	for (int b = 0; b < blocks; b++) h[b] = load_u16(p + b * bytes);
	IN_MEMORY(h);
	_mm512_storeu_ps(to, _mm512_cvtph_ps(_mm256_load_si256((const void *)h)));
}

INLINE void exponents(const uint8_t *p, int blocks, int bytes, float to[16]) {
	for (int b = 0; b < blocks; b++) to[b] = e8m0_half(p[b * bytes]);
}

typedef void (*scales_fn)(const uint8_t *p, int blocks, int bytes, float to[16]);

INLINE __m512 table_of(__m512 codes, const float *scale, const float *min, int b, int has_min) {
	__m512 t = _mm512_mul_ps(codes, _mm512_set1_ps(scale[b]));
	return has_min ? _mm512_add_ps(t, _mm512_set1_ps(min[b])) : t;
}

/* Up to 16 blocks of 32 with nibbles at qs: scales from the blocks' start, the minimum
 * (an f16 that is added) at +2. */
INLINE void nibble_blocks(const uint8_t *p, int blocks, sink *s, int bytes, int qs, __m512 codes, scales_fn scales, int has_min) {
	ALIGNED float scale[16], min[16];
	int b = 0;
	scales(p, blocks, bytes, scale);
	if (has_min) halves(p + 2, blocks, bytes, min);
	IN_MEMORY(scale);
	IN_MEMORY(min);
	for (; b + 2 <= blocks; b += 2) {
		const uint8_t *q = p + b * bytes + qs;
		nibbles2(s, q, q + bytes, table_of(codes, scale, min, b, has_min), table_of(codes, scale, min, b + 1, has_min));
	}
	if (b < blocks) nibbles1(s, p + b * bytes + qs, table_of(codes, scale, min, b, has_min));
}

INLINE void nibble_row(const uint8_t *p, int64_t n, sink s, int bytes, int qs, const int8_t *codes, scales_fn scales, int has_min) {
	__m512 c = codes16(codes);
	for (; n >= 512; n -= 512, p += 16 * bytes) nibble_blocks(p, 16, &s, bytes, qs, c, scales, has_min);
	nibble_blocks(p, (int)(n / 32), &s, bytes, qs, c, scales, has_min);
}

static const int8_t from_minus_8[16] = {-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7};
static const int8_t from_0[32] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};
static const int8_t from_minus_16[32] = {-16, -15, -14, -13, -12, -11, -10, -9, -8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

static void q4_0(const uint8_t *p, int64_t n, sink s) { nibble_row(p, n, s, 18, 2, from_minus_8, halves, 0); }
static void q4_1(const uint8_t *p, int64_t n, sink s) { nibble_row(p, n, s, 20, 4, from_0, halves, 1); }
static void iq4_nl(const uint8_t *p, int64_t n, sink s) { nibble_row(p, n, s, 18, 2, ingot_codes_iq4, halves, 0); }
static void mxfp4(const uint8_t *p, int64_t n, sink s) { nibble_row(p, n, s, 17, 1, ingot_codes_e2m1, exponents, 0); }

static void iq4_xs(const uint8_t *p, int64_t n, sink s) {
	__m512 c = codes16(ingot_codes_iq4);
	for (int64_t k = 0; k < n; k += 256, p += 136) {
		float d = half(p);
		uint32_t high = load_u16(p + 2), low = load_u32(p + 4);
		for (int g = 0; g < 8; g += 2, high >>= 4, low >>= 8) {
			int s0 = (int)((low & 15) | (high & 3) << 4) - 32, s1 = (int)((low >> 4 & 15) | (high >> 2 & 3) << 4) - 32;
			nibbles2(&s, p + 8 + 16 * g, p + 24 + 16 * g, table16(c, d * (float)s0, 0), table16(c, d * (float)s1, 0));
		}
	}
}

/* Blocks of 32 with five bits: nibbles at qs and a 32-bit word before them. */
INLINE void five_bit_row(const uint8_t *p, int64_t n, sink s, int bytes, int qs, const int8_t *codes, int has_min) {
	__m512 c0 = codes16(codes), c1 = codes16(codes + 16);
	for (int64_t k = 0; k < n; k += 32, p += bytes) {
		float d = half(p), m = has_min ? -half(p + 2) : 0;
		__m256i w = _mm256_cvtepu8_epi16(_mm_loadu_si128((const void *)(p + qs)));
		__m512i index = _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_and_si256(w, _mm256_set1_epi16(15))), _mm256_srli_epi16(w, 4), 1);
		index = _mm512_or_si512(index, _mm512_maskz_set1_epi16(load_u32(p + qs - 4), 16));
		put(&s, _mm512_permutexvar_epi16(index, round2(table16(c0, d, m), table16(c1, d, m))));
	}
}

static void q5_0(const uint8_t *p, int64_t n, sink s) { five_bit_row(p, n, s, 22, 6, from_minus_16, 0); }
static void q5_1(const uint8_t *p, int64_t n, sink s) { five_bit_row(p, n, s, 24, 8, from_0, 1); }

INLINE void q8_0_blocks(const uint8_t *p, int blocks, sink *s) {
	ALIGNED float scale[16];
	halves(p, blocks, 34, scale);
	IN_MEMORY(scale);
	for (int b = 0; b < blocks; b++, p += 34) {
		__m512 d = _mm512_set1_ps(scale[b]);
		put(s, round2(_mm512_mul_ps(codes16((const int8_t *)p + 2), d), _mm512_mul_ps(codes16((const int8_t *)p + 18), d)));
	}
}

static void q8_0(const uint8_t *p, int64_t n, sink s) {
	for (; n >= 512; n -= 512, p += 16 * 34) q8_0_blocks(p, 16, &s);
	q8_0_blocks(p, (int)(n / 32), &s);
}

/* d * sc and dmin * m of the eight groups of Q4_K and Q5_K. */
INLINE void scales_k4(const uint8_t *p, float scale[8], float min[8]) {
	uint32_t a = load_u32(p + 4), b = load_u32(p + 8), c = load_u32(p + 12);
	uint64_t sc = (a & 0x3f3f3f3f) | (uint64_t)((c & 0x0f0f0f0f) | (a >> 2 & 0x30303030)) << 32;
	uint64_t m = (b & 0x3f3f3f3f) | (uint64_t)((c >> 4 & 0x0f0f0f0f) | (b >> 2 & 0x30303030)) << 32;
	__m256 s = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_cvtsi64_si128((int64_t)sc)));
	__m256 t = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_cvtsi64_si128((int64_t)m)));
	_mm256_storeu_ps(scale, _mm256_mul_ps(_mm256_set1_ps(half(p)), s));
	_mm256_storeu_ps(min, _mm256_mul_ps(_mm256_set1_ps(half(p + 2)), t));
}

static void q4_k(const uint8_t *p, int64_t n, sink s) {
	__m512 c = codes16(from_0);
	const __m512i second = _mm512_set1_epi16(16);
	for (int64_t k = 0; k < n; k += 256, p += 144) {
		float scale[8], min[8];
		scales_k4(p, scale, min);
		for (int g = 0; g < 8; g += 2) {
			__m512i table = round2(table16(c, scale[g], min[g]), table16(c, scale[g + 1], min[g + 1])), w = words(p + 16 + 16 * g);
			put(&s, _mm512_permutexvar_epi16(low_word4(w), table));
			put(&s, _mm512_permutexvar_epi16(_mm512_or_si512(_mm512_srli_epi16(w, 4), second), table));
		}
	}
}

static void q5_k(const uint8_t *p, int64_t n, sink s) {
	__m512 c0 = codes16(from_0), c1 = codes16(from_0 + 16);
	const __m512i fifth = _mm512_set1_epi16(16);
	for (int64_t k = 0; k < n; k += 256, p += 176) {
		float scale[8], min[8];
		scales_k4(p, scale, min);
		__m512i high = _mm512_slli_epi16(words(p + 16), 4);
		for (int g = 0; g < 8; g++, high = _mm512_srli_epi16(high, 1)) {
			__m512i w = words(p + 48 + 32 * (g / 2));
			w = g % 2 ? _mm512_srli_epi16(w, 4) : low_word4(w);
			w = _mm512_or_si512(w, _mm512_and_si512(high, fifth));
			put(&s, _mm512_permutexvar_epi16(w, round2(table16(c0, scale[g], min[g]), table16(c1, scale[g], min[g]))));
		}
	}
}

INLINE __m512 widen(__m128i q) { return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(q)); }

static void q6_k(const uint8_t *p, int64_t n, sink s) {
	const __m256i four = _mm256_set1_epi8(15), two = _mm256_set1_epi8(48), bias = _mm256_set1_epi8(32);
	for (int64_t k = 0; k < n; k += 256, p += 210) {
		ALIGNED float scale[16];
		_mm512_store_ps(scale, _mm512_mul_ps(codes16((const int8_t *)p + 192), _mm512_set1_ps(half(p + 208))));
		for (int g = 0; g < 8; g++) {
			__m256i l = _mm256_loadu_si256((const void *)(p + g / 4 * 64 + g % 2 * 32));
			__m256i h = _mm256_loadu_si256((const void *)(p + 128 + g / 4 * 32));
			l = g % 4 >= 2 ? _mm256_srli_epi16(l, 4) : l;
			h = g % 4 == 0 ? _mm256_slli_epi16(h, 4) : g % 4 == 1 ? _mm256_slli_epi16(h, 2) : g % 4 == 3 ? _mm256_srli_epi16(h, 2) : h;
			__m256i q = _mm256_sub_epi8(_mm256_or_si256(_mm256_and_si256(l, four), _mm256_and_si256(h, two)), bias);
			__m512 a = _mm512_mul_ps(widen(_mm256_castsi256_si128(q)), _mm512_set1_ps(scale[2 * g]));
			put(&s, round2(a, _mm512_mul_ps(widen(_mm256_extracti128_si256(q, 1)), _mm512_set1_ps(scale[2 * g + 1]))));
		}
	}
}

INLINE __mmask32 first(int64_t n) { return n >= 32 ? ~0u : (1u << n) - 1; }

static void bf16(const uint8_t *p, int64_t n, sink s) {
	for (int64_t k = 0; k < n; k += 32) put(&s, _mm512_maskz_loadu_epi16(first(n - k), p + 2 * k));
}

static void f16(const uint8_t *p, int64_t n, sink s) {
	for (int64_t k = 0; k < n; k += 32) {
		__m512i h = _mm512_maskz_loadu_epi16(first(n - k), p + 2 * k);
		put(&s, round2(_mm512_cvtph_ps(_mm512_castsi512_si256(h)), _mm512_cvtph_ps(_mm512_extracti64x4_epi64(h, 1))));
	}
}

void unpack_bf16_avx512(uint32_t type, const uint8_t *row, int64_t k0, int64_t n, uint16_t *restrict out, int64_t step);

void NAME(unpack_bf16)(uint32_t type, const uint8_t *row, int64_t k0, int64_t n, uint16_t *restrict out, int64_t step) {
	static void (*const fn[INGOT_MXFP4 + 1])(const uint8_t *, int64_t, sink) = {
		[INGOT_BF16] = bf16, [INGOT_F16] = f16, [INGOT_Q4_0] = q4_0, [INGOT_Q4_1] = q4_1, [INGOT_Q5_0] = q5_0, [INGOT_Q5_1] = q5_1,
		[INGOT_Q8_0] = q8_0, [INGOT_IQ4_NL] = iq4_nl, [INGOT_MXFP4] = mxfp4, [INGOT_IQ4_XS] = iq4_xs, [INGOT_Q4_K] = q4_k,
		[INGOT_Q5_K] = q5_k, [INGOT_Q6_K] = q6_k,
	};
	const block_type *t = ingot_block_type(type);
	if (!fn[type]) {
		unpack_bf16_avx512(type, row, k0, n, out, step);
		return;
	}
	fn[type](row + k0 / t->elems * t->bytes, n, (sink){out, step});
}
