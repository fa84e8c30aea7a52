/* The products of gradients on AMX tiles: 16 rows of A by 32 elements are a tile as they
 * lie, and so are 16 steps of 16 columns of a panel, pair by pair. Two A and two B tiles
 * make four products a step. The sums' order is that of the elements, for any rows. */
#ifndef INGOT_GEMM_TILES_H
#define INGOT_GEMM_TILES_H
#include "amx_tiles.h"
#include "gemm.h"

#define TILE_STEPS 16 /* steps of a panel that a tile holds */

/* One or two tiles of rows by one or two of columns, constants once inlined. Tiles 0 ... 3:
 * C (A0B0, A0B1, A1B0, A1B1); 4, 5: A; 6, 7: B. */
INLINE void tile_products(const uint8_t *a, int64_t a_stride, const float *panel, int64_t steps, sums c, int tall, int wide) {
	sums low = sums_at(c, 16, 0);
	int64_t from = c.from_stride * 4, to = c.stride * 4;
	_tile_loadd(0, c.from, from);
	if (wide) _tile_loadd(1, c.from + 16, from);
	if (tall) _tile_loadd(2, low.from, from);
	if (tall && wide) _tile_loadd(3, low.from + 16, from);
	for (int64_t s = 0; s < steps; s += TILE_STEPS) {
		_tile_loadd(6, panel + s * PANEL, PANEL * 4);
		_tile_loadd(4, a + 4 * s, a_stride);
		_tile_dpbf16ps(0, 4, 6);
		if (tall) {
			_tile_loadd(5, a + 16 * a_stride + 4 * s, a_stride);
			_tile_dpbf16ps(2, 5, 6);
		}
		if (wide) {
			_tile_loadd(7, panel + s * PANEL + 16, PANEL * 4);
			_tile_dpbf16ps(1, 4, 7);
		}
		if (tall && wide) _tile_dpbf16ps(3, 5, 7);
	}
	_tile_stored(0, c.to, to);
	if (wide) _tile_stored(1, c.to + 16, to);
	if (tall) _tile_stored(2, low.to, to);
	if (tall && wide) _tile_stored(3, low.to + 16, to);
}

INLINE void tile_rows(const uint8_t *a, int64_t a_stride, const float *panel, int64_t steps, sums c, int tall, int nv) {
	if (nv == 2) tile_products(a, a_stride, panel, steps, c, tall, 1);
	else tile_products(a, a_stride, panel, steps, c, tall, 0);
}

/* m rows of A by nv vectors of a panel. The last rows, fewer than 16, are tiles of their own height. */
static void panel_product(const uint8_t *a, int64_t a_stride, const float *panel, int64_t steps, sums c, int64_t m, int nv) {
	SETTLE(panel);
	SETTLE(c.from);
	for (; m >= 32; m -= 32, a += 32 * a_stride, c = sums_at(c, 32, 0)) tile_rows(a, a_stride, panel, steps, c, 1, nv);
	for (; m >= 16; m -= 16, a += 16 * a_stride, c = sums_at(c, 16, 0)) tile_rows(a, a_stride, panel, steps, c, 0, nv);
	if (!m) return;
	configure_tiles((int)m, 64);
	tile_rows(a, a_stride, panel, steps, c, 0, nv);
	configure_tiles(16, 64);
}
#endif
