/* Peak loops: independent chains that fill the pipes of one instruction. */
#include "limits.h"
#include "internal.h"
#include <immintrin.h>
#if defined(PACK_TILES)
#include "amx_tiles.h"
#endif

#define CHAINS 12
#define EACH_CHAIN _Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++)
#define KEEP(v) __asm__ volatile("" : "+v"(v))

#if defined(PACK_TILES)
double NAME(limit_bf16)(int64_t rounds, volatile float *sink) {
	configure_tiles(16, 64);
	for (int64_t r = 0; r < rounds; r++) {
		_tile_dpbf16ps(0, 4, 5);
		_tile_dpbf16ps(1, 4, 5);
		_tile_dpbf16ps(2, 4, 5);
		_tile_dpbf16ps(3, 4, 5);
	}
	_tile_release();
	*sink = 0;
	return (double)rounds * 4 * 16 * 16 * 32 * 2;
}

#if !defined(AMX_EMULATE)
double NAME(limit_int8)(int64_t rounds, volatile float *sink) {
	configure_tiles(16, 64);
	for (int64_t r = 0; r < rounds; r++) {
		_tile_dpbusd(0, 4, 5);
		_tile_dpbusd(1, 4, 5);
		_tile_dpbusd(2, 4, 5);
		_tile_dpbusd(3, 4, 5);
	}
	_tile_release();
	*sink = 0;
	return (double)rounds * 4 * 16 * 16 * 64 * 2;
}
#else
double NAME(limit_int8)(int64_t rounds, volatile float *sink) {
	*sink = (float)rounds;
	return 0;
}
#endif
#elif defined(PACK_ROWS_BF16)
double NAME(limit_bf16)(int64_t rounds, volatile float *sink) {
	__m512 acc[CHAINS];
	__m512bh a = (__m512bh)_mm512_set1_epi16(0x3f80);
	EACH_CHAIN acc[i] = _mm512_set1_ps((float)i);
	for (int64_t r = 0; r < rounds; r++) EACH_CHAIN {
		acc[i] = _mm512_dpbf16_ps(acc[i], a, a);
		KEEP(acc[i]);
	}
	EACH_CHAIN *sink = _mm512_reduce_add_ps(acc[i]);
	return (double)rounds * CHAINS * 64;
}

double NAME(limit_int8)(int64_t rounds, volatile float *sink) {
	__m512i acc[CHAINS], a = _mm512_set1_epi8(1);
	EACH_CHAIN acc[i] = _mm512_set1_epi32(i);
	for (int64_t r = 0; r < rounds; r++) EACH_CHAIN {
		acc[i] = _mm512_dpbusd_epi32(acc[i], a, a);
		KEEP(acc[i]);
	}
	EACH_CHAIN *sink = (float)_mm512_reduce_add_epi32(acc[i]);
	return (double)rounds * CHAINS * 128;
}
#elif defined(__AVX512F__)
double NAME(limit_f32)(int64_t rounds, volatile float *sink) {
	__m512 acc[CHAINS], a = _mm512_set1_ps(0.5f);
	EACH_CHAIN acc[i] = _mm512_set1_ps((float)i);
	for (int64_t r = 0; r < rounds; r++) EACH_CHAIN {
		acc[i] = _mm512_fmadd_ps(acc[i], a, a);
		KEEP(acc[i]);
	}
	EACH_CHAIN *sink = _mm512_reduce_add_ps(acc[i]);
	return (double)rounds * CHAINS * 32;
}
#else
double NAME(limit_f32)(int64_t rounds, volatile float *sink) {
	__m256 acc[CHAINS], a = _mm256_set1_ps(0.5f);
	EACH_CHAIN acc[i] = _mm256_set1_ps((float)i);
	for (int64_t r = 0; r < rounds; r++) EACH_CHAIN {
		acc[i] = _mm256_fmadd_ps(acc[i], a, a);
		KEEP(acc[i]);
	}
	EACH_CHAIN *sink = _mm256_cvtss_f32(acc[i]);
	return (double)rounds * CHAINS * 16;
}
#endif
