/* What every user of AMX tiles needs: the instructions, or their emulation, and the
 * shapes of tiles. */
#ifndef INGOT_AMX_TILES_H
#define INGOT_AMX_TILES_H
#include <immintrin.h>
#include <stdint.h>
#if defined(AMX_EMULATE)
#include "amx_emulate.h"
#endif

/* gcc's tile instructions do not tell it that they read memory: what is to be read must
 * have been written. */
#define SETTLE(p) __asm__ volatile("" : : "r"(p) : "memory")

/* Tiles 0 ... 3, C, and 4, 5, A, of as many rows, 16 or fewer; A's rows of a multiple of 4
 * bytes, up to 64, and 6, 7, B, of a row for each 4 of those. All become zero. */
static inline void configure_tiles(int rows, int bytes) {
	struct {
		uint8_t palette, start_row, reserved[14];
		uint16_t colsb[16];
		uint8_t rows[16];
	} config = {.palette = 1};
	for (int t = 0; t < 8; t++) {
		config.colsb[t] = (uint16_t)(t == 4 || t == 5 ? bytes : 64);
		config.rows[t] = (uint8_t)(t < 6 ? rows : bytes / 4);
	}
	SETTLE(&config);
	_tile_loadconfig(&config);
}
#endif
