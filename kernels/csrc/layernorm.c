/* LAYERNORM: y = (x - mean) / sqrt(variance + eps) * w + b, per group of D columns. */
#include <math.h>
#include "elementwise.h"
#include "lanes.h"

static int64_t tasks(const ctx *c, const ingot_instr *in) {
	view out = view_of(c, in->out[0]), x = view_of(c, in->in[0]);
	int64_t d = in->i[0];
	if (!is_f32(out) || !is_f32(x) || out.cols != x.cols || out.n != x.n || d <= 0 || x.cols % d) return -1;
	for (int k = 1; k <= 2; k++) {
		view p = view_of(c, in->in[k]);
		if (in->in[k] >= 0 && (!is_f32(p) || p.cols < d)) return -1;
	}
	return row_tasks(out.n, out.cols);
}

static void group(float *y, const float *x, const float *w, const float *b, int64_t d, float eps) {
	float mean = sum16(x, d) / (float)d;
	float inv = 1.0f / sqrtf(squares16(x, d, mean) / (float)d + eps);
	for (int64_t i = 0; i < d; i++) y[i] = (x[i] - mean) * inv;
	if (w)
		for (int64_t i = 0; i < d; i++) y[i] = y[i] * w[i];
	if (b)
		for (int64_t i = 0; i < d; i++) y[i] = y[i] + b[i];
}

static void run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	(void)scratch;
	view out = view_of(c, in->out[0]), x = view_of(c, in->in[0]);
	const float *w = (const void *)view_of(c, in->in[1]).data, *b = (const void *)view_of(c, in->in[2]).data;
	int64_t lo, hi, d = in->i[0];
	task_rows(out.n, out.cols, task, &lo, &hi);
	for (int64_t r = lo; r < hi; r++)
		for (int64_t g = 0; g < out.cols; g += d) group(row_f32(out, r) + g, row_f32(x, r) + g, w, b, d, in->f[0]);
}

const op NAME(op_layernorm) = {tasks, run};
