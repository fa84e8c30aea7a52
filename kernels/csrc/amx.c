/* LINEAR in bf16 mode with AMX tiles. An A tile is 16 weight rows x 32 columns, as
 * unpack_bf16 lays them; a B tile is 16 activation rows in pairs of columns, as PACK
 * lays them; C is [16 outputs][16 rows]. Two A and two B tiles make four products per
 * step of 32 columns. A chunk of 512 columns of 32 weight rows stays in L1, the
 * activations' chunk in L2; C waits in scratch between chunks. The order of additions
 * is that of the columns, for any number of rows. */
#include "bf16.h"
#include "tile.h"
#include "amx_tiles.h"
#include "blocks.h"

#define OUTS 32
#define MAX_OUTS 256
#define GROUPS (ROW_TILE / 16)

typedef float tile[16][16];

typedef struct {
	ALIGNED uint16_t w[CHUNK / 32][2][16][32];           /* A tiles of a chunk */
	ALIGNED tile c[MAX_OUTS / OUTS][GROUPS][2];
	ALIGNED uint16_t x[GROUPS][CHUNK / 32][16][32];      /* gathered B tiles of listed rows */
} work;

/* Tiles 0..3: C (A0B0, A0B1, A1B0, A1B1); 4, 5: A; 6, 7: B. */
static void multiply_pair(const work *w, const uint8_t *b0, const uint8_t *b1, int steps, tile *c0, tile *c1, int begin) {
	if (begin) {
		_tile_zero(0);
		_tile_zero(1);
		_tile_zero(2);
		_tile_zero(3);
	} else {
		_tile_loadd(0, c0[0], 64);
		_tile_loadd(1, c1[0], 64);
		_tile_loadd(2, c0[1], 64);
		_tile_loadd(3, c1[1], 64);
	}
	for (int s = 0; s < steps; s++) {
		_tile_loadd(6, b0 + 1024 * s, 64); /* each load right before its use: 10 % faster than four first */
		_tile_loadd(4, w->w[s][0], 64);
		_tile_dpbf16ps(0, 4, 6);
		_tile_loadd(5, w->w[s][1], 64);
		_tile_dpbf16ps(2, 5, 6);
		_tile_loadd(7, b1 + 1024 * s, 64);
		_tile_dpbf16ps(1, 4, 7);
		_tile_dpbf16ps(3, 5, 7);
	}
	_tile_stored(0, c0[0], 64);
	_tile_stored(1, c1[0], 64);
	_tile_stored(2, c0[1], 64);
	_tile_stored(3, c1[1], 64);
}

static void multiply_one(const work *w, const uint8_t *b, int steps, tile *c, int begin) {
	if (begin) {
		_tile_zero(0);
		_tile_zero(2);
	} else {
		_tile_loadd(0, c[0], 64);
		_tile_loadd(2, c[1], 64);
	}
	for (int s = 0; s < steps; s++) {
		_tile_loadd(6, b + 1024 * s, 64);
		_tile_loadd(4, w->w[s][0], 64);
		_tile_dpbf16ps(0, 4, 6);
		_tile_loadd(5, w->w[s][1], 64);
		_tile_dpbf16ps(2, 5, 6);
	}
	_tile_stored(0, c[0], 64);
	_tile_stored(2, c[1], 64);
}

static const uint8_t *tiles_of(const product *p, int64_t group, int64_t k) {
	return (const uint8_t *)p->x + 2 * tile_at(ceil_div(p->x_rows, 16), (p->k + 31) / 32 * 32, group, k);
}

/* Collects the listed rows' pairs of columns into B tiles. */
static void gather(const product *p, int64_t r0, int64_t n, int64_t k, int steps, work *w) {
	for (int64_t g = 0; g * 16 < n; g++) {
		for (int64_t i = 0; i < 16; i++) {
			if (g * 16 + i >= n) {
				for (int s = 0; s < steps * 16; s++) memset(&w->x[g][s / 16][s % 16][2 * i], 0, 4);
				continue;
			}
			int64_t row = p->list[r0 + g * 16 + i] / p->in_div;
			const uint8_t *from = tiles_of(p, row / 16, k) + row % 16 * 4;
			for (int s = 0; s < steps * 16; s++) memcpy(&w->x[g][s / 16][s % 16][2 * i], from + 64 * s, 4);
		}
	}
}

static void unpack(const product *p, int64_t o, int64_t k, int64_t n, work *w) {
	ahead next = ahead_of(p, o, OUTS, k, n, OUTS);
	for (int m = 0; m < OUTS; m++) {
		look_ahead(&next);
		const uint8_t *row = p->w + min64(o + m, p->o1 - 1) * p->w_stride;
		NAME(unpack_bf16)(p->type, row, k, n, w->w[0][m / 16][m % 16], 2 * 16 * 32);
	}
}

static void store(const product *p, int64_t o, int64_t outs, int64_t r0, int64_t n, tile c) {
	__mmask16 mask = (__mmask16)((1u << outs) - 1);
	__m512 bias = p->bias ? _mm512_maskz_loadu_ps(mask, p->bias + o) : _mm512_setzero_ps();
	__m512i v[16];
	for (int i = 0; i < 16; i++) v[i] = _mm512_load_si512(c[i]);
	transpose16(v);
	for (int64_t i = 0; i < n; i++) {
		float *y = p->y + (p->list ? p->list[r0 + i] : r0 + i) * p->y_stride + o;
		_mm512_mask_storeu_ps(y, mask, p->bias ? _mm512_add_ps((__m512)v[i], bias) : (__m512)v[i]);
	}
}

/* One chunk of columns of 32 outputs times all rows of the tile. */
static void chunk(const uint8_t *x, int64_t group_bytes, int64_t groups, int steps, tile (*c)[2], int begin, const work *w) {
	int64_t g = 0;
	SETTLE(w);
	for (; g + 2 <= groups; g += 2) multiply_pair(w, x + g * group_bytes, x + (g + 1) * group_bytes, steps, c[g], c[g + 1], begin);
	if (g < groups) multiply_one(w, x + g * group_bytes, steps, c[g], begin);
}

static void rows_tile(const product *p, int64_t o0, int64_t o1, int64_t r0, int64_t n, work *w) {
	int64_t groups = ceil_div(n, 16);
	for (int64_t k = 0; k < p->k; k += CHUNK) {
		int64_t cols = min64(CHUNK, p->k - k), group_bytes;
		int steps = (int)ceil_div(cols, 32);
		const uint8_t *x = tiles_of(p, r0 / 16, k);
		group_bytes = steps * 1024;
		if (p->list) {
			gather(p, r0, n, k, steps, w);
			x = (const uint8_t *)w->x;
			group_bytes = sizeof w->x[0];
		}
		for (int64_t o = o0; o < o1; o += OUTS) {
			unpack(p, o, k, cols, w);
			chunk(x, group_bytes, groups, steps, w->c[(o - o0) / OUTS], k == 0, w);
		}
	}
	for (int64_t g = 0; g < groups; g++) /* a row's outputs one after another: few pages at a time */
		for (int64_t o = o0; o < o1; o += 16)
			store(p, o, min64(16, o1 - o), r0 + 16 * g, min64(16, n - 16 * g), w->c[(o - o0) / OUTS][g][(o - o0) / 16 % 2]);
}

void NAME(product_bf16)(const product *p, void *scratch) {
	configure_tiles(16, 64);
	for (int64_t r0 = 0; r0 < p->rows; r0 += ROW_TILE)
		for (int64_t o = p->o0; o < p->o1; o += MAX_OUTS)
			rows_tile(p, o, min64(p->o1, o + MAX_OUTS), r0, min64(ROW_TILE, p->rows - r0), scratch);
	_tile_release();
}
