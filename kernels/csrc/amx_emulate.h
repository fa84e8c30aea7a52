/* The tile instructions in plain C, so that amx.c and amx_int8.h run and are tested on machines
 * without AMX. State is per thread, as in hardware. Only what they and limits use;
 * results of the bf16 product may differ from the hardware's in the last bit, as that
 * adds each pair's products apart. */
#ifndef INGOT_AMX_EMULATE_H
#define INGOT_AMX_EMULATE_H
#include <immintrin.h> /* which defines some of the names below as macros */
#include "blocks.h"

typedef struct {
	uint8_t palette, start_row, reserved[14];
	uint16_t colsb[16];
	uint8_t rows[16];
} emulated_config;

static __thread emulated_config emulated;
static __thread _Alignas(64) uint8_t emulated_tile[8][16][64];

static inline void emulated_load(int t, const void *p, int64_t stride) {
	memset(emulated_tile[t], 0, sizeof emulated_tile[t]);
	for (int r = 0; r < emulated.rows[t]; r++) memcpy(emulated_tile[t][r], (const uint8_t *)p + r * stride, emulated.colsb[t]);
}

static inline void emulated_store(int t, void *p, int64_t stride) {
	for (int r = 0; r < emulated.rows[t]; r++) memcpy((uint8_t *)p + r * stride, emulated_tile[t][r], emulated.colsb[t]);
}

static inline void emulated_dpbf16ps(int c, int a, int b) {
	for (int m = 0; m < emulated.rows[c]; m++)
		for (int k = 0; k < emulated.colsb[a] / 4; k++)
			for (int n = 0; n < emulated.colsb[c] / 4; n++)
				for (int h = 0; h < 2; h++) {
					float s = bits_f32(load_u32(&emulated_tile[c][m][4 * n]));
					s += bf16_f32(load_u16(&emulated_tile[a][m][4 * k + 2 * h])) * bf16_f32(load_u16(&emulated_tile[b][k][4 * n + 2 * h]));
					memcpy(&emulated_tile[c][m][4 * n], &s, 4);
				}
}

static inline void emulated_dpbssd(int c, int a, int b) {
	for (int m = 0; m < emulated.rows[c]; m++)
		for (int k = 0; k < emulated.colsb[a] / 4; k++)
			for (int n = 0; n < emulated.colsb[c] / 4; n++) {
				int32_t s = (int32_t)load_u32(&emulated_tile[c][m][4 * n]);
				for (int h = 0; h < 4; h++) s += (int8_t)emulated_tile[a][m][4 * k + h] * (int8_t)emulated_tile[b][k][4 * n + h];
				memcpy(&emulated_tile[c][m][4 * n], &s, 4);
			}
}

#undef _tile_loadconfig
#undef _tile_release
#undef _tile_zero
#undef _tile_loadd
#undef _tile_stored
#undef _tile_dpbf16ps
#undef _tile_dpbssd
#define _tile_loadconfig(p) memcpy(&emulated, p, sizeof emulated)
#define _tile_release() memset(&emulated, 0, sizeof emulated)
#define _tile_zero(t) memset(emulated_tile[t], 0, sizeof emulated_tile[t])
#define _tile_loadd emulated_load
#define _tile_stored emulated_store
#define _tile_dpbf16ps emulated_dpbf16ps
#define _tile_dpbssd emulated_dpbssd
#endif
