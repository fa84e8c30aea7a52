/* LINEAR and EXPERT_LINEAR: what is the same for every table: checks, the pieces of the
 * output, and the lists of which rows go to which expert. */
#include "linear.h"
#include "blocks.h"
#include "interleave.h"

static product_fn product_of(const ctx *c, uint32_t x) {
	switch (x) {
	case INGOT_F32: return c->table->f32;
	case INGOT_PACK_BF16: return c->table->bf16;
	case INGOT_PACK_INT8: return c->table->int8;
	}
	return 0;
}

/* Interleaved weights are for int8 products, and bf16 ones for those of pairs. */
static int reads_interleaved(const ctx *c, view x, view w) {
	if (w.dtype == INGOT_BF16) return x.dtype == INGOT_PACK_BF16 && c->table->pairs && w.cols % 2 == 0;
	return x.dtype == INGOT_PACK_INT8 && ingot_interleaves(w.dtype);
}

/* Whether the table can multiply activations x by weights w of k columns. */
static int multiplies(const ctx *c, view x, view w, int64_t k) {
	const block_type *t = ingot_block_type(w.dtype);
	if (!x.data || !w.data || !product_of(c, x.dtype) || !t->elems) return 0;
	if (w.interleaved && !reads_interleaved(c, x, w)) return 0;
	if (x.cols != k || w.cols != k || k <= 0 || k > MAX_COLS || k % t->elems) return 0;
	if (x.dtype == INGOT_F32) return w.dtype == INGOT_F32;
	return x.dtype == INGOT_PACK_BF16 || t->group != 0;
}

static int64_t x_stride(view x, const ctx *c) {
	return x.dtype == INGOT_F32 ? x.stride : x.dtype == INGOT_PACK_BF16 ? c->table->pack_bf16_bytes(16, x.cols) / 16 : 0;
}

static product product_for(const ctx *c, view out, view x, view w) {
	return (product){.w = w.data, .w_stride = w.stride, .type = w.dtype, .interleaved = w.interleaved, .k = w.cols, .x = x.data, .x_stride = x_stride(x, c),
		.x_rows = x.n, .y = (float *)(void *)out.data, .y_stride = out.stride / 4, .in_div = 1};
}

#define PIECES 8 /* tasks of a product for each thread */

/* How many tasks share the outs rows of one of n products: whole groups each. */
static int64_t pieces_of(const ctx *c, int64_t outs, int64_t n) {
	return max64(1, min64(ceil_div(outs, c->table->group), ceil_div(c->threads * PIECES, n)));
}

/* The first row of piece i; of piece pieces: outs. */
static int64_t piece_start(const ctx *c, int64_t outs, int64_t pieces, int64_t i) {
	return min64(outs, ceil_div(outs, c->table->group) * i / pieces * c->table->group);
}

/* The bytes that a thread probably reads after this task: those of the task that is as
 * many further on as there are threads, be it of the next product. */
static void look_after(const ctx *c, const ingot_instr *in, int64_t task, int64_t pieces, product *p) {
	const ingot_instr *end = c->args->instrs + c->args->instrs_n;
	int64_t next = task + c->threads, outs = p->o_all;
	view w = view_of(c, in->in[1]);
	if (next >= pieces) {
		next -= pieces;
		do in++;
		while (in < end && in->op != INGOT_OP_LINEAR);
		if (in >= end) return;
		w = view_of(c, in->in[1]);
		outs = w.n;
		pieces = pieces_of(c, outs, 1);
	}
	int64_t from = piece_start(c, outs, pieces, next), rows = min64(c->table->group, outs - from);
	if (rows > 0) p->after = w.data + from * w.stride, p->after_bytes = rows * w.stride;
}

#define PART_ROWS 512 /* least rows of a task, where the rows are shared out too */

/* Into how many parts the rows of activations go, so that few pieces are no burden; those
 * that a table packs together stay together. */
static int64_t parts_of(const ctx *c, view x) {
	int apart = x.dtype == INGOT_F32 || (x.dtype == INGOT_PACK_BF16 && !c->table->tiles);
	return apart ? max64(1, min64(c->threads, x.n / PART_ROWS)) : 1;
}

static int64_t tasks(const ctx *c, const ingot_instr *in) {
	view out = view_of(c, in->out[0]), x = view_of(c, in->in[0]), w = view_of(c, in->in[1]), b = view_of(c, in->in[2]);
	if (!is_f32(out) || !multiplies(c, x, w, w.cols) || out.cols != w.n || out.n != x.n) return -1;
	if (in->in[2] >= 0 && (!is_f32(b) || b.cols < out.cols)) return -1;
	return out.n ? pieces_of(c, out.cols, 1) * parts_of(c, x) : 0;
}

static void run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	view out = view_of(c, in->out[0]), x = view_of(c, in->in[0]), w = view_of(c, in->in[1]), b = view_of(c, in->in[2]);
	product p = product_for(c, out, x, w);
	int64_t pieces = pieces_of(c, out.cols, 1), parts = parts_of(c, x), piece = task / parts, r = out.n * (task % parts) / parts;
	p.o0 = piece_start(c, out.cols, pieces, piece);
	p.o1 = piece_start(c, out.cols, pieces, piece + 1);
	p.o_all = out.cols;
	p.bias = (const float *)(const void *)b.data;
	p.x = (const uint8_t *)p.x + r * p.x_stride;
	p.y += r * p.y_stride;
	p.rows = out.n * (task % parts + 1) / parts - r;
	look_after(c, in, piece, pieces, &p);
	product_of(c, x.dtype)(&p, scratch);
}

const op ingot_op_linear = {tasks, run};

/* The step's use of experts, in ctx.shared. */
typedef struct {
	int32_t active_n;
	int32_t *active; /* [active_n] experts that have rows */
	int32_t *start;  /* [E+1] first entry of each expert in slots */
	int32_t *slots;  /* [T*k] token * k + j, by expert, ascending */
} routing;

static routing routing_at(const ctx *c, int64_t experts) {
	int32_t *p = c->shared;
	return (routing){p[0], p + 1, p + 1 + experts, p + 2 + 2 * experts};
}

static int64_t expert_id(view ids, int64_t k, int64_t slot) {
	return ((const int32_t *)(const void *)(ids.data + slot / k * ids.stride))[slot % k];
}

/* Counting sort of the slots that have an expert; 0 if an id is out of range. */
static int route(const ctx *c, view ids, int64_t k, int64_t experts) {
	routing r = routing_at(c, experts);
	int64_t n = ids.n * k;
	memset(r.start, 0, (size_t)(experts + 1) * 4);
	for (int64_t s = 0; s < n; s++) {
		int64_t e = expert_id(ids, k, s);
		if (e < -1 || e >= experts) return 0;
		if (e >= 0) r.start[e + 1]++;
	}
	int32_t active = 0;
	for (int64_t e = 0; e < experts; e++) {
		if (r.start[e + 1]) r.active[active++] = (int32_t)e;
		r.start[e + 1] += r.start[e];
	}
	for (int64_t s = 0; s < n; s++) {
		int64_t e = expert_id(ids, k, s);
		if (e >= 0) r.slots[r.start[e]++] = (int32_t)s;
	}
	for (int64_t e = experts; e > 0; e--) r.start[e] = r.start[e - 1];
	r.start[0] = 0;
	*(int32_t *)c->shared = active;
	return 1;
}

static int64_t expert_tasks(const ctx *c, const ingot_instr *in) {
	view out = view_of(c, in->out[0]), x = view_of(c, in->in[0]), w = view_of(c, in->in[1]);
	view b = view_of(c, in->in[2]), ids = view_of(c, in->in[3]);
	int64_t k = in->i[0], experts = in->i[2], outs = in->i[3];
	if (!is_f32(out) || !multiplies(c, x, w, w.cols) || k <= 0 || experts <= 0 || outs <= 0) return -1;
	if (out.cols != outs || w.n != experts * outs || (w.interleaved && outs % 16) || !ids.data || ids.dtype != INGOT_I32 || ids.cols < k) return -1;
	if (out.n != ids.n * k || x.n != (in->i[1] ? out.n : ids.n)) return -1;
	if (in->in[2] >= 0 && (!is_f32(b) || b.n < experts || b.cols < outs)) return -1;
	if ((out.n + 2 * experts + 2) * 4 > SHARED_BYTES || !route(c, ids, k, experts)) return -1;
	int64_t active = routing_at(c, experts).active_n;
	return active ? active * pieces_of(c, outs, active) : 0;
}

static void expert_run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	view out = view_of(c, in->out[0]), x = view_of(c, in->in[0]), w = view_of(c, in->in[1]), b = view_of(c, in->in[2]);
	int64_t outs = in->i[3];
	routing r = routing_at(c, in->i[2]);
	int64_t pieces = pieces_of(c, outs, r.active_n), e = r.active[task / pieces];
	product p = product_for(c, out, x, w);
	p.w += e * outs * w.stride;
	p.o0 = piece_start(c, outs, pieces, task % pieces);
	p.o1 = piece_start(c, outs, pieces, task % pieces + 1);
	p.o_all = outs;
	p.bias = b.data ? row_f32(b, e) : NULL;
	p.list = r.slots + r.start[e];
	p.rows = r.start[e + 1] - r.start[e];
	p.in_div = in->i[1] ? 1 : in->i[0];
	product_of(c, x.dtype)(&p, scratch);
}

const op ingot_op_expert_linear = {expert_tasks, expert_run};
