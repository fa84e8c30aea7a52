/* Blocks of 16 weight rows become a panel for the products in int8 mode: bytes of four
 * columns x 16 rows side by side, made unsigned by the type's offset, and scales (and
 * minima) with lane = row. Each type is written once for rows as they lie and for
 * interleaved ones. */
#ifndef INGOT_UNPACK_INT8_H
#define INGOT_UNPACK_INT8_H
#include "internal.h"
#include "vec.h"

#define PANEL_COLS 256

typedef struct {
	ALIGNED uint8_t q[PANEL_COLS / 4][64];
	ALIGNED float scale[16][16], min[16][16]; /* by group of the panel */
	ahead next; /* asked for while rows meet this panel */
	const uint8_t *raw; /* the columns' bytes where they are interleaved; see panel_bytes */
} panel;

/* Where the panel's columns of 16 rows lie: in rows, or interleaved behind row[0]. */
typedef struct {
	const uint8_t *const *row;
	int interleaved; /* a constant once inlined */
} source;

typedef void (*unpack_fn)(panel *, const uint8_t *const *row, int blocks);

/* The unit of row r that is at this offset of its columns; see interleave.c. */
INLINE const uint8_t *unit_at(source s, int r, int64_t offset, int unit) {
	return s.interleaved ? s.row[0] + 16 * offset + unit * r : s.row[r] + offset;
}

/* 16 bytes of each row from offset, transposed: out[d] lane r is dword d of row r. */
INLINE void columns(vi out[4], source s, int64_t offset) {
	if (!s.interleaved)
		vi_columns(out, s.row, offset);
	else
		for (int d = 0; d < 4; d++) out[d] = vi_load(s.row[0] + 16 * offset + 64 * d);
}

/* The f16 numbers of 16 rows at offset as f32 lanes. */
INLINE vf halves_at(source s, int64_t offset) {
	uint16_t h[16];
	if (s.interleaved) return vf_load_f16((const uint16_t *)(const void *)(s.row[0] + 16 * offset));
	for (int r = 0; r < 16; r++) h[r] = load_u16(s.row[r] + offset);
	return vf_load_f16(h);
}

/* The same, one per row and block. */
INLINE void halves(float to[16][16], source s, int blocks, int bytes, int at, float sign) {
	for (int b = 0; b < blocks; b++) vf_store(to[b], vf_mul(halves_at(s, b * bytes + at), vf_set(sign)));
}

INLINE vi low4(vi v) { return vi_and(v, vi_bytes(15)); }
INLINE vi high4(vi v) { return vi_and(vi_srl(v, 4), vi_bytes(15)); }

/* Bit pairs or bits of each byte at position n, moved to position to. */
INLINE vi field(vi v, int n, int to, uint8_t mask) {
	v = n > to ? vi_srl(v, n - to) : vi_sll(v, to - n);
	return vi_and(v, vi_bytes((uint8_t)(mask << to)));
}

/* The common shape of 32-element nibble blocks: low nibbles first. */
INLINE void nibble_blocks(panel *p, source s, int blocks, int bytes, int at, const uint8_t *table) {
	for (int b = 0; b < blocks; b++) {
		vi v[4];
		columns(v, s, b * bytes + at);
		for (int d = 0; d < 4; d++) {
			vi lo = low4(v[d]), hi = high4(v[d]);
			vi_store(p->q[8 * b + d], table ? vi_lookup(table, lo) : lo);
			vi_store(p->q[8 * b + 4 + d], table ? vi_lookup(table, hi) : hi);
		}
	}
}

/* How a panel's bytes lie: in q, or interleaved at raw, for the product to take apart in
 * registers. Tiles want them in q. */
enum { UNPACKED, RAW_Q4_0, RAW_Q8_0, RAW_Q4_K };

static int raw_form(uint32_t type, int interleaved) {
#if !defined(PACK_TILES)
	if (!interleaved) return UNPACKED;
	switch (type) {
	case INGOT_Q4_0: return RAW_Q4_0;
	case INGOT_Q8_0: return RAW_Q8_0;
	case INGOT_Q4_K: return RAW_Q4_K;
	}
#else
	(void)type, (void)interleaved;
#endif
	return UNPACKED;
}

/* The unsigned bytes of columns 4*d ... 4*d+3 of block b + i; i is a constant. */
INLINE vi panel_bytes(const panel *p, int b, int i, int d, int raw) {
	switch (raw) {
	case RAW_Q4_0: {
		vi v = vi_load(p->raw + 16 * (18 * b + 2) + 64 * (d % 4));
		return d < 4 ? low4(v) : high4(v);
	}
	case RAW_Q8_0: return vi_xor(vi_load(p->raw + 16 * (34 * b + 2) + 64 * d), vi_bytes(0x80));
	case RAW_Q4_K: {
		vi v = vi_load(p->raw + 16 * (16 + 16 * b) + 64 * d); /* the nibbles of two blocks, b even */
		return i == 0 ? low4(v) : high4(v);
	}
	}
	return vi_load(p->q[8 * (b + i) + d]);
}

INLINE void q4_0(panel *p, source s, int blocks) {
	halves(p->scale, s, blocks, 18, 0, 1);
	if (raw_form(INGOT_Q4_0, s.interleaved)) return;
	nibble_blocks(p, s, blocks, 18, 2, NULL);
}

INLINE void q4_1(panel *p, source s, int blocks) {
	halves(p->scale, s, blocks, 20, 0, 1);
	halves(p->min, s, blocks, 20, 2, -1);
	nibble_blocks(p, s, blocks, 20, 4, NULL);
}

static const uint8_t unsigned_iq4[16] = {1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241};
static const uint8_t unsigned_e2m1[16] = {16, 17, 18, 19, 20, 22, 24, 28, 16, 15, 14, 13, 12, 10, 8, 4};

INLINE void iq4_nl(panel *p, source s, int blocks) {
	halves(p->scale, s, blocks, 18, 0, 1);
	nibble_blocks(p, s, blocks, 18, 2, unsigned_iq4);
}

INLINE void mxfp4(panel *p, source s, int blocks) {
	for (int r = 0; r < 16; r++)
		for (int b = 0; b < blocks; b++) p->scale[b][r] = e8m0_half(*unit_at(s, r, 17 * b, 1));
	nibble_blocks(p, s, blocks, 17, 1, unsigned_e2m1);
}

/* Sets bit 4 of element k where bit k of the row's 32-bit word is set. */
INLINE void fifth_bits(panel *p, source s, int blocks, int bytes, int at) {
	static const uint8_t spread[4][16] = { /* nibble -> its four bits as bytes 0x10 */
		{0, 16, 0, 16, 0, 16, 0, 16, 0, 16, 0, 16, 0, 16, 0, 16},
		{0, 0, 16, 16, 0, 0, 16, 16, 0, 0, 16, 16, 0, 0, 16, 16},
		{0, 0, 0, 0, 16, 16, 16, 16, 0, 0, 0, 0, 16, 16, 16, 16},
		{0, 0, 0, 0, 0, 0, 0, 0, 16, 16, 16, 16, 16, 16, 16, 16}};
	uint32_t h[8][16], table[16];
	for (int i = 0; i < 16; i++)
		table[i] = (uint32_t)spread[0][i] | (uint32_t)spread[1][i] << 8 | (uint32_t)spread[2][i] << 16 | (uint32_t)spread[3][i] << 24;
	for (int r = 0; r < 16; r++)
		for (int b = 0; b < blocks; b++) h[b][r] = load_u32(unit_at(s, r, b * bytes + at, 4));
	for (int b = 0; b < blocks; b++)
		for (int d = 0; d < 8; d++) {
			uint32_t bits[16];
			for (int r = 0; r < 16; r++) bits[r] = table[h[b][r] >> (4 * d) & 15];
			vi_store(p->q[8 * b + d], vi_or(vi_load(p->q[8 * b + d]), vi_load(bits)));
		}
}

INLINE void q5_0(panel *p, source s, int blocks) {
	halves(p->scale, s, blocks, 22, 0, 1);
	nibble_blocks(p, s, blocks, 22, 6, NULL);
	fifth_bits(p, s, blocks, 22, 2);
}

INLINE void q5_1(panel *p, source s, int blocks) {
	halves(p->scale, s, blocks, 24, 0, 1);
	halves(p->min, s, blocks, 24, 2, -1);
	nibble_blocks(p, s, blocks, 24, 8, NULL);
	fifth_bits(p, s, blocks, 24, 4);
}

INLINE void q8_0(panel *p, source s, int blocks) {
	halves(p->scale, s, blocks, 34, 0, 1);
	if (raw_form(INGOT_Q8_0, s.interleaved)) return;
	for (int d = 0; d < 2 * blocks; d++) {
		vi v[4];
		columns(v, s, d / 2 * 34 + 2 + d % 2 * 16);
		for (int i = 0; i < 4; i++) vi_store(p->q[4 * d + i], vi_xor(v[i], vi_bytes(0x80)));
	}
}

/* Scales and minima of Q4_K, Q5_K: eight six-bit pairs in 12 bytes, lane = row. */
INLINE void scales_k4(panel *p, source s) {
	vi v[4]; /* d and dmin, then 12 bytes: v[1] v[2] v[3] */
	columns(v, s, 0);
	vf d = vf_low_f16(v[0]), dmin = vf_low_f16(vi_srl(v[0], 16));
	vi sc[2], m[2];
	sc[0] = vi_and(v[1], vi_bytes(63));
	m[0] = vi_and(v[2], vi_bytes(63));
	sc[1] = vi_or(low4(v[3]), field(v[1], 6, 4, 3));
	m[1] = vi_or(high4(v[3]), field(v[2], 6, 4, 3));
	for (int g = 0; g < 8; g++) {
		vi scale = vi_and(vi_srl(sc[g / 4], g % 4 * 8), vi_set(255)), min = vi_and(vi_srl(m[g / 4], g % 4 * 8), vi_set(255));
		vf_store(p->scale[g], vf_mul(d, vf_of(scale)));
		vf_store(p->min[g], vf_mul(dmin, vf_of(min)));
	}
}

INLINE void q4_k(panel *p, source s, int blocks) {
	(void)blocks;
	scales_k4(p, s);
	if (raw_form(INGOT_Q4_K, s.interleaved)) return;
	for (int c = 0; c < 8; c++) {
		vi v[4];
		columns(v, s, 16 + 16 * c);
		for (int i = 0; i < 4; i++) {
			vi_store(p->q[c / 2 * 16 + c % 2 * 4 + i], low4(v[i]));
			vi_store(p->q[c / 2 * 16 + 8 + c % 2 * 4 + i], high4(v[i]));
		}
	}
}

INLINE void q5_k(panel *p, source s, int blocks) {
	(void)blocks;
	scales_k4(p, s);
	for (int half = 0; half < 2; half++) {
		vi h[4], v[4];
		columns(h, s, 16 + 16 * half);
		for (int c = 0; c < 4; c++) {
			columns(v, s, 48 + 32 * c + 16 * half);
			for (int i = 0; i < 4; i++) {
				vi_store(p->q[16 * c + 4 * half + i], vi_or(low4(v[i]), field(h[i], 2 * c, 4, 1)));
				vi_store(p->q[16 * c + 8 + 4 * half + i], vi_or(high4(v[i]), field(h[i], 2 * c + 1, 4, 1)));
			}
		}
	}
}

INLINE void q6_k(panel *p, source s, int blocks) {
	(void)blocks;
	vi sc[4];
	columns(sc, s, 192);
	vf d = halves_at(s, 208);
	for (int g = 0; g < 16; g++) {
		vf_store(p->scale[g], vf_mul(d, vf_of(vi_byte(sc[g / 4], g % 4))));
	}
	for (int c = 0; c < 4; c++) { /* half of the block, half of 32 columns */
		vi q[4], l[4], m[4];
		int at = c / 2, half = c % 2;
		columns(q, s, 128 + 32 * at + 16 * half);
		columns(l, s, 64 * at + 16 * half);
		columns(m, s, 64 * at + 32 + 16 * half);
		for (int i = 0; i < 4; i++) {
			uint8_t(*to)[64] = &p->q[32 * at + 4 * half + i];
			vi_store(to[0], vi_or(low4(l[i]), field(q[i], 0, 4, 3)));
			vi_store(to[8], vi_or(low4(m[i]), field(q[i], 2, 4, 3)));
			vi_store(to[16], vi_or(high4(l[i]), field(q[i], 4, 4, 3)));
			vi_store(to[24], vi_or(high4(m[i]), field(q[i], 6, 4, 3)));
		}
	}
}

INLINE void q2_k(panel *p, source s, int blocks) {
	(void)blocks;
	vi sc[4];
	columns(sc, s, 0);
	vf d = halves_at(s, 80), dmin = halves_at(s, 82);
	for (int g = 0; g < 16; g++) {
		vi both = vi_srl(sc[g / 4], g % 4 * 8);
		vf_store(p->scale[g], vf_mul(d, vf_of(vi_and(both, vi_set(15)))));
		vf_store(p->min[g], vf_mul(dmin, vf_of(vi_and(vi_srl(both, 4), vi_set(15)))));
	}
	for (int c = 0; c < 4; c++) {
		vi q[4];
		columns(q, s, 16 + 16 * c);
		for (int j = 0; j < 4; j++)
			for (int i = 0; i < 4; i++) vi_store(p->q[c / 2 * 32 + 8 * j + c % 2 * 4 + i], field(q[i], 2 * j, 0, 3));
	}
}

INLINE void q3_k(panel *p, source s, int blocks) {
	(void)blocks;
	for (int r = 0; r < 16; r++) {
		uint8_t sc[12];
		for (int i = 0; i < 12; i += 4) memcpy(sc + i, unit_at(s, r, 96 + i, 4), 4);
		float d = f16_f32(load_u16(unit_at(s, r, 108, 2)));
		for (int g = 0; g < 16; g++)
			p->scale[g][r] = d * (float)(((sc[g % 8] >> (g / 8 * 4) & 15) | (sc[8 + g % 4] >> (g / 4 * 2) & 3) << 4) - 32);
	}
	for (int half = 0; half < 2; half++) {
		vi h[4];
		columns(h, s, 16 * half);
		for (int c = 0; c < 2; c++) {
			vi q[4];
			columns(q, s, 32 + 32 * c + 16 * half);
			for (int j = 0; j < 4; j++)
				for (int i = 0; i < 4; i++)
					vi_store(p->q[32 * c + 8 * j + 4 * half + i], vi_or(field(q[i], 2 * j, 0, 3), field(h[i], 4 * c + j, 2, 1)));
		}
	}
}

INLINE void iq4_xs(panel *p, source s, int blocks) {
	(void)blocks;
	for (int r = 0; r < 16; r++) {
		uint32_t first = load_u32(unit_at(s, r, 0, 4)), low = load_u32(unit_at(s, r, 4, 4));
		float d = f16_f32((uint16_t)first);
		for (int g = 0; g < 8; g++) p->scale[g][r] = d * (float)((int)((low >> (4 * g) & 15) | (first >> (16 + 2 * g) & 3) << 4) - 32);
	}
	nibble_blocks(p, s, 8, 16, 8, unsigned_iq4);
}

/* Every other type: row by row through the integer form. */
static void unpack_any(panel *p, const uint8_t *const *row, const block_type *t, int blocks) {
	int_block b;
	for (int r = 0; r < 16; r++)
		for (int i = 0, at = 0; i < blocks * 32; i += t->elems, at += t->bytes) {
			t->unpack(&b, row[r] + at);
			for (int e = 0; e < t->elems; e++)
				p->q[(i + e) / 4][4 * r + e % 4] = (uint8_t)(b.q[e] + (t->shift ? 1 << t->shift : 0));
			for (int g = 0; g < t->elems / t->group; g++) {
				p->scale[i / t->group + g][r] = b.scale[g];
				if (t->has_min) p->min[i / t->group + g][r] = b.min[g];
			}
		}
}

#define EACH_TYPE(X) X(q4_0, Q4_0) X(q4_1, Q4_1) X(q5_0, Q5_0) X(q5_1, Q5_1) X(q8_0, Q8_0) X(iq4_nl, IQ4_NL) X(mxfp4, MXFP4) \
	X(q2_k, Q2_K) X(q3_k, Q3_K) X(q4_k, Q4_K) X(q5_k, Q5_K) X(q6_k, Q6_K) X(iq4_xs, IQ4_XS)
#define BOTH_FORMS(name, type) \
	static void name##_rows(panel *p, const uint8_t *const *row, int blocks) { name(p, (source){row, 0}, blocks); } \
	static void name##_interleaved(panel *p, const uint8_t *const *row, int blocks) { name(p, (source){row, 1}, blocks); }
EACH_TYPE(BOTH_FORMS)

/* NULL: the type has no unpacker of its own. */
static unpack_fn unpacker(uint32_t type, int interleaved) {
#define ENTRY(name, type) [INGOT_##type] = {name##_rows, name##_interleaved},
	static const unpack_fn fn[INGOT_MXFP4 + 1][2] = {EACH_TYPE(ENTRY)};
	return fn[type][interleaved];
}
#endif
