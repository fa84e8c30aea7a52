/* Sixteen lanes on every machine: one register with AVX-512, two with AVX2, four of
 * the compiler's vectors elsewhere. vf holds f32, vi the same bits as integers (i32
 * lanes; some operations see 64 bytes). Kernels written on these few functions need no
 * other code per instruction set. */
#ifndef INGOT_VEC_H
#define INGOT_VEC_H
#include <math.h>
#include "blocks.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif
#define INLINE static inline __attribute__((always_inline))

#if defined(__AVX512F__)
#define PARTS 1
typedef __m512 pf;
typedef __m512i pi;
#elif defined(__AVX2__)
#define PARTS 2
typedef __m256 pf;
typedef __m256i pi;
#else
#define PARTS 4
typedef float pf __attribute__((vector_size(16)));
typedef int32_t pi __attribute__((vector_size(16)));
typedef uint32_t pu __attribute__((vector_size(16)));
#endif
#define PLANES (16 / PARTS) /* lanes of a part */
typedef struct { pf p[PARTS]; } vf;
typedef struct { pi p[PARTS]; } vi;
#define EACH _Pragma("GCC unroll 4") for (int part = 0; part < PARTS; part++)

#if defined(__AVX512F__)
#define P_SETF _mm512_set1_ps
#define P_SETI _mm512_set1_epi32
#define P_LOADF _mm512_loadu_ps
#define P_STOREF _mm512_storeu_ps
#define P_LOADI(q) _mm512_loadu_si512((const void *)(q))
#define P_STOREI(q, v) _mm512_storeu_si512((void *)(q), v)
#define P_ADD _mm512_add_ps
#define P_MUL _mm512_mul_ps
#define P_FMA _mm512_fmadd_ps
#define P_MAX _mm512_max_ps
#define P_SUB _mm512_sub_ps
#define P_CASTI _mm512_castps_si512
#define P_AND _mm512_and_si512
#define P_OR _mm512_or_si512
#define P_XOR _mm512_xor_si512
#define P_SRL _mm512_srli_epi32
#define P_SLL _mm512_slli_epi32
#define P_SRA _mm512_srai_epi32
#define P_ADDI _mm512_add_epi32
#define P_TOF _mm512_cvtepi32_ps
#define P_CASTF _mm512_castsi512_ps
#elif defined(__AVX2__)
#define P_SETF _mm256_set1_ps
#define P_SETI _mm256_set1_epi32
#define P_LOADF _mm256_loadu_ps
#define P_STOREF _mm256_storeu_ps
#define P_LOADI(q) _mm256_loadu_si256((const __m256i *)(const void *)(q))
#define P_STOREI(q, v) _mm256_storeu_si256((__m256i *)(void *)(q), v)
#define P_ADD _mm256_add_ps
#define P_MUL _mm256_mul_ps
#define P_FMA _mm256_fmadd_ps
#define P_MAX _mm256_max_ps
#define P_AND _mm256_and_si256
#define P_OR _mm256_or_si256
#define P_XOR _mm256_xor_si256
#define P_SRL _mm256_srli_epi32
#define P_SLL _mm256_slli_epi32
#define P_SRA _mm256_srai_epi32
#define P_ADDI _mm256_add_epi32
#define P_TOF _mm256_cvtepi32_ps
#define P_CASTF _mm256_castsi256_ps
#define P_MAX _mm256_max_ps
#define P_SUB _mm256_sub_ps
#define P_CASTI _mm256_castps_si256
#else
static inline pf P_SETF(float x) { return (pf){x, x, x, x}; }
static inline pi P_SETI(int32_t x) { return (pi){x, x, x, x}; }
static inline pf P_LOADF(const float *q) { pf v; memcpy(&v, q, sizeof v); return v; }
static inline void P_STOREF(float *q, pf v) { memcpy(q, &v, sizeof v); }
static inline pi P_LOADI(const void *q) { pi v; memcpy(&v, q, sizeof v); return v; }
static inline void P_STOREI(void *q, pi v) { memcpy(q, &v, sizeof v); }
#define P_ADD(a, b) ((a) + (b))
#define P_MUL(a, b) ((a) * (b))
static inline pf P_FMA(pf a, pf b, pf c) { /* rounded once, as the int8 mode demands */
	for (int l = 0; l < 4; l++) c[l] = fmaf(a[l], b[l], c[l]);
	return c;
}
#define P_AND(a, b) ((a) & (b))
#define P_OR(a, b) ((a) | (b))
#define P_XOR(a, b) ((a) ^ (b))
#define P_SRL(a, n) ((pi)((pu)(a) >> (n)))
#define P_SLL(a, n) ((pi)((pu)(a) << (n)))
#define P_SRA(a, n) ((a) >> (n))
#define P_ADDI(a, b) ((a) + (b))
#define P_TOF(a) __builtin_convertvector(a, pf)
#define P_CASTF(a) ((pf)(a))
#define P_CASTI(a) ((pi)(a))
#define P_SUB(a, b) ((a) - (b))
static inline pf P_MAX(pf a, pf b) { /* b where one is a NaN, as the machines do */
	for (int l = 0; l < 4; l++) b[l] = a[l] > b[l] ? a[l] : b[l];
	return b;
}
#endif

#define UNARY(name, in, out, f) INLINE out name(in a) { out r; EACH r.p[part] = f(a.p[part]); return r; }
#define BINARY(name, type, f) INLINE type name(type a, type b) { type r; EACH r.p[part] = f(a.p[part], b.p[part]); return r; }
BINARY(vf_add, vf, P_ADD)
BINARY(vf_mul, vf, P_MUL)
BINARY(vf_sub, vf, P_SUB)
BINARY(vf_max, vf, P_MAX) /* the second where one is a NaN */
BINARY(vi_and, vi, P_AND)
BINARY(vi_or, vi, P_OR)
BINARY(vi_xor, vi, P_XOR)
BINARY(vi_add, vi, P_ADDI)
UNARY(vf_of, vi, vf, P_TOF)
UNARY(vf_bits, vi, vf, P_CASTF)
UNARY(vi_bits, vf, vi, P_CASTI)
#undef UNARY
#undef BINARY

INLINE vf vf_set(float x) { vf r; EACH r.p[part] = P_SETF(x); return r; }
INLINE vi vi_set(int32_t x) { vi r; EACH r.p[part] = P_SETI(x); return r; }
INLINE vi vi_bytes(uint8_t x) { return vi_set((int32_t)(x * 0x01010101u)); }
INLINE vf vf_load(const float *q) { vf r; EACH r.p[part] = P_LOADF(q + part * PLANES); return r; }
INLINE void vf_store(float *q, vf v) { EACH P_STOREF(q + part * PLANES, v.p[part]); }
INLINE vi vi_load(const void *q) { vi r; EACH r.p[part] = P_LOADI((const uint8_t *)q + part * PLANES * 4); return r; }
INLINE void vi_store(void *q, vi v) { EACH P_STOREI((uint8_t *)q + part * PLANES * 4, v.p[part]); }
INLINE vf vf_fma(vf a, vf b, vf c) { EACH c.p[part] = P_FMA(a.p[part], b.p[part], c.p[part]); return c; }
INLINE vi vi_srl(vi a, int n) { EACH a.p[part] = P_SRL(a.p[part], n); return a; }
/* Byte i of each lane, signed. */
INLINE vi vi_byte(vi a, int i) { EACH a.p[part] = P_SRA(P_SLL(a.p[part], 24 - 8 * i), 24); return a; }
INLINE vi vi_sll(vi a, int n) { EACH a.p[part] = P_SLL(a.p[part], n); return a; }

/* a * b + c where one rounding or two make no promise: the fastest of the machine. */
INLINE vf vf_mla(vf a, vf b, vf c) {
#if defined(__AVX2__)
	return vf_fma(a, b, c);
#else
	return vf_add(vf_mul(a, b), c);
#endif
}

/* 16 bf16, f16, i8 in memory as f32. */
INLINE vf vf_load_bf16(const uint16_t *q) {
#if defined(__AVX512F__)
	return (vf){{_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)q)), 16))}};
#elif defined(__AVX2__)
	vf r;
	EACH r.p[part] = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)(q + 8 * part))), 16));
	return r;
#else
	float t[16];
	for (int l = 0; l < 16; l++) t[l] = bf16_f32(q[l]);
	return vf_load(t);
#endif
}

INLINE vf vf_load_f16(const uint16_t *q) {
#if defined(__AVX512F__)
	return (vf){{_mm512_cvtph_ps(_mm256_loadu_si256((const void *)q))}};
#elif defined(__AVX2__)
	vf r;
	EACH r.p[part] = _mm256_cvtph_ps(_mm_loadu_si128((const void *)(q + 8 * part)));
	return r;
#else
	float t[16];
	for (int l = 0; l < 16; l++) t[l] = f16_f32(q[l]);
	return vf_load(t);
#endif
}

/* The low halves of 16 dwords, as f16. */
INLINE vf vf_low_f16(vi v) {
#if defined(__AVX512F__)
	return (vf){{_mm512_cvtph_ps(_mm512_cvtepi32_epi16(v.p[0]))}};
#else
	uint32_t words[16];
	uint16_t h[16];
	vi_store(words, v);
	for (int l = 0; l < 16; l++) h[l] = (uint16_t)words[l];
	return vf_load_f16(h);
#endif
}

INLINE vf vf_load_i8(const int8_t *q) {
#if defined(__AVX512F__)
	return (vf){{_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)q)))}};
#elif defined(__AVX2__)
	vf r;
	EACH r.p[part] = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)(q + 8 * part))));
	return r;
#else
	float t[16];
	for (int l = 0; l < 16; l++) t[l] = q[l];
	return vf_load(t);
#endif
}

/* Lane l plus lane l+8, +4, +2, +1. */
INLINE float vf_total(vf v) {
#if defined(__AVX2__)
#if defined(__AVX512F__)
	__m256 h = _mm256_add_ps(_mm512_castps512_ps256(v.p[0]), _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(v.p[0]), 1)));
#else
	__m256 h = _mm256_add_ps(v.p[0], v.p[1]);
#endif
	__m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
	q = _mm_add_ps(q, _mm_movehl_ps(q, q));
	return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
#else
	pf q = (v.p[0] + v.p[2]) + (v.p[1] + v.p[3]);
	return (q[0] + q[2]) + (q[1] + q[3]);
#endif
}

/* The largest lane. */
INLINE float vf_top(vf v) {
#if defined(__AVX512F__)
	return _mm512_reduce_max_ps(v.p[0]);
#else
	float lane[16];
	vf_store(lane, v);
	for (int half = 8; half > 0; half /= 2)
		for (int l = 0; l < half; l++) lane[l] = lane[l + half] > lane[l] ? lane[l + half] : lane[l];
	return lane[0];
#endif
}

/* Lanes from ... to of v, other elsewhere. */
INLINE vf vf_within(vf v, int from, int to, float other) {
#if defined(__AVX512F__)
	uint32_t keep = (to >= 15 ? 0xffffu : to < 0 ? 0 : (2u << to) - 1) & ~(from <= 0 ? 0 : from > 15 ? 0xffffu : (1u << from) - 1);
	return (vf){{_mm512_mask_mov_ps(_mm512_set1_ps(other), (__mmask16)keep, v.p[0])}};
#else
	float lane[16];
	vf_store(lane, v);
	for (int l = 0; l < 16; l++) lane[l] = l >= from && l <= to ? lane[l] : other;
	return vf_load(lane);
#endif
}

/* exp of x <= 0, by exp_f32's polynomial; what is below -87 counts as that. A NaN stays. */
INLINE vf vf_exp_negative(vf x) {
	const vf magic = vf_set(12582912.0f); /* rounds, and leaves the integer in the low bits */
	x = vf_max(vf_set(-87.0f), x);
	vf t = vf_mla(x, vf_set(1.44269504088896341f), magic), n = vf_sub(t, magic);
	vf r = vf_mla(n, vf_set(2.12194440e-4f), vf_mla(n, vf_set(-0.693359375f), x));
	vf p = vf_mla(vf_set(1.9875691500e-4f), r, vf_set(1.3981999507e-3f));
	p = vf_mla(p, r, vf_set(8.3334519073e-3f));
	p = vf_mla(p, r, vf_set(4.1665795894e-2f));
	p = vf_mla(p, r, vf_set(1.6666665459e-1f));
	p = vf_mla(p, r, vf_set(5.0000001201e-1f));
	p = vf_add(vf_mla(p, vf_mul(r, r), r), vf_set(1.0f));
	return vf_mul(p, vf_bits(vi_sll(vi_add(vi_bits(t), vi_set(127)), 23)));
}

/* 16 floats rounded to bf16, half to even, two a word. */
INLINE void vf_store_bf16(uint32_t *q, vf v) {
#if defined(__AVX512BF16__)
	_mm256_storeu_si256((void *)q, (__m256i)_mm512_cvtneps_pbh(v.p[0]));
#else
	float lane[16];
	vf_store(lane, v);
	for (int l = 0; l < 8; l++) q[l] = f32_bf16(lane[2 * l]) | (uint32_t)f32_bf16(lane[2 * l + 1]) << 16;
#endif
}

/* Each byte's low four bits choose a byte of table (16 bytes). Bit 7 must be clear. */
INLINE vi vi_lookup(const uint8_t *table, vi index) {
#if defined(__AVX512F__)
	__m512i t = _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)table));
	return (vi){{_mm512_shuffle_epi8(t, index.p[0])}};
#elif defined(__AVX2__)
	__m256i t = _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)table));
	EACH index.p[part] = _mm256_shuffle_epi8(t, index.p[part]);
	return index;
#else
	uint8_t b[64];
	vi_store(b, index);
	for (int i = 0; i < 64; i++) b[i] = table[b[i] & 15];
	return vi_load(b);
#endif
}

/* Each lane's low four bits choose one of 16 floats. */
INLINE vf vf_pick(const float *table, vi index) {
#if defined(__AVX512F__)
	return (vf){{_mm512_permutexvar_ps(index.p[0], _mm512_loadu_ps(table))}};
#elif defined(__AVX2__)
	vf r;
	__m256 low = _mm256_loadu_ps(table), high = _mm256_loadu_ps(table + 8);
	EACH {
		__m256 second = _mm256_castsi256_ps(_mm256_slli_epi32(index.p[part], 28)); /* bit 3, as a sign */
		r.p[part] = _mm256_blendv_ps(_mm256_permutevar8x32_ps(low, index.p[part]), _mm256_permutevar8x32_ps(high, index.p[part]), second);
	}
	return r;
#else
	uint32_t lane[16];
	float picked[16];
	vi_store(lane, index);
	for (int l = 0; l < 16; l++) picked[l] = table[lane[l] & 15];
	return vf_load(picked);
#endif
}

/* Per i32 lane: acc + sum of four products of w's bytes (unsigned, at most 129) with
 * the four signed bytes a4 (at least -127): 129 * 127 * 2 fits the 16 bits that
 * machines without VNNI go through. */
INLINE vi vi_dot4(vi acc, vi w, int32_t a4) {
#if defined(__AVX512VNNI__)
	return (vi){{_mm512_dpbusd_epi32(acc.p[0], w.p[0], _mm512_set1_epi32(a4))}};
#elif defined(__AVX512F__)
	__m512i t = _mm512_maddubs_epi16(w.p[0], _mm512_set1_epi32(a4));
	return (vi){{_mm512_add_epi32(acc.p[0], _mm512_madd_epi16(t, _mm512_set1_epi16(1)))}};
#elif defined(__AVX2__)
	__m256i a = _mm256_set1_epi32(a4), one = _mm256_set1_epi16(1);
	EACH acc.p[part] = _mm256_add_epi32(acc.p[part], _mm256_madd_epi16(_mm256_maddubs_epi16(w.p[part], a), one));
	return acc;
#else
	uint8_t u[64];
	int8_t a[4];
	int32_t s[16];
	vi_store(u, w);
	vi_store(s, acc);
	memcpy(a, &a4, 4);
	for (int l = 0; l < 16; l++)
		s[l] += u[4 * l] * a[0] + u[4 * l + 1] * a[1] + u[4 * l + 2] * a[2] + u[4 * l + 3] * a[3];
	return vi_load(s);
#endif
}

/* The same for any unsigned bytes: the machines that go through 16 bits take 128 off,
 * so that acc lacks 128 * (sum of a4) and must have started without it. */
#if defined(__AVX512VNNI__) || !defined(__AVX2__)
#define WIDE_OFFSET 128
INLINE vi vi_dot4_wide(vi acc, vi w, int32_t a4) { return vi_dot4(acc, w, a4); }
#else
#define WIDE_OFFSET 0
INLINE vi vi_dot4_wide(vi acc, vi w, int32_t a4) {
	vi s = vi_xor(w, vi_bytes(0x80));
#if defined(__AVX512F__)
	__m512i a = _mm512_set1_epi32(a4);
	__m512i b = _mm512_mask_sub_epi8(a, _mm512_movepi8_mask(s.p[0]), _mm512_setzero_si512(), a);
	__m512i t = _mm512_maddubs_epi16(_mm512_abs_epi8(s.p[0]), b);
	return (vi){{_mm512_add_epi32(acc.p[0], _mm512_madd_epi16(t, _mm512_set1_epi16(1)))}};
#else
	__m256i a = _mm256_set1_epi32(a4), one = _mm256_set1_epi16(1);
	EACH {
		__m256i t = _mm256_maddubs_epi16(_mm256_abs_epi8(s.p[part]), _mm256_sign_epi8(a, s.p[part]));
		acc.p[part] = _mm256_add_epi32(acc.p[part], _mm256_madd_epi16(t, one));
	}
	return acc;
#endif
}
#endif

/* 16 bytes at each of 16 pointers, transposed: out[d] lane r is dword d of row[r]. */
INLINE void vi_columns(vi out[4], const uint8_t *const row[16], int64_t offset) {
#if defined(__AVX512F__)
	__m512i q[4];
#define PIECE(r) _mm_loadu_si128((const void *)(row[r] + offset))
#pragma GCC unroll 4
	for (int j = 0; j < 4; j++) { /* 128-bit lane L of q[j]: row 4L + j */
		q[j] = _mm512_inserti32x4(_mm512_castsi128_si512(PIECE(j)), PIECE(4 + j), 1);
		q[j] = _mm512_inserti32x4(_mm512_inserti32x4(q[j], PIECE(8 + j), 2), PIECE(12 + j), 3);
	}
	__m512i a = _mm512_unpacklo_epi32(q[0], q[1]), b = _mm512_unpackhi_epi32(q[0], q[1]);
	__m512i c = _mm512_unpacklo_epi32(q[2], q[3]), d = _mm512_unpackhi_epi32(q[2], q[3]);
	out[0].p[0] = _mm512_unpacklo_epi64(a, c);
	out[1].p[0] = _mm512_unpackhi_epi64(a, c);
	out[2].p[0] = _mm512_unpacklo_epi64(b, d);
	out[3].p[0] = _mm512_unpackhi_epi64(b, d);
#undef PIECE
#elif defined(__AVX2__)
#define PIECE(r) _mm_loadu_si128((const void *)(row[r] + offset))
	EACH {
		__m256i q[4];
#pragma GCC unroll 4
		for (int j = 0; j < 4; j++)
			q[j] = _mm256_inserti128_si256(_mm256_castsi128_si256(PIECE(8 * part + j)), PIECE(8 * part + 4 + j), 1);
		__m256i a = _mm256_unpacklo_epi32(q[0], q[1]), b = _mm256_unpackhi_epi32(q[0], q[1]);
		__m256i c = _mm256_unpacklo_epi32(q[2], q[3]), d = _mm256_unpackhi_epi32(q[2], q[3]);
		out[0].p[part] = _mm256_unpacklo_epi64(a, c);
		out[1].p[part] = _mm256_unpackhi_epi64(a, c);
		out[2].p[part] = _mm256_unpacklo_epi64(b, d);
		out[3].p[part] = _mm256_unpackhi_epi64(b, d);
	}
#undef PIECE
#else
	for (int d = 0; d < 4; d++) {
		uint32_t t[16];
		for (int r = 0; r < 16; r++) t[r] = load_u32(row[r] + offset + 4 * d);
		out[d] = vi_load(t);
	}
#endif
}
#endif
