/* ROPE_TABLE: cosines and sines of every token's angles. ROPE: the rotation. */
#include <math.h>
#include "elementwise.h"

static int64_t table_tasks(const ctx *c, const ingot_instr *in) {
	view out = view_of(c, in->out[0]), inv = view_of(c, in->in[0]);
	if (!is_f32(out) || !is_f32(inv) || out.cols % 2 || inv.cols < out.cols / 2) return -1;
	return row_tasks(out.n, out.cols * 32); /* a sine costs as much as many additions */
}

static void table_run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	(void)scratch;
	view out = view_of(c, in->out[0]), inv = view_of(c, in->in[0]);
	int64_t lo, hi, half = out.cols / 2;
	task_rows(out.n, out.cols * 32, task, &lo, &hi);
	for (int64_t r = lo; r < hi; r++) {
		float *y = row_f32(out, r);
		for (int64_t i = 0; i < half; i++) {
			double angle = (double)c->batch->positions[r] * (double)row_f32(inv, 0)[i];
			y[i] = (float)cos(angle) * in->f[0];
			y[half + i] = (float)sin(angle) * in->f[0];
		}
	}
}

const op NAME(op_rope_table) = {table_tasks, table_run};

static int64_t tasks(const ctx *c, const ingot_instr *in) {
	view out = view_of(c, in->out[0]), x = view_of(c, in->in[0]), t = view_of(c, in->in[1]);
	int64_t h = in->i[0], d = in->i[1], r = in->i[2];
	if (!is_f32(out) || !is_f32(x) || !is_f32(t) || out.n != x.n || t.n < x.n) return -1;
	if (h <= 0 || d <= 0 || r < 0 || r > d || r % 2 || h * d != x.cols || out.cols != x.cols || t.cols < r) return -1;
	if (d > SCRATCH_BYTES / 4 || in->i[3] < 0 || in->i[3] > 1) return -1;
	return row_tasks(out.n, out.cols);
}

static void rotate(float *restrict y, const float *restrict x, const float *restrict cs, int64_t half) {
	const float *restrict sn = cs + half;
	for (int64_t i = 0; i < half; i++) {
		y[i] = x[i] * cs[i] - x[half + i] * sn[i];
		y[half + i] = x[i] * sn[i] + x[half + i] * cs[i];
	}
}

static void rotate_interleaved(float *restrict y, const float *restrict x, const float *restrict cs, int64_t half) {
	const float *restrict sn = cs + half;
	for (int64_t i = 0; i < half; i++) {
		float a = x[2 * i], b = x[2 * i + 1];
		y[i] = a * cs[i] - b * sn[i];
		y[half + i] = a * sn[i] + b * cs[i];
	}
}

/* A head is copied aside first, as out may be in. */
static void run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	view out = view_of(c, in->out[0]), x = view_of(c, in->in[0]), t = view_of(c, in->in[1]);
	int64_t lo, hi, d = in->i[1], half = in->i[2] / 2;
	float *head = scratch;
	task_rows(out.n, out.cols, task, &lo, &hi);
	for (int64_t r = lo; r < hi; r++)
		for (int64_t k = 0; k < out.cols; k += d) {
			float *y = row_f32(out, r) + k;
			memcpy(head, row_f32(x, r) + k, (size_t)d * 4);
			(in->i[3] ? rotate_interleaved : rotate)(y, head, row_f32(t, r), half);
			memcpy(y + 2 * half, head + 2 * half, (size_t)(d - 2 * half) * 4);
		}
}

const op NAME(op_rope) = {tasks, run};
