/* ADD: out = a + f0 * b. SCALE: out = f0 * a. */
#include "elementwise.h"

static int64_t add_tasks(const ctx *c, const ingot_instr *in) {
	view out = view_of(c, in->out[0]), a = view_of(c, in->in[0]), b = view_of(c, in->in[1]);
	if (!is_f32(out) || !is_f32(a) || !is_f32(b)) return -1;
	if (out.n != a.n || out.n != b.n || out.cols != a.cols || out.cols != b.cols) return -1;
	return row_tasks(out.n, out.cols);
}

static void add_run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	(void)scratch;
	view out = view_of(c, in->out[0]), a = view_of(c, in->in[0]), b = view_of(c, in->in[1]);
	int64_t lo, hi;
	task_rows(out.n, out.cols, task, &lo, &hi);
	for (int64_t r = lo; r < hi; r++) {
		float *y = row_f32(out, r);
		const float *p = row_f32(a, r), *q = row_f32(b, r);
		for (int64_t i = 0; i < out.cols; i++) y[i] = p[i] + in->f[0] * q[i];
	}
}

const op NAME(op_add) = {add_tasks, add_run};

static int64_t scale_tasks(const ctx *c, const ingot_instr *in) {
	view out = view_of(c, in->out[0]), a = view_of(c, in->in[0]);
	if (!is_f32(out) || !is_f32(a) || out.n != a.n || out.cols != a.cols) return -1;
	return row_tasks(out.n, out.cols);
}

static void scale_run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	(void)scratch;
	view out = view_of(c, in->out[0]), a = view_of(c, in->in[0]);
	int64_t lo, hi;
	task_rows(out.n, out.cols, task, &lo, &hi);
	for (int64_t r = lo; r < hi; r++) {
		float *y = row_f32(out, r);
		const float *x = row_f32(a, r);
		for (int64_t i = 0; i < out.cols; i++) y[i] = in->f[0] * x[i];
	}
}

const op NAME(op_scale) = {scale_tasks, scale_run};
