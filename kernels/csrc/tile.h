/* Transposition of 16 x 16 dwords, and the tile layout of activations: 32 columns of a
 * group of 16 rows are one B tile, [16 pairs of columns][16 rows][2]. Tiles lie in the
 * order of use: chunks of 512 columns, in them groups, in them columns. (With a group's
 * columns together, chunks of all groups fell into the same few sets of the L2.) */
#ifndef INGOT_TILE_H
#define INGOT_TILE_H
#include <immintrin.h>
#include <stdint.h>
#include <string.h>

static inline __attribute__((always_inline)) void transpose16(__m512i v[16]) {
	__m512i t[16];
#pragma GCC unroll 8
	for (int i = 0; i < 8; i++) { /* pairs of rows: dwords interleaved */
		t[2 * i] = _mm512_unpacklo_epi32(v[2 * i], v[2 * i + 1]);
		t[2 * i + 1] = _mm512_unpackhi_epi32(v[2 * i], v[2 * i + 1]);
	}
#pragma GCC unroll 4
	for (int i = 0; i < 4; i++) { /* four rows: v[4i+c], 128-bit lane L: column 4L + c */
		v[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
		v[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
		v[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
		v[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
	}
#pragma GCC unroll 4
	for (int c = 0; c < 4; c++) { /* 4 x 4 lanes */
		__m512i a = _mm512_shuffle_i32x4(v[c], v[4 + c], 0x88), b = _mm512_shuffle_i32x4(v[c], v[4 + c], 0xdd);
		__m512i d = _mm512_shuffle_i32x4(v[8 + c], v[12 + c], 0x88), e = _mm512_shuffle_i32x4(v[8 + c], v[12 + c], 0xdd);
		t[c] = _mm512_shuffle_i32x4(a, d, 0x88);
		t[8 + c] = _mm512_shuffle_i32x4(a, d, 0xdd);
		t[4 + c] = _mm512_shuffle_i32x4(b, e, 0x88);
		t[12 + c] = _mm512_shuffle_i32x4(b, e, 0xdd);
	}
	memcpy(v, t, sizeof t);
}

/* 16 columns from c0 (a multiple of 16) of up to 32 rows of bf16, a vector a column, its rows
 * in order; rows from n on are zeros. */
static inline __attribute__((always_inline)) void columns_of(const void *rows, int64_t stride, int64_t n, int64_t c0, __m512i column[16]) {
	static const uint16_t pairs[32] = {0, 32, 1, 33, 2, 34, 3, 35, 4, 36, 5, 37, 6, 38, 7, 39, 8, 40, 9, 41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46, 15, 47};
	__m512i none = _mm512_setzero_si512(), pick = _mm512_add_epi16(_mm512_loadu_si512(pairs), _mm512_set1_epi16((short)(c0 % 32)));
	const uint8_t *at = (const uint8_t *)rows + c0 / 32 * 64;
	for (int i = 0; i < 16; i++) {
		__m512i a = 2 * i < n ? _mm512_loadu_si512(at + 2 * i * stride) : none, b = 2 * i + 1 < n ? _mm512_loadu_si512(at + (2 * i + 1) * stride) : none;
		column[i] = _mm512_permutex2var_epi16(a, pick, b);
	}
	transpose16(column);
}

#define CHUNK 512 /* columns that a product works on at once */

/* Where the tile of group g of groups at column k starts, in elements; padded: columns
 * rounded up to whole tiles. */
static inline int64_t tile_at(int64_t groups, int64_t padded, int64_t g, int64_t k) {
	int64_t begin = k / CHUNK * CHUNK, wide = padded - begin < CHUNK ? padded - begin : CHUNK;
	return 16 * (begin * groups + g * wide + k - begin);
}

/* Up to 16 rows of f32 into one group of tiles, rounded to bf16; absent rows and columns
 * become zeros. */
static inline void pack_tiles(uint16_t *out, int64_t groups, int64_t g, const float *x, int64_t stride, int64_t rows, int64_t cols) {
	for (int64_t k = 0; k < cols; k += 32) {
		uint16_t *to = out + tile_at(groups, (cols + 31) / 32 * 32, g, k);
		int64_t n = cols - k < 32 ? cols - k : 32;
		__mmask16 lo = (__mmask16)(n >= 16 ? 0xffff : (1 << n) - 1), hi = (__mmask16)(n > 16 ? (1 << (n - 16)) - 1 : 0);
		__m512i v[16];
		for (int64_t r = 0; r < 16; r++) {
			const float *p = (const float *)(const void *)((const uint8_t *)x + r * stride) + k;
			__m512 a = _mm512_setzero_ps(), b = a;
			if (r < rows) a = _mm512_maskz_loadu_ps(lo, p), b = _mm512_maskz_loadu_ps(hi, p + 16);
			v[r] = (__m512i)_mm512_cvtne2ps_pbh(b, a);
		}
		transpose16(v);
		for (int r = 0; r < 16; r++) _mm512_storeu_si512(to + 32 * r, v[r]);
	}
}
#endif
