/* ATTENTION over the paged cache: online softmax in blocks of 16 keys at absolute
 * multiples of 16. A task is one sequence, one KV head and up to TILE units; a unit is
 * one query row of one of the heads that share the KV head. Blocks that every unit sees
 * whole are read once for all of them; at the edges each unit goes alone. A unit's
 * arithmetic is the same either way, so its bits do not depend on the tile. */
#include "elementwise.h"
#include "mathf.h"
#include "vec.h"

#define TILE 8
#define KEYS INGOT_BLOCK_TOKENS
#define MAX_DIM 1024 /* of a head */

typedef struct {
	float q[MAX_DIM], acc[MAX_DIM];
	float m, l, rescale;
	int64_t lo, hi; /* keys it sees, hi inclusive */
	float *out;
	ALIGNED float p[KEYS];
} unit;

typedef struct {
	view k, v;
	int64_t head, dk, dv;
	float scale, cap;
} layer;

static int cache_type(view v) {
	return v.data && (v.dtype == INGOT_F32 || v.dtype == INGOT_BF16 || v.dtype == INGOT_Q8_0);
}

/* Bytes of one head of a block. */
static int64_t head_bytes(uint32_t dtype, int64_t d) {
	if (dtype == INGOT_F32) return KEYS * d * 4;
	return dtype == INGOT_BF16 ? KEYS * d * 2 : KEYS * d + KEYS * ceil_div(d, 32) * 2;
}

static int64_t sequence_tasks(const ctx *c, const ingot_instr *in, int64_t s) {
	int64_t rows = c->batch->row_start[s + 1] - c->batch->row_start[s];
	return in->i[1] * ceil_div(rows * (in->i[0] / in->i[1]), TILE);
}

static int64_t tasks(const ctx *c, const ingot_instr *in) {
	view out = view_of(c, in->out[0]), q = view_of(c, in->in[0]), k = view_of(c, in->in[1]), v = view_of(c, in->in[2]);
	view sinks = view_of(c, in->in[3]);
	int64_t h = in->i[0], kvh = in->i[1], dk = in->i[2], dv = in->i[3], n = 0;
	if (!is_f32(out) || !is_f32(q) || !cache_type(k) || !cache_type(v) || h <= 0 || kvh <= 0 || h % kvh) return -1;
	if (dk <= 0 || dv <= 0 || dk > MAX_DIM || dv > MAX_DIM || q.cols != h * dk || out.cols != h * dv || out.n != q.n) return -1;
	if (k.cols != kvh * dk * KEYS || v.cols != kvh * dv * KEYS || (in->in[3] >= 0 && (!is_f32(sinks) || sinks.cols < h))) return -1;
	for (int64_t s = 0; s < c->batch->seqs_n; s++) n += sequence_tasks(c, in, s);
	return n;
}

/* Scores of 16 keys for n units: sums over d in order, lane = key. */
INLINE void scores(const layer *a, const uint8_t *block, unit *u, int n) {
	vf s[TILE];
	const uint8_t *scales = block + KEYS * a->dk;
	for (int i = 0; i < n; i++) s[i] = vf_set(0);
	for (int64_t d0 = 0; d0 < a->dk; d0 += 32) {
		vf group = vf_set(1);
		if (a->k.dtype == INGOT_Q8_0) group = vf_load_f16((const uint16_t *)(const void *)(scales + d0 / 32 * KEYS * 2));
		for (int64_t d = d0; d < min64(d0 + 32, a->dk); d++) {
			vf k;
			if (a->k.dtype == INGOT_BF16)
				k = vf_load_bf16((const uint16_t *)(const void *)block + d * KEYS);
			else if (a->k.dtype == INGOT_Q8_0)
				k = vf_mul(vf_load_i8((const int8_t *)block + d * KEYS), group);
			else
				k = vf_load((const float *)(const void *)block + d * KEYS);
			_Pragma("GCC unroll 8") for (int i = 0; i < n; i++) s[i] = vf_mla(vf_set(u[i].q[d]), k, s[i]);
		}
	}
	for (int i = 0; i < n; i++) vf_store(u[i].p, s[i]);
}

/* Turns a unit's scores of the block at key into weights; keys outside from..to (in
 * the block) weigh 0. */
static void softmax(const layer *a, unit *u, int from, int to) {
	float top = u->m, sum[KEYS];
	for (int j = 0; j < KEYS; j++) u->p[j] = u->p[j] * a->scale;
	if (a->cap != 0)
		for (int j = 0; j < KEYS; j++) u->p[j] = a->cap * tanh_f32(u->p[j] / a->cap);
	for (int j = from; j <= to; j++) top = u->p[j] > top ? u->p[j] : top;
	for (int j = 0; j < KEYS; j++) {
		float e = exp_f32(u->p[j] - top);
		u->p[j] = j >= from && j <= to ? e : 0.0f;
		sum[j] = u->p[j];
	}
	for (int half = 8; half > 0; half /= 2)
		for (int j = 0; j < half; j++) sum[j] += sum[j + half];
	u->rescale = exp_f32(u->m - top);
	u->l = u->l * u->rescale + sum[0];
	u->m = top;
}

/* 16 or fewer columns of V's row j from column d. */
INLINE vf load_v(const layer *a, const uint8_t *block, int64_t j, int64_t d, int64_t n) {
	float t[16] = {0};
	int64_t at = j * a->dv + d;
	if (a->v.dtype == INGOT_Q8_0) {
		const uint8_t *scales = block + KEYS * a->dv;
		vf scale = vf_set(f16_f32(load_u16(scales + (j * ceil_div(a->dv, 32) + d / 32) * 2)));
		if (n >= 16) return vf_mul(vf_load_i8((const int8_t *)block + at), scale);
		for (int64_t i = 0; i < n; i++) t[i] = ((const int8_t *)block)[at + i];
		return vf_mul(vf_load(t), scale);
	}
	if (a->v.dtype == INGOT_BF16) {
		const uint16_t *p = (const uint16_t *)(const void *)block + at;
		if (n >= 16) return vf_load_bf16(p);
		for (int64_t i = 0; i < n; i++) t[i] = bf16_f32(p[i]);
		return vf_load(t);
	}
	const float *p = (const float *)(const void *)block + at;
	if (n >= 16) return vf_load(p);
	for (int64_t i = 0; i < n; i++) t[i] = p[i];
	return vf_load(t);
}

/* acc = acc * rescale + sum of weight j times V row j, j in order. */
INLINE void weigh(const layer *a, const uint8_t *block, unit *u, int n, int from, int to) {
	for (int64_t d = 0; d < a->dv; d += 16) {
		vf acc[TILE];
		_Pragma("GCC unroll 8") for (int i = 0; i < n; i++) acc[i] = vf_mul(vf_load(u[i].acc + d), vf_set(u[i].rescale));
		for (int j = from; j <= to; j++) {
			vf v = load_v(a, block, j, d, a->dv - d);
			_Pragma("GCC unroll 8") for (int i = 0; i < n; i++) acc[i] = vf_mla(vf_set(u[i].p[j]), v, acc[i]);
		}
		_Pragma("GCC unroll 8") for (int i = 0; i < n; i++) vf_store(u[i].acc + d, acc[i]);
	}
}

static void whole_block_of_many(const layer *a, const uint8_t *k, const uint8_t *v, unit *u, int n) {
	scores(a, k, u, TILE);
	for (int i = 0; i < n; i++) softmax(a, &u[i], 0, KEYS - 1);
	weigh(a, v, u, TILE, 0, KEYS - 1);
}

static void block_of_one(const layer *a, const uint8_t *k, const uint8_t *v, unit *u, int from, int to) {
	scores(a, k, u, 1);
	softmax(a, u, from, to);
	weigh(a, v, u, 1, from, to);
}

static void block(const layer *a, int64_t id, int64_t first, unit *u, int n) {
	const uint8_t *k = a->k.data + id * a->k.stride + a->head * head_bytes(a->k.dtype, a->dk);
	const uint8_t *v = a->v.data + id * a->v.stride + a->head * head_bytes(a->v.dtype, a->dv);
	int whole = n == TILE;
	for (int i = 0; i < n; i++) whole &= u[i].lo <= first && u[i].hi >= first + KEYS - 1;
	if (whole) {
		whole_block_of_many(a, k, v, u, n);
		return;
	}
	for (int i = 0; i < n; i++) {
		int64_t from = max64(u[i].lo - first, 0), to = min64(u[i].hi - first, KEYS - 1);
		if (from <= to) block_of_one(a, k, v, &u[i], (int)from, (int)to);
	}
}

static void open_unit(const ctx *c, const ingot_instr *in, int64_t s, int64_t head, int64_t index, unit *u) {
	view out = view_of(c, in->out[0]), q = view_of(c, in->in[0]), sinks = view_of(c, in->in[3]);
	int64_t heads = in->i[0] / in->i[1], h = head * heads + index % heads, r = c->batch->row_start[s] + index / heads;
	int64_t p = c->batch->positions[r], window = in->i[4];
	memcpy(u->q, row_f32(q, r) + h * in->i[2], (size_t)in->i[2] * 4);
	memset(u->acc, 0, (size_t)(in->i[3] + 15) / 16 * 64);
	u->m = sinks.data ? row_f32(sinks, 0)[h] : -INFINITY;
	u->l = sinks.data ? 1.0f : 0.0f;
	u->hi = in->i[5] ? p : c->batch->seq_len[s] - 1;
	u->lo = window > 0 ? max64(0, p - window + 1) : 0;
	u->out = row_f32(out, r) + h * in->i[3];
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
	for (int64_t j = lo / KEYS; j <= hi / KEYS && hi >= 0; j++) block(&a, b->tables[b->table_start[s] + j], j * KEYS, u, n);
	for (int i = 0; i < n; i++)
		for (int64_t d = 0; d < a.dv; d++) u[i].out[d] = u[i].acc[d] / u[i].l;
}

const op NAME(op_attention) = {tasks, run};
