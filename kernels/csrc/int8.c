/* LINEAR in int8 mode, 16 weight rows at a time. Per 256 columns the rows' blocks
 * become a panel: bytes of four columns x 16 rows side by side, made unsigned by the
 * type's offset, and scales (and minima) with lane = row. Then every activation row is
 * multiplied with the panel: exact integer sums per group, scaled into the f32 sum in
 * block order, so the bits are the same in every table and for any number of rows.
 * The panel stays in L1; sums wait in scratch between panels. */
#include "internal.h"
#include "vec.h"

#define PANEL_COLS 256

typedef struct {
	ALIGNED uint8_t q[PANEL_COLS / 4][64];
	ALIGNED float scale[16][16], min[16][16]; /* by group of the panel */
	ahead next; /* asked for while this panel is unpacked */
} panel;

typedef const uint8_t *const rows16[16];
typedef void (*unpack_fn)(panel *, rows16 rows, int blocks);

/* Transposes f16 numbers, one per row and block, to f32 lanes. */
INLINE void halves(float to[16][16], rows16 rows, int blocks, int bytes, int at, float sign) {
	uint16_t h[8][16];
	for (int r = 0; r < 16; r++)
		for (int b = 0; b < blocks; b++) h[b][r] = load_u16(rows[r] + b * bytes + at);
	for (int b = 0; b < blocks; b++) vf_store(to[b], vf_mul(vf_load_f16(h[b]), vf_set(sign)));
}

INLINE vi low4(vi v) { return vi_and(v, vi_bytes(15)); }
INLINE vi high4(vi v) { return vi_and(vi_srl(v, 4), vi_bytes(15)); }

/* Bit pairs or bits of each byte at position n, moved to position to. */
INLINE vi field(vi v, int n, int to, uint8_t mask) {
	v = n > to ? vi_srl(v, n - to) : vi_sll(v, to - n);
	return vi_and(v, vi_bytes((uint8_t)(mask << to)));
}

/* The common shape of 32-element nibble blocks: low nibbles first. */
INLINE void nibble_blocks(panel *p, rows16 rows, int blocks, int bytes, int at, const uint8_t *table) {
	for (int b = 0; b < blocks; b++) {
		vi v[4];
		look_ahead(&p->next, b, blocks);
		vi_columns(v, rows, b * bytes + at);
		for (int d = 0; d < 4; d++) {
			vi lo = low4(v[d]), hi = high4(v[d]);
			vi_store(p->q[8 * b + d], table ? vi_lookup(table, lo) : lo);
			vi_store(p->q[8 * b + 4 + d], table ? vi_lookup(table, hi) : hi);
		}
	}
}

static void q4_0(panel *p, rows16 rows, int blocks) {
	halves(p->scale, rows, blocks, 18, 0, 1);
	nibble_blocks(p, rows, blocks, 18, 2, NULL);
}

static void q4_1(panel *p, rows16 rows, int blocks) {
	halves(p->scale, rows, blocks, 20, 0, 1);
	halves(p->min, rows, blocks, 20, 2, -1);
	nibble_blocks(p, rows, blocks, 20, 4, NULL);
}

static const uint8_t unsigned_iq4[16] = {1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241};
static const uint8_t unsigned_e2m1[16] = {16, 17, 18, 19, 20, 22, 24, 28, 16, 15, 14, 13, 12, 10, 8, 4};

static void iq4_nl(panel *p, rows16 rows, int blocks) {
	halves(p->scale, rows, blocks, 18, 0, 1);
	nibble_blocks(p, rows, blocks, 18, 2, unsigned_iq4);
}

static void mxfp4(panel *p, rows16 rows, int blocks) {
	for (int r = 0; r < 16; r++)
		for (int b = 0; b < blocks; b++) p->scale[b][r] = e8m0_half(rows[r][17 * b]);
	nibble_blocks(p, rows, blocks, 17, 1, unsigned_e2m1);
}

/* Sets bit 4 of element k where bit k of the row's 32-bit word is set. */
INLINE void fifth_bits(panel *p, rows16 rows, int blocks, int bytes, int at) {
	static const uint8_t spread[4][16] = { /* nibble -> its four bits as bytes 0x10 */
		{0, 16, 0, 16, 0, 16, 0, 16, 0, 16, 0, 16, 0, 16, 0, 16},
		{0, 0, 16, 16, 0, 0, 16, 16, 0, 0, 16, 16, 0, 0, 16, 16},
		{0, 0, 0, 0, 16, 16, 16, 16, 0, 0, 0, 0, 16, 16, 16, 16},
		{0, 0, 0, 0, 0, 0, 0, 0, 16, 16, 16, 16, 16, 16, 16, 16}};
	uint32_t h[8][16], table[16];
	for (int i = 0; i < 16; i++)
		table[i] = (uint32_t)spread[0][i] | (uint32_t)spread[1][i] << 8 | (uint32_t)spread[2][i] << 16 | (uint32_t)spread[3][i] << 24;
	for (int r = 0; r < 16; r++)
		for (int b = 0; b < blocks; b++) h[b][r] = load_u32(rows[r] + b * bytes + at);
	for (int b = 0; b < blocks; b++)
		for (int d = 0; d < 8; d++) {
			uint32_t bits[16];
			for (int r = 0; r < 16; r++) bits[r] = table[h[b][r] >> (4 * d) & 15];
			vi_store(p->q[8 * b + d], vi_or(vi_load(p->q[8 * b + d]), vi_load(bits)));
		}
}

static void q5_0(panel *p, rows16 rows, int blocks) {
	halves(p->scale, rows, blocks, 22, 0, 1);
	nibble_blocks(p, rows, blocks, 22, 6, NULL);
	fifth_bits(p, rows, blocks, 22, 2);
}

static void q5_1(panel *p, rows16 rows, int blocks) {
	halves(p->scale, rows, blocks, 24, 0, 1);
	halves(p->min, rows, blocks, 24, 2, -1);
	nibble_blocks(p, rows, blocks, 24, 8, NULL);
	fifth_bits(p, rows, blocks, 24, 4);
}

static void q8_0(panel *p, rows16 rows, int blocks) {
	halves(p->scale, rows, blocks, 34, 0, 1);
	for (int d = 0; d < 2 * blocks; d++) {
		vi v[4];
		look_ahead(&p->next, d, 2 * blocks);
		vi_columns(v, rows, d / 2 * 34 + 2 + d % 2 * 16);
		for (int i = 0; i < 4; i++) vi_store(p->q[4 * d + i], vi_xor(v[i], vi_bytes(0x80)));
	}
}

/* Scales and minima of Q4_K, Q5_K: eight six-bit pairs in 12 bytes, lane = row. */
INLINE void scales_k4(panel *p, rows16 rows) {
	vi v[4]; /* d and dmin, then 12 bytes: v[1] v[2] v[3] */
	vi_columns(v, rows, 0);
	uint32_t words[16];
	uint16_t h[2][16];
	vi_store(words, v[0]);
	for (int r = 0; r < 16; r++) h[0][r] = (uint16_t)words[r], h[1][r] = (uint16_t)(words[r] >> 16);
	vf d = vf_load_f16(h[0]), dmin = vf_load_f16(h[1]);
	vi sc[2], m[2];
	sc[0] = vi_and(v[1], vi_bytes(63));
	m[0] = vi_and(v[2], vi_bytes(63));
	sc[1] = vi_or(low4(v[3]), field(v[1], 6, 4, 3));
	m[1] = vi_or(high4(v[3]), field(v[2], 6, 4, 3));
	for (int g = 0; g < 8; g++) {
		vi s = vi_and(vi_srl(sc[g / 4], g % 4 * 8), vi_set(255)), t = vi_and(vi_srl(m[g / 4], g % 4 * 8), vi_set(255));
		vf_store(p->scale[g], vf_mul(d, vf_of(s)));
		vf_store(p->min[g], vf_mul(dmin, vf_of(t)));
	}
}

static void q4_k(panel *p, rows16 rows, int blocks) {
	(void)blocks;
	scales_k4(p, rows);
	for (int c = 0; c < 8; c++) {
		vi v[4];
		look_ahead(&p->next, c, 8);
		vi_columns(v, rows, 16 + 16 * c);
		for (int i = 0; i < 4; i++) {
			vi_store(p->q[c / 2 * 16 + c % 2 * 4 + i], low4(v[i]));
			vi_store(p->q[c / 2 * 16 + 8 + c % 2 * 4 + i], high4(v[i]));
		}
	}
}

static void q5_k(panel *p, rows16 rows, int blocks) {
	(void)blocks;
	scales_k4(p, rows);
	for (int half = 0; half < 2; half++) {
		vi h[4], v[4];
		vi_columns(h, rows, 16 + 16 * half);
		for (int c = 0; c < 4; c++) {
			look_ahead(&p->next, 4 * half + c, 8);
			vi_columns(v, rows, 48 + 32 * c + 16 * half);
			for (int i = 0; i < 4; i++) {
				vi_store(p->q[16 * c + 4 * half + i], vi_or(low4(v[i]), field(h[i], 2 * c, 4, 1)));
				vi_store(p->q[16 * c + 8 + 4 * half + i], vi_or(high4(v[i]), field(h[i], 2 * c + 1, 4, 1)));
			}
		}
	}
}

static void q6_k(panel *p, rows16 rows, int blocks) {
	(void)blocks;
	uint16_t h[16];
	vi sc[4];
	for (int r = 0; r < 16; r++) h[r] = load_u16(rows[r] + 208);
	vi_columns(sc, rows, 192);
	vf d = vf_load_f16(h);
	for (int g = 0; g < 16; g++) {
		int32_t s[16];
		vi_store(s, vi_srl(sc[g / 4], g % 4 * 8));
		for (int r = 0; r < 16; r++) s[r] = (int8_t)s[r];
		vf_store(p->scale[g], vf_mul(d, vf_of(vi_load(s))));
	}
	for (int c = 0; c < 4; c++) { /* half of the block, half of 32 columns */
		vi q[4], l[4], m[4];
		int at = c / 2, half = c % 2;
		look_ahead(&p->next, c, 4);
		vi_columns(q, rows, 128 + 32 * at + 16 * half);
		vi_columns(l, rows, 64 * at + 16 * half);
		vi_columns(m, rows, 64 * at + 32 + 16 * half);
		for (int i = 0; i < 4; i++) {
			uint8_t(*to)[64] = &p->q[32 * at + 4 * half + i];
			vi_store(to[0], vi_or(low4(l[i]), field(q[i], 0, 4, 3)));
			vi_store(to[8], vi_or(low4(m[i]), field(q[i], 2, 4, 3)));
			vi_store(to[16], vi_or(high4(l[i]), field(q[i], 4, 4, 3)));
			vi_store(to[24], vi_or(high4(m[i]), field(q[i], 6, 4, 3)));
		}
	}
}

static void q2_k(panel *p, rows16 rows, int blocks) {
	(void)blocks;
	uint16_t h[2][16];
	vi sc[4];
	for (int r = 0; r < 16; r++) h[0][r] = load_u16(rows[r] + 80), h[1][r] = load_u16(rows[r] + 82);
	vi_columns(sc, rows, 0);
	vf d = vf_load_f16(h[0]), dmin = vf_load_f16(h[1]);
	for (int g = 0; g < 16; g++) {
		vi s = vi_srl(sc[g / 4], g % 4 * 8);
		vf_store(p->scale[g], vf_mul(d, vf_of(vi_and(s, vi_set(15)))));
		vf_store(p->min[g], vf_mul(dmin, vf_of(vi_and(vi_srl(s, 4), vi_set(15)))));
	}
	for (int c = 0; c < 4; c++) {
		vi q[4];
		vi_columns(q, rows, 16 + 16 * c);
		for (int j = 0; j < 4; j++)
			for (int i = 0; i < 4; i++) vi_store(p->q[c / 2 * 32 + 8 * j + c % 2 * 4 + i], field(q[i], 2 * j, 0, 3));
	}
}

static void q3_k(panel *p, rows16 rows, int blocks) {
	(void)blocks;
	for (int r = 0; r < 16; r++) {
		const uint8_t *s = rows[r] + 96;
		float d = f16_f32(load_u16(rows[r] + 108));
		for (int g = 0; g < 16; g++)
			p->scale[g][r] = d * (float)(((s[g % 8] >> (g / 8 * 4) & 15) | (s[8 + g % 4] >> (g / 4 * 2) & 3) << 4) - 32);
	}
	for (int half = 0; half < 2; half++) {
		vi h[4];
		vi_columns(h, rows, 16 * half);
		for (int c = 0; c < 2; c++) {
			vi q[4];
			vi_columns(q, rows, 32 + 32 * c + 16 * half);
			for (int j = 0; j < 4; j++)
				for (int i = 0; i < 4; i++)
					vi_store(p->q[32 * c + 8 * j + 4 * half + i], vi_or(field(q[i], 2 * j, 0, 3), field(h[i], 4 * c + j, 2, 1)));
		}
	}
}

static void iq4_xs(panel *p, rows16 rows, int blocks) {
	(void)blocks;
	for (int r = 0; r < 16; r++) {
		float d = f16_f32(load_u16(rows[r]));
		int high = load_u16(rows[r] + 2);
		for (int g = 0; g < 8; g++)
			p->scale[g][r] = d * (float)(((rows[r][4 + g / 2] >> (g % 2 * 4) & 15) | (high >> (2 * g) & 3) << 4) - 32);
	}
	nibble_blocks(p, rows, 8, 16, 8, unsigned_iq4);
}

/* Every other type: row by row through the integer form. */
static void unpack_any(panel *p, rows16 rows, const block_type *t, int blocks) {
	int_block b;
	for (int r = 0; r < 16; r++)
		for (int i = 0, at = 0; i < blocks * 32; i += t->elems, at += t->bytes) {
			t->unpack(&b, rows[r] + at);
			for (int e = 0; e < t->elems; e++)
				p->q[(i + e) / 4][4 * r + e % 4] = (uint8_t)(b.q[e] + (t->shift ? 1 << t->shift : 0));
			for (int g = 0; g < t->elems / t->group; g++) {
				p->scale[i / t->group + g][r] = b.scale[g];
				if (t->has_min) p->min[i / t->group + g][r] = b.min[g];
			}
		}
}

static unpack_fn unpacker(uint32_t type) {
	static const unpack_fn fn[INGOT_MXFP4 + 1] = {
		[INGOT_Q4_0] = q4_0, [INGOT_Q4_1] = q4_1, [INGOT_Q5_0] = q5_0, [INGOT_Q5_1] = q5_1, [INGOT_Q8_0] = q8_0,
		[INGOT_IQ4_NL] = iq4_nl, [INGOT_MXFP4] = mxfp4, [INGOT_Q2_K] = q2_k, [INGOT_Q3_K] = q3_k,
		[INGOT_Q4_K] = q4_k, [INGOT_Q5_K] = q5_k, [INGOT_Q6_K] = q6_k, [INGOT_IQ4_XS] = iq4_xs,
	};
	return fn[type];
}

/* What a kernel does to one group: its integer sums start at minus offset * (sum of q),
 * and its f32 sum takes scale and minimum. */
typedef struct {
	int group, has_min, wide;
	int32_t offset;
} form;

#define UNROLL _Pragma("GCC unroll 16")

INLINE int32_t load_a4(const int8_t *q) {
	int32_t v;
	memcpy(&v, q, 4);
	return v;
}

/* n activation rows times the panel's blocks; f and n are constants once inlined. */
INLINE void times_panel(const panel *p, int blocks, const act_block *const *a, float (*sum)[16], int n, form f) {
	vf acc[8];
	int steps = f.group / 4;
	UNROLL for (int r = 0; r < n; r++) acc[r] = vf_load(sum[r]);
	for (int b = 0; b < blocks; b++)
		for (int g = 0; g < 32 / f.group; g++) {
			int which = f.group == 32 ? 2 : g, at = b * (32 / f.group) + g;
			vi s[8];
			UNROLL for (int r = 0; r < n; r++) s[r] = vi_set(f.offset * a[r][b].minus_sum[which]);
			UNROLL for (int d = 0; d < steps; d++) {
				vi w = vi_load(p->q[8 * b + steps * g + d]);
				UNROLL for (int r = 0; r < n; r++) {
					int32_t a4 = load_a4(a[r][b].q + 4 * (steps * g + d));
					s[r] = f.wide ? vi_dot4_wide(s[r], w, a4) : vi_dot4(s[r], w, a4);
				}
			}
			vf scale = vf_load(p->scale[at]);
			UNROLL for (int r = 0; r < n; r++)
				acc[r] = vf_fma(vf_mul(scale, vf_set(a[r][b].scale)), vf_of(s[r]), acc[r]);
			if (f.has_min) {
				vf min = vf_load(p->min[at]);
				UNROLL for (int r = 0; r < n; r++)
					acc[r] = vf_fma(vf_mul(min, vf_set(a[r][b].scale)), vf_set((float)a[r][b].minus_sum[which]), acc[r]);
			}
		}
	UNROLL for (int r = 0; r < n; r++) vf_store(sum[r], acc[r]);
}

#if defined(__AVX512F__)
#define TILE 8
#elif defined(__AVX2__)
#define TILE 2
#else
#define TILE 1
#endif

INLINE void times_rows(const panel *p, int blocks, const act_block *const *a, float (*sum)[16], int64_t n, form f) {
	int64_t r = 0;
	for (; r + TILE <= n; r += TILE) times_panel(p, blocks, a + r, sum + r, TILE, f);
#if TILE > 4
	if (r + 4 <= n) times_panel(p, blocks, a + r, sum + r, 4, f), r += 4;
#endif
#if TILE > 2
	if (r + 2 <= n) times_panel(p, blocks, a + r, sum + r, 2, f), r += 2;
#endif
	for (; r < n; r++) times_panel(p, blocks, a + r, sum + r, 1, f);
}

#if defined(PACK_TILES)
#include "amx_int8.h"
#endif

typedef struct {
	panel panel;
	ALIGNED float sum[ROW_TILE][16];
	const act_block *a[ROW_TILE], *at[ROW_TILE];
#if defined(PACK_TILES)
	tile_sums tiles;
	const act_tile *tile; /* of the first row at the panel's columns; NULL where rows are listed */
	int64_t tile_stride;
#endif
} work;

/* All rows times the panel: what tiles can take last, since they want signed bytes. */
INLINE void times_form(work *w, int blocks, int64_t n, form f) {
#if defined(PACK_TILES)
	int64_t whole = w->tile ? n / TILE_ROWS * TILE_ROWS : 0;
	times_rows(&w->panel, blocks, w->at + whole, w->sum + whole, n - whole, f);
	if (!whole) return;
	make_signed(&w->panel, blocks, f.wide ? 128 : f.offset);
	tile_rows(&w->panel, blocks, w->tile, w->tile_stride, w->sum, whole, &w->tiles, f);
#else
	times_rows(&w->panel, blocks, w->at, w->sum, n, f);
#endif
}

static void times(work *w, int blocks, int64_t n, const block_type *t) {
	int32_t offset = t->shift ? 1 << t->shift : 0;
	if (t->shift == 7)
		times_form(w, blocks, n, (form){32, 0, 1, WIDE_OFFSET});
	else if (t->group == 32 && !t->has_min)
		times_form(w, blocks, n, (form){32, 0, 0, offset});
	else if (t->group == 32)
		times_form(w, blocks, n, (form){32, 1, 0, 0});
	else if (!t->has_min)
		times_form(w, blocks, n, (form){16, 0, 0, offset});
	else
		times_form(w, blocks, n, (form){16, 1, 0, 0});
}

static void store(const product *p, int64_t o, int64_t r0, int64_t n, float (*sum)[16]) {
	int64_t outs = min64(16, p->o1 - o);
	for (int64_t r = 0; r < n; r++) {
		float *y = p->y + (p->list ? p->list[r0 + r] : r0 + r) * p->y_stride + o;
		if (p->bias)
			for (int64_t i = 0; i < outs; i++) y[i] = sum[r][i] + p->bias[o + i];
		else
			memcpy(y, sum[r], (size_t)outs * 4);
	}
}

static void rows_tile(const product *p, int64_t o, int64_t r0, int64_t n, work *w) {
	const block_type *t = ingot_block_type(p->type);
	unpack_fn unpack = unpacker(p->type);
	const uint8_t *rows[16];
	memset(w->sum, 0, (size_t)n * 64);
	for (int64_t k = 0; k < p->k; k += PANEL_COLS) {
		int blocks = (int)min64(PANEL_COLS, p->k - k) / 32;
		for (int r = 0; r < 16; r++) rows[r] = p->w + min64(o + r, p->o1 - 1) * p->w_stride + k / t->elems * t->bytes;
		w->panel.next = ahead_of(p, o + 16, 16, k, 32 * blocks);
		if (unpack)
			unpack(&w->panel, rows, blocks);
		else
			unpack_any(&w->panel, rows, t, blocks);
		for (int64_t r = 0; r < n; r++) w->at[r] = w->a[r] + k / 32;
#if defined(PACK_TILES)
		w->tile_stride = act_blocks(p->k);
		w->tile = p->list ? NULL : act_tiles(p->x, p->x_rows, p->k) + r0 / TILE_ROWS * w->tile_stride + k / 32;
#endif
		times(w, blocks, n, t);
	}
	store(p, o, r0, n, w->sum);
}

void NAME(product_int8)(const product *p, void *scratch) {
	work *w = scratch;
	int64_t blocks = ceil_div(p->k, 32);
	const act_block *x = p->x;
#if defined(PACK_TILES)
	tile_shapes(ingot_block_type(p->type)->group);
#endif
	for (int64_t r0 = 0; r0 < p->rows; r0 += ROW_TILE) {
		int64_t n = min64(ROW_TILE, p->rows - r0);
		for (int64_t r = 0; r < n; r++) w->a[r] = x + (p->list ? p->list[r0 + r] / p->in_div : r0 + r) * blocks;
		for (int64_t o = p->o0; o < p->o1; o += 16) rows_tile(p, o, r0, n, w);
	}
#if defined(PACK_TILES)
	_tile_release();
#endif
}
