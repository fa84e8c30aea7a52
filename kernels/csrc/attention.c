/* ATTENTION over the paged cache: online softmax over spans of 64 keys at absolute
 * multiples of 64. A task is one sequence, one KV head and up to TILE units; a unit is
 * one query row of one of the heads that share the KV head. Units that see the same keys
 * of a span, which most do, go through it together, so that keys and values are read once
 * for all of them. A unit's arithmetic is the same however many go with it. */
#include "elementwise.h"
#include "mathf.h"
#include "vec.h"

#define TILE 8
#define KEYS INGOT_BLOCK_TOKENS
#define BLOCKS 4 /* of a span */
#define SPAN (BLOCKS * KEYS)
#define MAX_DIM 1024 /* of a head */
#define UNROLL _Pragma("GCC unroll 8")

typedef struct {
	float q[MAX_DIM + 16], acc[MAX_DIM];
	uint32_t q2[MAX_DIM / 2 + 8]; /* q in bf16, two elements a word */
	ALIGNED float p[SPAN];
	uint32_t p2[SPAN / 2];
	float m, l, rescale;
	int64_t lo, hi; /* keys it sees, hi inclusive */
	float *out, *lse; /* lse: NULL where it is not wanted */
} unit;

typedef struct {
	view k, v;
	int64_t head, dk, dv;
	float scale, cap;
} layer;

/* The head's part of a span's blocks, and what is read after each. */
typedef struct {
	const uint8_t *k[BLOCKS], *v[BLOCKS], *next_k[BLOCKS], *next_v[BLOCKS];
} span;

static int cache_type(view v) {
	return v.data && (v.dtype == INGOT_F32 || v.dtype == INGOT_BF16 || v.dtype == INGOT_Q8_0);
}

/* Bytes of one head of a block. */
static int64_t head_bytes(uint32_t dtype, int64_t d) {
	if (dtype == INGOT_F32) return KEYS * d * 4;
	return dtype == INGOT_BF16 ? KEYS * (d + d % 2) * 2 : KEYS * d + KEYS * ceil_div(d, 32) * 2;
}

static int64_t sequence_tasks(const ctx *c, const ingot_instr *in, int64_t s) {
	int64_t rows = c->batch->row_start[s + 1] - c->batch->row_start[s];
	return in->i[1] * ceil_div(rows * (in->i[0] / in->i[1]), TILE);
}

static int64_t tasks(const ctx *c, const ingot_instr *in) {
	view out = view_of(c, in->out[0]), q = view_of(c, in->in[0]), k = view_of(c, in->in[1]), v = view_of(c, in->in[2]);
	view sinks = view_of(c, in->in[3]), lse = view_of(c, in->out[1]);
	int64_t h = in->i[0], kvh = in->i[1], dk = in->i[2], dv = in->i[3], n = 0;
	if (!is_f32(out) || !is_f32(q) || !cache_type(k) || k.dtype != v.dtype || !v.data || h <= 0 || kvh <= 0 || h % kvh) return -1;
	if (dk <= 0 || dv <= 0 || dk > MAX_DIM || dv > MAX_DIM || q.cols != h * dk || out.cols != h * dv || out.n != q.n) return -1;
	if (in->out[1] >= 0 && (!is_f32(lse) || lse.cols != h || lse.n != q.n)) return -1;
	if (k.cols != kvh * dk * KEYS || v.cols != kvh * dv * KEYS || (in->in[3] >= 0 && (!is_f32(sinks) || sinks.cols < h))) return -1;
	for (int64_t s = 0; s < c->batch->seqs_n; s++) n += sequence_tasks(c, in, s);
	return n;
}

/* acc + the products of both bf16 halves of each lane, in an order of the table's own. */
INLINE vf dot2(vf acc, vi w, uint32_t x) {
#if defined(__AVX512BF16__)
	return (vf){{_mm512_dpbf16_ps(acc.p[0], (__m512bh)w.p[0], (__m512bh)_mm512_set1_epi32((int)x))}};
#else
	acc = vf_mla(vf_bits(vi_sll(w, 16)), vf_set(bits_f32(x << 16)), acc);
	return vf_mla(vf_bits(vi_and(w, vi_set((int32_t)0xffff0000))), vf_set(bits_f32(x & 0xffff0000)), acc);
#endif
}

INLINE void fetch(const uint8_t *next, int64_t offset) { __builtin_prefetch(next + offset, 0, 2); }

/* Scores of blocks b ... b+nb-1 for n units: sums over d in order, lane = key. */
INLINE void scores_bf16(const layer *a, const span *at, int b, int nb, unit *u, int n) {
	vf s[TILE][BLOCKS];
	UNROLL for (int i = 0; i < n; i++)
		UNROLL for (int j = 0; j < nb; j++) s[i][j] = vf_set(0);
	for (int64_t d = 0; d < (a->dk + 1) / 2; d++) {
		vi k[BLOCKS];
		UNROLL for (int j = 0; j < nb; j++) k[j] = vi_load(at->k[b + j] + d * KEYS * 4), fetch(at->next_k[b + j], d * KEYS * 4);
		UNROLL for (int i = 0; i < n; i++)
			UNROLL for (int j = 0; j < nb; j++) s[i][j] = dot2(s[i][j], k[j], u[i].q2[d]);
	}
	UNROLL for (int i = 0; i < n; i++)
		UNROLL for (int j = 0; j < nb; j++) vf_store(u[i].p + (b + j) * KEYS, s[i][j]);
}

/* The same of f32 keys, or of int8 keys with their scales. */
INLINE void scores_wide(const layer *a, const span *at, int b, int nb, unit *u, int n, int q8) {
	vf s[TILE][BLOCKS], group[BLOCKS];
	UNROLL for (int i = 0; i < n; i++)
		UNROLL for (int j = 0; j < nb; j++) s[i][j] = vf_set(0);
	for (int64_t d0 = 0; d0 < a->dk; d0 += 32) {
		int64_t scales = KEYS * a->dk + d0 / 32 * KEYS * 2;
		UNROLL for (int j = 0; q8 && j < nb; j++) group[j] = vf_load_f16((const uint16_t *)(const void *)(at->k[b + j] + scales)), fetch(at->next_k[b + j], scales);
		for (int64_t d = d0; d < min64(d0 + 32, a->dk); d++) {
			vf k[BLOCKS];
			UNROLL for (int j = 0; j < nb; j++) {
				k[j] = q8 ? vf_mul(vf_load_i8((const int8_t *)at->k[b + j] + d * KEYS), group[j]) : vf_load((const float *)(const void *)at->k[b + j] + d * KEYS);
				if (!q8 || d % 4 == 0) fetch(at->next_k[b + j], d * KEYS * (q8 ? 1 : 4));
			}
			UNROLL for (int i = 0; i < n; i++)
				UNROLL for (int j = 0; j < nb; j++) s[i][j] = vf_mla(vf_set(u[i].q[d]), k[j], s[i][j]);
		}
	}
	UNROLL for (int i = 0; i < n; i++)
		UNROLL for (int j = 0; j < nb; j++) vf_store(u[i].p + (b + j) * KEYS, s[i][j]);
}

/* Scores of blocks b ... b+nb-1, of any type of cache. */
INLINE void scores_type(const layer *a, const span *at, int b, int nb, unit *u, int n, uint32_t dtype) {
	if (dtype == INGOT_BF16) scores_bf16(a, at, b, nb, u, n);
	else scores_wide(a, at, b, nb, u, n, dtype == INGOT_Q8_0);
}

INLINE void scores_typed(const layer *a, const span *at, int from, int to, unit *u, int n, uint32_t dtype) {
	int b = from / KEYS, end = to / KEYS + 1, many = n > 4 ? 2 : BLOCKS; /* as many sums as hide the latency of one */
	for (; b + many <= end; b += many) scores_type(a, at, b, many, u, n, dtype);
	for (; b < end; b++) scores_type(a, at, b, 1, u, n, dtype);
}

INLINE void scores(const layer *a, const span *at, int from, int to, unit *u, int n) {
	switch (a->k.dtype) {
	case INGOT_BF16: scores_typed(a, at, from, to, u, n, INGOT_BF16); break;
	case INGOT_Q8_0: scores_typed(a, at, from, to, u, n, INGOT_Q8_0); break;
	default: scores_typed(a, at, from, to, u, n, INGOT_F32);
	}
}

/* Turns a unit's scores of keys from ... to of a span into weights, 0 for the other keys
 * of their blocks. */
static void softmax(const layer *a, unit *u, int from, int to) {
	int first = from / KEYS * KEYS;
	vf top = vf_set(u->m), sum = vf_set(0);
	for (int b = first; b <= to; b += KEYS) {
		vf p = vf_mul(vf_load(u->p + b), vf_set(a->scale));
		if (a->cap != 0) {
			vf_store(u->p + b, p);
			for (int l = b; l < b + KEYS; l++) u->p[l] = a->cap * tanh_f32(u->p[l] / a->cap);
			p = vf_load(u->p + b);
		}
		if (b < from || b + KEYS - 1 > to) p = vf_within(p, from - b, to - b, -INFINITY);
		vf_store(u->p + b, p);
		top = vf_max(p, top);
	}
	float m = vf_top(top);
	for (int b = first; b <= to; b += KEYS) {
		vf p = vf_exp_negative(vf_sub(vf_load(u->p + b), vf_set(m)));
		if (b < from || b + KEYS - 1 > to) p = vf_within(p, from - b, to - b, 0);
		vf_store(u->p + b, p);
		vf_store_bf16(u->p2 + b / 2, p);
		sum = vf_add(sum, p);
	}
	u->rescale = exp_f32(u->m - m);
	u->l = u->l * u->rescale + vf_total(sum);
	u->m = m;
}

/* A row of n words or floats, 16 or fewer. */
INLINE vi load_some(const uint8_t *p, int64_t n) {
	uint32_t t[16] = {0};
	memcpy(t, p, (size_t)n * 4);
	return vi_load(t);
}

/* The scales of V's rows, as f32: [row][group of 32 columns] of each block that is seen. */
typedef struct { ALIGNED float of[BLOCKS][KEYS * MAX_DIM / 32]; } value_scales;

INLINE void read_scales(const layer *a, const span *at, int from, int to, value_scales *s) {
	for (int b = from / KEYS; b <= to / KEYS; b++)
		for (int64_t i = 0; i < KEYS * ceil_div(a->dv, 32); i += 16)
			vf_store(s->of[b] + i, vf_load_f16((const uint16_t *)(const void *)(at->v[b] + KEYS * a->dv) + i)), fetch(at->next_v[b], KEYS * a->dv + 2 * i);
}

/* n columns of V's row j of a block from column d, 16 or fewer, as f32; of int8 with the
 * block's scales. */
INLINE vf wide_value(const layer *a, const uint8_t *block, int64_t j, int64_t d, int64_t n, const float *scales) {
	int64_t at = j * a->dv + d;
	if (!scales) return vf_bits(n == 16 ? vi_load(block + 4 * at) : load_some(block + 4 * at, n));
	int8_t t[16] = {0};
	const int8_t *q = (const int8_t *)block + at;
	if (n < 16) q = memcpy(t, q, (size_t)n);
	return vf_mul(vf_load_i8(q), vf_set(scales[j * ceil_div(a->dv, 32) + d / 32]));
}

/* acc = acc * rescale + sum of weight j times V row j, j in order from ... to, for nd
 * times cols columns from d, a constant 16 but at the end. In bf16 two rows lie together; of a pair that is seen in part
 * the other row counts nothing, whatever it holds. */
INLINE void weigh_columns(const layer *a, const span *at, int64_t d, int nd, int64_t cols, unit *u, int n, int from, int to, uint32_t dtype, const value_scales *scales) {
	vf acc[TILE][4];
	UNROLL for (int i = 0; i < n; i++)
		UNROLL for (int c = 0; c < nd; c++) acc[i][c] = vf_mul(vf_load(u[i].acc + d + 16 * c), vf_set(u[i].rescale));
	int step = dtype == INGOT_BF16 ? 2 : 1;
	for (int j = from / step * step; j <= to; j += step) {
		const uint8_t *v = at->v[j / KEYS], *next = at->next_v[j / KEYS];
		int row = j % KEYS;
		if (dtype == INGOT_BF16) {
			uint32_t seen = (j < from ? 0xffff0000u : 0xffffffffu) & (j + 1 > to ? 0x0000ffffu : 0xffffffffu);
			UNROLL for (int c = 0; c < nd; c++) {
				const uint8_t *words = v + (row / 2 * a->dv + d + 16 * c) * 4;
				vi w = cols == 16 ? vi_load(words) : load_some(words, cols);
				fetch(next, (row / 2 * a->dv + d + 16 * c) * 4);
				if (seen != 0xffffffffu) w = vi_and(w, vi_set((int32_t)seen));
				UNROLL for (int i = 0; i < n; i++) acc[i][c] = dot2(acc[i][c], w, u[i].p2[j / 2]);
			}
		} else
			UNROLL for (int c = 0; c < nd; c++) {
				vf w = wide_value(a, v, row, d + 16 * c, cols, dtype == INGOT_Q8_0 ? scales->of[j / KEYS] : NULL);
				fetch(next, (row * a->dv + d + 16 * c) * (dtype == INGOT_Q8_0 ? 1 : 4));
				UNROLL for (int i = 0; i < n; i++) acc[i][c] = vf_mla(vf_set(u[i].p[j]), w, acc[i][c]);
			}
	}
	UNROLL for (int i = 0; i < n; i++)
		UNROLL for (int c = 0; c < nd; c++) vf_store(u[i].acc + d + 16 * c, acc[i][c]);
}

INLINE void weigh_type(const layer *a, const span *at, unit *u, int n, int from, int to, uint32_t dtype) {
	int64_t d = 0;
	value_scales scales;
	if (dtype == INGOT_Q8_0) read_scales(a, at, from, to, &scales);
	if (n > 4)
		for (; d + 32 <= a->dv; d += 32) weigh_columns(a, at, d, 2, 16, u, n, from, to, dtype, &scales);
	else
		for (; d + 64 <= a->dv; d += 64) weigh_columns(a, at, d, 4, 16, u, n, from, to, dtype, &scales);
	for (; d + 16 <= a->dv; d += 16) weigh_columns(a, at, d, 1, 16, u, n, from, to, dtype, &scales);
	if (d < a->dv) weigh_columns(a, at, d, 1, a->dv - d, u, n, from, to, dtype, &scales);
}

INLINE void weigh(const layer *a, const span *at, unit *u, int n, int from, int to) {
	switch (a->v.dtype) {
	case INGOT_BF16: weigh_type(a, at, u, n, from, to, INGOT_BF16); break;
	case INGOT_Q8_0: weigh_type(a, at, u, n, from, to, INGOT_Q8_0); break;
	default: weigh_type(a, at, u, n, from, to, INGOT_F32);
	}
}

/* n units, a constant, all of which see keys from ... to of the span. */
INLINE void attend(const layer *a, const span *at, unit *u, int n, int from, int to) {
	scores(a, at, from, to, u, n);
	for (int i = 0; i < n; i++) softmax(a, &u[i], from, to);
	weigh(a, at, u, n, from, to);
}

static void attend_some(const layer *a, const span *at, unit *u, int n, int from, int to) {
	for (; n >= 8; n -= 8, u += 8) attend(a, at, u, 8, from, to);
	for (; n >= 4; n -= 4, u += 4) attend(a, at, u, 4, from, to);
	if (n == 3) attend(a, at, u, 3, from, to);
	if (n == 2) attend(a, at, u, 2, from, to);
	if (n == 1) attend(a, at, u, 1, from, to);
}

/* The units in runs that see the same keys of the span. */
static void attend_runs(const layer *a, const span *at, int64_t first, unit *u, int n) {
	for (int i = 0, run; i < n; i += run) {
		int64_t from = max64(u[i].lo - first, 0), to = min64(u[i].hi - first, SPAN - 1);
		for (run = 1; i + run < n; run++)
			if (max64(u[i + run].lo - first, 0) != from || min64(u[i + run].hi - first, SPAN - 1) != to) break;
		if (from <= to) attend_some(a, at, u + i, run, (int)from, (int)to);
	}
}

/* The blocks of the span at block index j of a sequence of blocks in all. A block that
 * is absent shows another one, which no unit looks at. */
static span span_at(const layer *a, const int32_t *table, int64_t j, int64_t blocks) {
	int64_t k = a->head * head_bytes(a->k.dtype, a->dk), v = a->head * head_bytes(a->v.dtype, a->dv);
	span s;
	for (int64_t i = 0; i < BLOCKS; i++) {
		int64_t here = table[min64(j + i, blocks - 1)], next = table[min64(j + BLOCKS + i, blocks - 1)];
		s.k[i] = a->k.data + here * a->k.stride + k, s.next_k[i] = a->k.data + next * a->k.stride + k;
		s.v[i] = a->v.data + here * a->v.stride + v, s.next_v[i] = a->v.data + next * a->v.stride + v;
	}
	return s;
}

static void open_unit(const ctx *c, const ingot_instr *in, int64_t s, int64_t head, int64_t index, unit *u) {
	view out = view_of(c, in->out[0]), lse = view_of(c, in->out[1]), q = view_of(c, in->in[0]), sinks = view_of(c, in->in[3]);
	int64_t heads = in->i[0] / in->i[1], h = head * heads + index % heads, r = c->batch->row_start[s] + index / heads;
	int64_t p = c->batch->positions[r], window = in->i[4], dk = in->i[2];
	memcpy(u->q, row_f32(q, r) + h * dk, (size_t)dk * 4);
	memset(u->q + dk, 0, 16 * 4); /* of an odd number of dimensions the last has no partner */
	for (int64_t d = 0; d < dk; d += 16) vf_store_bf16(u->q2 + d / 2, vf_load(u->q + d));
	memset(u->acc, 0, (size_t)(in->i[3] + 15) / 16 * 64);
	u->m = sinks.data ? row_f32(sinks, 0)[h] : -INFINITY;
	u->l = sinks.data ? 1.0f : 0.0f;
	u->hi = in->i[5] ? p : c->batch->seq_len[s] - 1;
	u->lo = window > 0 ? max64(0, p - window + 1) : 0;
	u->out = row_f32(out, r) + h * in->i[3];
	u->lse = lse.data ? row_f32(lse, r) + h : NULL;
}

static void run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	unit *u = scratch;
	const ingot_batch *b = c->batch;
	int64_t s = 0, of;
	for (; task >= (of = sequence_tasks(c, in, s)); s++) task -= of;
	int64_t tiles = of / in->i[1], units = (b->row_start[s + 1] - b->row_start[s]) * (in->i[0] / in->i[1]);
	layer a = {view_of(c, in->in[1]), view_of(c, in->in[2]), task / tiles, in->i[2], in->i[3], in->f[0], in->f[1]};
	int64_t first = task % tiles * TILE, lo = INT64_MAX, hi = -1;
	int n = (int)min64(TILE, units - first);
	for (int i = 0; i < n; i++) {
		open_unit(c, in, s, a.head, first + i, &u[i]);
		lo = min64(lo, u[i].lo);
		hi = max64(hi, u[i].hi);
	}
	for (int64_t j = lo / SPAN; j <= hi / SPAN && hi >= 0; j++) {
		span at = span_at(&a, b->tables + b->table_start[s], j * BLOCKS, hi / KEYS + 1);
		attend_runs(&a, &at, j * SPAN, u, n);
	}
	for (int i = 0; i < n; i++) {
		for (int64_t d = 0; d < a.dv; d++) u[i].out[d] = u[i].acc[d] / u[i].l;
		if (u[i].lse) *u[i].lse = u[i].m + logf(u[i].l);
	}
}

const op NAME(op_attention) = {tasks, run};
