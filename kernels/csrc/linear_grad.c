/* LINEAR_DX and LINEAR_DW, and the same of experts: what is the same for every table. */
#include "blocks.h"
#include "grad.h"
#include "linear.h"

/* Whether a table's products of bf16 mode take bf16 (else f32 that was rounded). */
static int64_t elem_bytes(const ctx *c, uint32_t packed) {
	return packed == INGOT_F32 || packed == INGOT_PACK_COLS_F32 ? 4 : c->table->grad_bytes;
}

static gemm_fn gemm_of(const ctx *c, uint32_t packed) {
	return elem_bytes(c, packed) == 2 ? c->table->gemm_bf16 : c->table->gemm_f32;
}

#define TASKS 2        /* of a product for each thread, where its rows suffice */
#define MANY_ROWS 192  /* of a task, for which panels cost little */
#define LEAST_ROWS 48  /* of a task, for which panels are worth making */
#define WIDEST 320     /* columns of a task */
#define SUPERBLOCK 256 /* columns of which a quantized weight unpacks all or none */

/* How a product's C [m, n] is shared out: cols tasks wide, rows tasks high. */
typedef struct { int64_t rows, cols; } grid;

static grid grid_of(const ctx *c, int64_t m, int64_t n) {
	int64_t cols = max64(1, ceil_div(n, WIDEST)), each = max64(1, min64(ceil_div(TASKS, cols), m / MANY_ROWS / c->threads));
	return (grid){max64(1, min64(each * c->threads, m / LEAST_ROWS)), cols};
}

static int64_t cut(int64_t n, int64_t parts, int64_t i, int64_t group) {
	return i == parts ? n : n * i / parts / group * group;
}

static void product_of(const ctx *c, gemm *p, uint32_t packed, int64_t m, int64_t n, int64_t task, void *scratch) {
	grid g = grid_of(c, m, n);
	int64_t group = p->b.type == INGOT_BF16 || p->b.type == INGOT_F32 || p->b.type >= INGOT_PACK_BF16 ? 32 : SUPERBLOCK;
	int64_t tall = c->table->tiles ? 32 : 12; /* whole blocks of registers, or of tiles */
	p->m0 = cut(m, g.rows, task / g.cols, tall), p->m1 = cut(m, g.rows, task / g.cols + 1, tall);
	p->n0 = cut(n, g.cols, task % g.cols, group), p->n1 = cut(n, g.cols, task % g.cols + 1, group);
	if (p->m0 < p->m1 && p->n0 < p->n1) gemm_of(c, packed)(p, scratch);
}

static int64_t rows_stride(const ctx *c, view dy) {
	return dy.dtype == INGOT_F32 ? dy.stride : packed_stride(dy.cols, c->table->grad_bytes);
}

static int64_t cols_stride(const ctx *c, view dy) { return packed_stride(dy.n, elem_bytes(c, dy.dtype)); }

static int64_t dx_tasks(const ctx *c, const ingot_instr *in) {
	view dx = view_of(c, in->out[0]), base = view_of(c, in->in[0]), dy = view_of(c, in->in[1]), w = view_of(c, in->in[2]);
	if (!is_f32(dx) || !dy.data || !w.data || w.interleaved || dy.n != dx.n || dy.cols != w.n || dx.cols != w.cols || w.cols > MAX_COLS) return -1;
	if (in->in[0] >= 0 && (!is_f32(base) || base.n != dx.n || base.cols != dx.cols)) return -1;
	if (dy.dtype == INGOT_F32 ? w.dtype != INGOT_F32 : dy.dtype != INGOT_PACK_ROWS || !ingot_block_type(w.dtype)->elems) return -1;
	grid g = grid_of(c, dx.n, dx.cols);
	return dx.n ? g.rows * g.cols : 0;
}

static void dx_run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	view dx = view_of(c, in->out[0]), base = view_of(c, in->in[0]), dy = view_of(c, in->in[1]), w = view_of(c, in->in[2]);
	gemm p = {.a = dy.data, .a_stride = rows_stride(c, dy), .b = {w.data, w.stride, w.n, w.cols, w.dtype, NULL, 1}, .k = w.n,
		.c = row_f32(dx, 0), .c_stride = dx.stride / 4, .from = (const float *)(const void *)base.data, .from_stride = base.stride / 4};
	product_of(c, &p, dy.dtype, dx.n, dx.cols, task, scratch);
}

const op ingot_op_linear_dx = {dx_tasks, dx_run};

/* B of activations that LINEAR read: rows, in what form the table packs them. */
static gemm_rows_of activations(const ctx *c, view x) {
	if (x.dtype == INGOT_F32) return (gemm_rows_of){x.data, x.stride, x.n, x.cols, INGOT_F32, NULL, 1};
	if (c->table->grad_bytes == 4) return (gemm_rows_of){x.data, x.cols * 4, x.n, x.cols, INGOT_F32, NULL, 1};
	if (c->table->tiles) return (gemm_rows_of){x.data, 0, x.n, x.cols, INGOT_PACK_BF16, NULL, 1};
	return (gemm_rows_of){x.data, ceil_div(x.cols, 32) * 64, x.n, x.cols, INGOT_BF16, NULL, 1};
}

static int64_t dw_tasks(const ctx *c, const ingot_instr *in) {
	view dw = view_of(c, in->out[0]), dy = view_of(c, in->in[0]), x = view_of(c, in->in[1]);
	if (!is_f32(dw) || !dy.data || !x.data || dw.n != dy.cols || dw.cols != x.cols || x.n != dy.n || x.cols > MAX_COLS) return -1;
	if (dy.dtype == INGOT_PACK_COLS_F32 ? x.dtype != INGOT_F32 : dy.dtype != INGOT_PACK_COLS || x.dtype != INGOT_PACK_BF16) return -1;
	grid g = grid_of(c, dw.n, dw.cols);
	return dy.n ? g.rows * g.cols : 0;
}

static void dw_run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	view dw = view_of(c, in->out[0]), dy = view_of(c, in->in[0]), x = view_of(c, in->in[1]);
	gemm p = {.a = dy.data, .a_stride = cols_stride(c, dy), .b = activations(c, x), .k = dy.n,
		.c = row_f32(dw, 0), .c_stride = dw.stride / 4, .from = row_f32(dw, 0), .from_stride = dw.stride / 4};
	product_of(c, &p, dy.dtype, dw.n, dw.cols, task, scratch);
}

const op ingot_op_linear_dw = {dw_tasks, dw_run};

/* The slots of each expert, in scratch of the task: sorted again by each, since a list is
 * a thousandth of the work. */
#define ROWS_AT (1 << 20) /* in scratch, behind what a product needs */

static int64_t slots_of(view ids, int64_t k, int64_t expert, int32_t *slots) {
	int64_t n = 0;
	for (int64_t r = 0; r < ids.n; r++)
		for (int64_t j = 0; j < k; j++)
			if (((const int32_t *)(const void *)(ids.data + r * ids.stride))[j] == expert) slots[n++] = (int32_t)(r * k + j);
	return n;
}

static void put(void *to, int64_t i, float x, int64_t bytes, int exact) {
	if (bytes == 2) ((uint16_t *)to)[i] = f32_bf16(x);
	else ((float *)to)[i] = exact ? x : bf16_f32(f32_bf16(x));
}

typedef struct {
	view dy, x, ids;
	int64_t k, experts, outs, bytes;
	int exact; /* x is f32 */
	int32_t *slots;
	uint8_t *a; /* dy of some slots, packed */
	int64_t a_bytes;
} expert_job;

static expert_job expert_of(const ctx *c, const ingot_instr *in, view dy, view x, view ids, void *scratch) {
	expert_job e = {.dy = dy, .x = x, .ids = ids, .k = in->i[0], .experts = in->i[2], .outs = in->i[3], .exact = x.dtype == INGOT_F32};
	e.bytes = e.exact ? 4 : c->table->grad_bytes;
	e.slots = (int32_t *)(void *)((uint8_t *)scratch + ROWS_AT);
	e.a = (uint8_t *)scratch + ROWS_AT + ceil_div(dy.n * 4, 64) * 64;
	e.a_bytes = SCRATCH_BYTES - ROWS_AT - ceil_div(dy.n * 4, 64) * 64;
	return e;
}

static int expert_fits(const ctx *c, const ingot_instr *in, view dy, view x, view ids) {
	expert_job e = expert_of(c, in, dy, x, ids, c->shared); /* for its sizes alone */
	if (!is_f32(dy) || !x.data || !ids.data || ids.dtype != INGOT_I32 || e.k <= 0 || ids.cols != e.k || dy.n != ids.n * e.k || dy.cols != e.outs) return 0;
	return (e.exact || x.dtype == INGOT_PACK_BF16) && e.a_bytes >= (e.outs + 32) * 32 * 4;
}

static int64_t expert_dx_tasks(const ctx *c, const ingot_instr *in) {
	view dx = view_of(c, in->out[0]), dy = view_of(c, in->in[0]), w = view_of(c, in->in[1]), ids = view_of(c, in->in[2]), x = view_of(c, in->in[3]);
	if (!expert_fits(c, in, dy, x, ids) || !is_f32(dx) || !w.data || w.interleaved || w.n != (int64_t)in->i[2] * in->i[3]) return -1;
	if (dx.n != dy.n || dx.cols != w.cols || w.cols > MAX_COLS || (x.dtype == INGOT_F32 ? w.dtype != INGOT_F32 : !ingot_block_type(w.dtype)->elems)) return -1;
	return in->i[2];
}

/* Slots in turns of as many as fit; their results lie together in scratch first. */
static void expert_dx_run(const ctx *c, const ingot_instr *in, int64_t expert, void *scratch) {
	view dx = view_of(c, in->out[0]), w = view_of(c, in->in[1]);
	expert_job e = expert_of(c, in, view_of(c, in->in[0]), view_of(c, in->in[3]), view_of(c, in->in[2]), scratch);
	int64_t n = slots_of(e.ids, e.k, expert, e.slots), stride = ceil_div(e.outs, 32) * 32 * e.bytes;
	int64_t most = max64(1, e.a_bytes / (stride + dx.cols * 4 + 64));
	for (int64_t s = 0; s < n; s += most) {
		int64_t some = min64(most, n - s);
		float *result = (float *)(void *)(e.a + ceil_div(some * stride, 64) * 64);
		memset(e.a, 0, (size_t)(some * stride));
		for (int64_t r = 0; r < some; r++)
			for (int64_t o = 0; o < e.outs; o++) put(e.a + r * stride, o, row_f32(e.dy, e.slots[s + r])[o], e.bytes, e.exact);
		gemm p = {.a = e.a, .a_stride = stride, .b = {w.data + expert * e.outs * w.stride, w.stride, e.outs, w.cols, w.dtype, NULL, 1}, .k = e.outs,
			.m1 = some, .n1 = w.cols, .c = result, .c_stride = dx.cols};
		(e.bytes == 2 ? c->table->gemm_bf16 : c->table->gemm_f32)(&p, scratch);
		for (int64_t r = 0; r < some; r++) memcpy(row_f32(dx, e.slots[s + r]), result + r * dx.cols, (size_t)dx.cols * 4);
	}
}

const op ingot_op_expert_dx = {expert_dx_tasks, expert_dx_run};

static int64_t expert_dw_tasks(const ctx *c, const ingot_instr *in) {
	view dw = view_of(c, in->out[0]), db = view_of(c, in->out[1]), dy = view_of(c, in->in[0]), x = view_of(c, in->in[1]), ids = view_of(c, in->in[2]);
	int64_t rows = (int64_t)in->i[2] * in->i[3];
	if (!expert_fits(c, in, dy, x, ids) || x.n != (in->i[1] ? dy.n : ids.n) || x.cols > MAX_COLS) return -1;
	if (in->out[0] >= 0 && (!is_f32(dw) || dw.n * dw.cols != rows * x.cols)) return -1;
	if (in->out[1] >= 0 && (!is_f32(db) || db.n * db.cols != rows)) return -1;
	return in->i[2];
}

static void expert_dw_run(const ctx *c, const ingot_instr *in, int64_t expert, void *scratch) {
	view dw = view_of(c, in->out[0]), db = view_of(c, in->out[1]);
	expert_job e = expert_of(c, in, view_of(c, in->in[0]), view_of(c, in->in[1]), view_of(c, in->in[2]), scratch);
	int64_t n = slots_of(e.ids, e.k, expert, e.slots), most = max64(32, e.a_bytes / (e.outs * e.bytes) / 32 * 32);
	for (int64_t s = 0; s < n && db.data; s++)
		for (int64_t o = 0; o < e.outs; o++) ((float *)(void *)db.data)[expert * e.outs + o] += row_f32(e.dy, e.slots[s])[o];
	for (int64_t s = 0; s < n && dw.data; s += most) {
		int64_t some = min64(most, n - s), stride = ceil_div(some, 32) * 32 * e.bytes;
		memset(e.a, 0, (size_t)(e.outs * stride));
		for (int64_t r = 0; r < some; r++)
			for (int64_t o = 0; o < e.outs; o++) put(e.a + o * stride, r, row_f32(e.dy, e.slots[s + r])[o], e.bytes, e.exact);
		gemm p = {.a = e.a, .a_stride = stride, .b = activations(c, e.x), .k = some, .m1 = e.outs, .n1 = e.x.cols,
			.c = (float *)(void *)dw.data + expert * e.outs * e.x.cols, .c_stride = e.x.cols};
		p.from = p.c, p.from_stride = p.c_stride;
		p.b.list = e.slots + s, p.b.div = in->i[1] ? 1 : (int32_t)e.k;
		(e.bytes == 2 ? c->table->gemm_bf16 : c->table->gemm_f32)(&p, scratch);
	}
}

const op ingot_op_expert_dw = {expert_dw_tasks, expert_dw_run};
