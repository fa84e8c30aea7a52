/* Products in int8 mode with AMX tiles, for int8.c: where a panel meets 16 activation
 * rows and more. An A tile is 16 activation rows x one group of columns, as PACK lays
 * them behind the records of the rows; the panel's bytes of that group are the B tile as they lie. The integer sums are
 * exact, and are scaled into the f32 sums in the order of the groups, so the bits are
 * those of the other forms. */
#ifndef INGOT_AMX_INT8_H
#define INGOT_AMX_INT8_H
#include "amx_tiles.h"

#define TILE_ROWS 16

/* Integer sums of a panel's groups: two groups of 16 rows at a time. */
typedef struct {
	ALIGNED int32_t c[2][PANEL_COLS / 16][16][16];
} tile_sums;

/* Makes the panel's unsigned bytes signed again. */
static void make_signed(panel *p, int blocks, int offset) {
	__m512i by = _mm512_set1_epi8((char)offset);
	for (int i = 0; i < 8 * blocks; i++) _mm512_store_si512(p->q[i], _mm512_sub_epi8(_mm512_load_si512(p->q[i]), by));
}

/* Group at of the panel times the same columns of two groups of rows. */
#define TILE_STEP(at, C0, C1, B) do { \
		_tile_loadd(B, p->q[(at) * f.group / 4], 64); \
		_tile_loadd(4, x0[(at) * f.group / 32].q[0] + (at) * f.group % 32, 32); \
		_tile_zero(C0); \
		_tile_dpbssd(C0, 4, B); \
		_tile_loadd(5, x1[(at) * f.group / 32].q[0] + (at) * f.group % 32, 32); \
		_tile_zero(C1); \
		_tile_dpbssd(C1, 5, B); \
		_tile_stored(C0, s->c[0][at], 64); \
		_tile_stored(C1, s->c[1][at], 64); \
	} while (0)

/* The integer sums of every group of the panel for the rows of x0 and of x1. */
INLINE void tile_products(const panel *p, int groups, const act_tile *x0, const act_tile *x1, tile_sums *s, form f) {
	int at = 0;
	__asm__ volatile("" : : : "memory"); /* tile loads must see what was stored */
	for (; at + 2 <= groups; at += 2) {
		TILE_STEP(at, 0, 1, 6);
		TILE_STEP(at + 1, 2, 3, 7);
	}
	if (at < groups) TILE_STEP(at, 0, 1, 6);
	__asm__ volatile("" : : : "memory");
}

/* times_group for row r of 16, from the integer sums of the group. */
INLINE __m512 tile_group(const panel *p, int b, int g, const act_tile *a, int32_t (*c)[16][16], int r, __m512 t, form f) {
	int at = b * (32 / f.group) + g;
	__m512 scale = _mm512_load_ps(p->scale[at]), s = _mm512_cvtepi32_ps(_mm512_load_si512(c[at][r]));
	t = g ? _mm512_fmadd_ps(scale, s, t) : _mm512_mul_ps(scale, s);
	if (!f.has_min) return t;
	__m512 minus_sum = _mm512_cvtepi32_ps(_mm512_set1_epi32(a->minus_sum[f.group == 32 ? 2 : g][r]));
	return _mm512_fmadd_ps(_mm512_load_ps(p->min[at]), minus_sum, t);
}

/* Scales the sums of 16 rows into their f32 sums, as times_panels does. */
INLINE void tile_scale(const panel *p, int blocks, const act_tile *x, int32_t (*c)[16][16], float *sum, form f) {
	__m512 acc[16];
	UNROLL for (int r = 0; r < 16; r++) acc[r] = _mm512_load_ps(sum + r * OUTS);
	for (int b = 0; b < blocks; b++)
		UNROLL for (int r = 0; r < 16; r++) {
			__m512 t = tile_group(p, b, 0, x + b, c, r, _mm512_setzero_ps(), f);
			if (f.group == 16) t = tile_group(p, b, 1, x + b, c, r, t, f);
			acc[r] = _mm512_fmadd_ps(_mm512_set1_ps(x[b].scale[r]), t, acc[r]);
		}
	UNROLL for (int r = 0; r < 16; r++) _mm512_store_ps(sum + r * OUTS, acc[r]);
}

/* n rows, a multiple of 16, times a panel whose bytes are signed. The tiles of a group of
 * rows are stride records apart; of an odd group they compute a second time what is then
 * not used. */
INLINE void tile_rows(const panel *p, int blocks, const act_tile *x, int64_t stride, float *sum, int64_t n, tile_sums *s, form f) {
	int groups = blocks * 32 / f.group;
	for (int64_t r = 0; r < n; r += 32) {
		const act_tile *x0 = x + r / 16 * stride, *x1 = r + 16 < n ? x0 + stride : x0;
		tile_products(p, groups, x0, x1, s, f);
		tile_scale(p, blocks, x0, s->c[0], sum + r * OUTS, f);
		if (x1 != x0) tile_scale(p, blocks, x1, s->c[1], sum + (r + 16) * OUTS, f);
	}
}
#endif
