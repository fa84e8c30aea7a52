/* Gradients that move rows or sum over them: CONCAT, ROWS_DX, POOL_DX, ROPE_DX,
 * SLOT_SUMS, ROUND; COLUMN_SUMS, SQUARE_SUMS and EMBED_DW, whose tasks are stripes of columns,
 * so that rows are summed in order. */
#include "blocks.h"
#include "elementwise.h"

#define STRIPE 64 /* columns of a task that sums over rows */

static inline void add_row(float *restrict y, const float *restrict x, int64_t n) {
	for (int64_t i = 0; i < n; i++) y[i] += x[i];
}

static int64_t concat_tasks(const ctx *c, const ingot_instr *in) {
	view out = view_of(c, in->out[0]);
	if (!is_f32(out)) return -1;
	for (int k = 0; k < 6; k++) {
		view x = view_of(c, in->in[k]);
		if (in->in[k] >= 0 && (!is_f32(x) || x.n != out.n || in->i[k] < 0 || in->i[k] + x.cols > out.cols)) return -1;
	}
	return row_tasks(out.n, out.cols);
}

static void concat_run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	(void)scratch;
	view out = view_of(c, in->out[0]);
	int64_t lo, hi, given = 0;
	task_rows(out.n, out.cols, task, &lo, &hi);
	for (int k = 0; k < 6; k++) given += view_of(c, in->in[k]).cols;
	for (int64_t r = lo; r < hi; r++) {
		float *y = row_f32(out, r);
		if (given < out.cols) memset(y, 0, (size_t)out.cols * 4);
		for (int k = 0; k < 6; k++) {
			view x = view_of(c, in->in[k]);
			if (x.data) memcpy(y + in->i[k], row_f32(x, r), (size_t)x.cols * 4);
		}
	}
}

const op NAME(op_concat) = {concat_tasks, concat_run};

static int64_t rows_tasks(const ctx *c, const ingot_instr *in) {
	view out = view_of(c, in->out[0]), x = view_of(c, in->in[0]);
	if (!is_f32(out) || !is_f32(x) || out.cols != x.cols || out.n != c->batch->tokens_n || x.n != c->batch->logits_n) return -1;
	return ceil_div(out.cols, STRIPE);
}

static void rows_run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	(void)scratch;
	view out = view_of(c, in->out[0]), x = view_of(c, in->in[0]);
	int64_t lo = task * STRIPE, n = min64(STRIPE, out.cols - lo);
	for (int64_t r = 0; r < out.n; r++) memset(row_f32(out, r) + lo, 0, (size_t)n * 4);
	for (int64_t r = 0; r < x.n; r++) add_row(row_f32(out, c->batch->logit_rows[r]) + lo, row_f32(x, r) + lo, n);
}

const op NAME(op_rows_dx) = {rows_tasks, rows_run};

enum { MEAN, FIRST, LAST };

static int64_t pool_tasks(const ctx *c, const ingot_instr *in) {
	view out = view_of(c, in->out[0]), x = view_of(c, in->in[0]);
	if (!is_f32(out) || !is_f32(x) || out.cols != x.cols || out.n != c->batch->tokens_n || x.n != c->batch->seqs_n) return -1;
	return x.n;
}

static void pool_run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	(void)scratch;
	view out = view_of(c, in->out[0]), x = view_of(c, in->in[0]);
	int64_t first = c->batch->row_start[task], end = c->batch->row_start[task + 1];
	const float *from = row_f32(x, task);
	for (int64_t r = first; r < end; r++) {
		int whole = (in->i[0] == FIRST && r == first) || (in->i[0] == LAST && r == end - 1);
		float share = in->i[0] == MEAN ? 1.0f / (float)(end - first) : whole ? 1.0f : 0.0f;
		for (int64_t i = 0; i < out.cols; i++) row_f32(out, r)[i] = share * from[i];
	}
}

const op NAME(op_pool_dx) = {pool_tasks, pool_run};

static int64_t slot_tasks(const ctx *c, const ingot_instr *in) {
	view out = view_of(c, in->out[0]), x = view_of(c, in->in[0]);
	if (!is_f32(out) || !is_f32(x) || out.cols != x.cols || in->i[0] <= 0 || x.n != out.n * in->i[0]) return -1;
	return row_tasks(x.n, x.cols) < out.n ? row_tasks(x.n, x.cols) : out.n;
}

static void slot_run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	(void)scratch;
	view out = view_of(c, in->out[0]), x = view_of(c, in->in[0]);
	int64_t tasks = slot_tasks(c, in), k = in->i[0];
	for (int64_t r = out.n * task / tasks; r < out.n * (task + 1) / tasks; r++) {
		memcpy(row_f32(out, r), row_f32(x, r * k), (size_t)out.cols * 4);
		for (int64_t j = 1; j < k; j++) add_row(row_f32(out, r), row_f32(x, r * k + j), out.cols);
	}
}

const op NAME(op_slot_sums) = {slot_tasks, slot_run};

/* ROUND: f32 rows as rows of bf16, in which they can be a weight. */
static int64_t round_tasks(const ctx *c, const ingot_instr *in) {
	view out = view_of(c, in->out[0]), x = view_of(c, in->in[0]);
	if (!out.data || out.dtype != INGOT_BF16 || !is_f32(x) || out.n != x.n || out.cols != x.cols) return -1;
	return row_tasks(x.n, x.cols);
}

static void round_run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	(void)scratch;
	view out = view_of(c, in->out[0]), x = view_of(c, in->in[0]);
	int64_t lo, hi;
	task_rows(x.n, x.cols, task, &lo, &hi);
	for (int64_t r = lo; r < hi; r++) {
		uint16_t *restrict y = (uint16_t *)(void *)(out.data + r * out.stride);
		const float *restrict from = row_f32(x, r);
		for (int64_t i = 0; i < x.cols; i++) y[i] = f32_bf16(from[i]);
	}
}

const op NAME(op_round) = {round_tasks, round_run};

static int64_t sums_tasks(const ctx *c, const ingot_instr *in) {
	view out = view_of(c, in->out[0]), x = view_of(c, in->in[0]);
	return !is_f32(out) || !is_f32(x) || out.n * out.cols != x.cols ? -1 : ceil_div(x.cols, STRIPE);
}

static void sums_run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	(void)scratch;
	view out = view_of(c, in->out[0]), x = view_of(c, in->in[0]);
	int64_t lo = task * STRIPE, n = min64(STRIPE, x.cols - lo);
	float total[STRIPE] = {0};
	for (int64_t r = 0; r < x.n; r++) add_row(total, row_f32(x, r) + lo, n);
	add_row(row_f32(out, 0) + lo, total, n);
}

const op NAME(op_column_sums) = {sums_tasks, sums_run};

static const int32_t *experts_of(view ids, int64_t t) { return (const int32_t *)(const void *)(ids.data + t * ids.stride); }

static int64_t squares_tasks(const ctx *c, const ingot_instr *in) {
	view out = view_of(c, in->out[0]), x = view_of(c, in->in[0]), ids = view_of(c, in->in[1]);
	int64_t k = in->i[0];
	if (!is_f32(out) || !is_f32(x) || out.cols != x.cols || out.n < 1) return -1;
	if (!ids.data) return ceil_div(x.cols, STRIPE);
	if (ids.dtype != INGOT_I32 || ids.cols != k || x.n != ids.n * (in->i[1] ? k : 1)) return -1;
	for (int64_t t = 0; t < ids.n; t++)
		for (int64_t j = 0; j < k; j++)
			if (experts_of(ids, t)[j] >= out.n) return -1;
	return ceil_div(x.cols, STRIPE);
}

static inline void add_squares(float *restrict y, const float *restrict x, int64_t n) {
	for (int64_t i = 0; i < n; i++) y[i] += x[i] * x[i];
}

static void squares_run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	(void)scratch;
	view out = view_of(c, in->out[0]), x = view_of(c, in->in[0]), ids = view_of(c, in->in[1]);
	int64_t lo = task * STRIPE, n = min64(STRIPE, x.cols - lo), k = in->i[0];
	if (!ids.data)
		for (int64_t r = 0; r < x.n; r++) add_squares(row_f32(out, 0) + lo, row_f32(x, r) + lo, n);
	for (int64_t t = 0; ids.data && t < ids.n; t++)
		for (int64_t j = 0; j < k; j++) {
			int32_t e = experts_of(ids, t)[j];
			if (e >= 0) add_squares(row_f32(out, e) + lo, row_f32(x, in->i[1] ? t * k + j : t) + lo, n);
		}
}

const op NAME(op_square_sums) = {squares_tasks, squares_run};

static int64_t embed_tasks(const ctx *c, const ingot_instr *in) {
	view dw = view_of(c, in->out[0]), dy = view_of(c, in->in[0]);
	if (!is_f32(dw) || !is_f32(dy) || dw.cols != dy.cols || dy.n != c->batch->tokens_n || in->i[0] < 0 || in->i[0] > 2) return -1;
	return ceil_div(dy.cols, STRIPE);
}

static void embed_run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	(void)scratch;
	view dw = view_of(c, in->out[0]), dy = view_of(c, in->in[0]);
	int64_t lo = task * STRIPE, n = min64(STRIPE, dy.cols - lo);
	const int32_t *source = in->i[0] == 0 ? c->batch->tokens : c->batch->positions;
	for (int64_t t = 0; t < dy.n; t++) {
		float *restrict y = row_f32(dw, in->i[0] == 2 ? 0 : source[t]) + lo;
		const float *restrict x = row_f32(dy, t) + lo;
		for (int64_t i = 0; i < n; i++) y[i] += in->f[0] * x[i];
	}
}

const op NAME(op_embed_dw) = {embed_tasks, embed_run};

static int64_t rope_tasks(const ctx *c, const ingot_instr *in) {
	view out = view_of(c, in->out[0]), x = view_of(c, in->in[0]), t = view_of(c, in->in[1]);
	int64_t h = in->i[0], d = in->i[1], r = in->i[2];
	if (!is_f32(out) || !is_f32(x) || !is_f32(t) || out.n != x.n || t.n < x.n) return -1;
	if (h <= 0 || d <= 0 || r < 0 || r > d || r % 2 || h * d != x.cols || out.cols != x.cols || t.cols < r) return -1;
	return in->i[3] < 0 || in->i[3] > 1 ? -1 : row_tasks(out.n, out.cols);
}

static void turn_back(float *restrict y, const float *restrict x, const float *restrict cs, int64_t half, int step) {
	const float *restrict sn = cs + half;
	float *restrict second = step == 1 ? y + half : y + 1;
	for (int64_t i = 0; i < half; i++) {
		float a = x[i], b = x[half + i];
		y[step * i] = a * cs[i] + b * sn[i];
		second[step * i] = b * cs[i] - a * sn[i];
	}
}

static void rope_run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	(void)scratch;
	view out = view_of(c, in->out[0]), x = view_of(c, in->in[0]), t = view_of(c, in->in[1]);
	int64_t lo, hi, d = in->i[1], half = in->i[2] / 2;
	task_rows(out.n, out.cols, task, &lo, &hi);
	for (int64_t r = lo; r < hi; r++)
		for (int64_t k = 0; k < out.cols; k += d) {
			float *y = row_f32(out, r) + k;
			const float *from = row_f32(x, r) + k;
			if (in->i[3]) turn_back(y, from, row_f32(t, r), half, 2);
			else turn_back(y, from, row_f32(t, r), half, 1);
			memcpy(y + 2 * half, from + 2 * half, (size_t)(d - 2 * half) * 4);
		}
}

const op NAME(op_rope_dx) = {rope_tasks, rope_run};
