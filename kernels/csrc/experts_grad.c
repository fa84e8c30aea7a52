/* Gradients of a mixture of experts: COMBINE_DX, ROUTE_DX, SINKS_DW. EXPERT_DX and
 * EXPERT_DW are in linear_grad.c. */
#include "elementwise.h"
#include "lanes.h"
#include "mathf.h"

static int64_t combine_tasks(const ctx *c, const ingot_instr *in) {
	view dy = view_of(c, in->out[0]), dw = view_of(c, in->out[1]), dz = view_of(c, in->in[0]), y = view_of(c, in->in[1]), w = view_of(c, in->in[2]);
	int64_t k = in->i[0];
	if (!is_f32(dy) || !is_f32(dw) || !is_f32(dz) || !is_f32(y) || !is_f32(w) || k <= 0 || dw.cols != k || w.cols != k) return -1;
	if (dy.n != dz.n * k || y.n != dy.n || w.n != dz.n || dw.n != dz.n || dy.cols != dz.cols || y.cols != dz.cols) return -1;
	return row_tasks(dz.n, dz.cols * k);
}

static void combine_run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	(void)scratch;
	view dy = view_of(c, in->out[0]), dw = view_of(c, in->out[1]), dz = view_of(c, in->in[0]), y = view_of(c, in->in[1]), w = view_of(c, in->in[2]);
	int64_t lo, hi, k = in->i[0];
	task_rows(dz.n, dz.cols * k, task, &lo, &hi);
	for (int64_t r = lo; r < hi; r++)
		for (int64_t j = 0; j < k; j++) {
			float *restrict to = row_f32(dy, r * k + j), s = row_f32(w, r)[j];
			const float *restrict from = row_f32(dz, r);
			for (int64_t i = 0; i < dz.cols; i++) to[i] = s * from[i];
			row_f32(dw, r)[j] = dot16(from, row_f32(y, r * k + j), dz.cols);
		}
}

const op NAME(op_combine_dx) = {combine_tasks, combine_run};

static const int32_t *ids_of(view ids, int64_t r) { return (const int32_t *)(const void *)(ids.data + r * ids.stride); }

/* The shares of the step's choices go to ctx.shared. */
static int64_t route_tasks(const ctx *c, const ingot_instr *in) {
	view dx = view_of(c, in->out[0]), dw = view_of(c, in->in[0]), x = view_of(c, in->in[1]), ids = view_of(c, in->in[2]), w = view_of(c, in->in[3]);
	int64_t k = in->i[0];
	if (!is_f32(dx) || !is_f32(x) || !is_f32(w) || !ids.data || ids.dtype != INGOT_I32 || dx.n != x.n || dx.cols != x.cols) return -1;
	if (k <= 0 || ids.cols != k || w.cols != k || ids.n != x.n || w.n != x.n || x.cols * 4 > SHARED_BYTES) return -1;
	if (in->in[0] >= 0 && (!is_f32(dw) || dw.n != x.n || dw.cols != k)) return -1;
	float *share = c->shared;
	memset(share, 0, (size_t)x.cols * 4);
	for (int64_t r = 0; r < ids.n; r++)
		for (int64_t j = 0; j < k; j++) {
			if (ids_of(ids, r)[j] < 0 || ids_of(ids, r)[j] >= x.cols) return -1;
			share[ids_of(ids, r)[j]] += 1;
		}
	for (int64_t e = 0; e < x.cols; e++) share[e] /= (float)(ids.n * k);
	return row_tasks(x.n, x.cols * 8);
}

static void softmax(float *restrict p, const float *restrict x, int64_t n) {
	float top = x[0], total = 0;
	for (int64_t i = 1; i < n; i++) top = x[i] > top ? x[i] : top;
	for (int64_t i = 0; i < n; i++) total += p[i] = exp_f32(x[i] - top);
	for (int64_t i = 0; i < n; i++) p[i] /= total;
}

static void chosen(const ingot_instr *in, float *dx, const float *p, const int32_t *ids, const float *w, const float *dw, int64_t n) {
	float mean = 0, scale = in->f[0];
	for (int64_t j = 0; j < in->i[0]; j++) {
		float u = dw[j] * scale * (in->i[1] ? w[j] / scale : p[ids[j]]);
		dx[ids[j]] += u;
		mean += u;
	}
	if (in->i[1])
		for (int64_t j = 0; j < in->i[0]; j++) dx[ids[j]] -= mean * (w[j] / scale);
	else
		for (int64_t e = 0; e < n; e++) dx[e] -= mean * p[e];
}

static void balance(float *restrict dx, const float *restrict p, const float *restrict share, float scale, int64_t n) {
	float mean = 0;
	for (int64_t e = 0; e < n; e++) mean += share[e] * p[e];
	for (int64_t e = 0; e < n; e++) dx[e] += scale * p[e] * (share[e] - mean);
}

static void route_run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	view dx = view_of(c, in->out[0]), dw = view_of(c, in->in[0]), x = view_of(c, in->in[1]), ids = view_of(c, in->in[2]), w = view_of(c, in->in[3]);
	int64_t lo, hi, n = x.cols;
	float *p = scratch;
	task_rows(x.n, n * 8, task, &lo, &hi);
	for (int64_t r = lo; r < hi; r++) {
		float *to = row_f32(dx, r);
		softmax(p, row_f32(x, r), n);
		memset(to, 0, (size_t)n * 4);
		if (dw.data) chosen(in, to, p, ids_of(ids, r), row_f32(w, r), row_f32(dw, r), n);
		if (in->f[1] != 0) balance(to, p, c->shared, in->f[1] * (float)n, n);
	}
}

const op NAME(op_route_dx) = {route_tasks, route_run};

static int64_t sinks_tasks(const ctx *c, const ingot_instr *in) {
	view ds = view_of(c, in->out[0]), y = view_of(c, in->in[0]), dy = view_of(c, in->in[1]), lse = view_of(c, in->in[2]), s = view_of(c, in->in[3]);
	int64_t h = in->i[0], d = in->i[3];
	if (!is_f32(ds) || !is_f32(y) || !is_f32(dy) || !is_f32(lse) || !is_f32(s) || h <= 0 || d <= 0 || ds.n * ds.cols != h || s.n * s.cols != h) return -1;
	return y.cols != h * d || dy.cols != h * d || lse.cols != h || y.n != dy.n || lse.n != y.n ? -1 : h;
}

static void sinks_run(const ctx *c, const ingot_instr *in, int64_t h, void *scratch) {
	(void)scratch;
	view ds = view_of(c, in->out[0]), y = view_of(c, in->in[0]), dy = view_of(c, in->in[1]), lse = view_of(c, in->in[2]), s = view_of(c, in->in[3]);
	int64_t d = in->i[3];
	float total = 0, sink = row_f32(s, 0)[h];
	for (int64_t r = 0; r < y.n; r++) total += exp_f32(sink - row_f32(lse, r)[h]) * dot16(row_f32(dy, r) + h * d, row_f32(y, r) + h * d, d);
	row_f32(ds, 0)[h] -= total;
}

const op NAME(op_sinks_dw) = {sinks_tasks, sinks_run};
