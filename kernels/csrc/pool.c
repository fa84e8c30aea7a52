/* POOL: one row per sequence: the mean of its rows, the first or the last. */
#include "elementwise.h"

static int64_t tasks(const ctx *c, const ingot_instr *in) {
	view out = view_of(c, in->out[0]), x = view_of(c, in->in[0]);
	if (!is_f32(out) || !is_f32(x) || out.cols != x.cols || out.n > c->batch->seqs_n) return -1;
	return in->i[0] < 0 || in->i[0] > 2 ? -1 : out.n;
}

static void mean(float *restrict y, view x, int64_t lo, int64_t hi, int64_t cols) {
	memcpy(y, row_f32(x, lo), (size_t)cols * 4);
	for (int64_t r = lo + 1; r < hi; r++) {
		const float *restrict p = row_f32(x, r);
		for (int64_t i = 0; i < cols; i++) y[i] += p[i];
	}
	for (int64_t i = 0; i < cols; i++) y[i] /= (float)(hi - lo);
}

static void run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	(void)scratch;
	view out = view_of(c, in->out[0]), x = view_of(c, in->in[0]);
	int64_t lo = c->batch->row_start[task], hi = c->batch->row_start[task + 1];
	float *y = row_f32(out, task);
	if (hi <= lo)
		memset(y, 0, (size_t)out.cols * 4);
	else if (in->i[0] == 0)
		mean(y, x, lo, hi, out.cols);
	else
		memcpy(y, row_f32(x, in->i[0] == 1 ? lo : hi - 1), (size_t)out.cols * 4);
}

const op NAME(op_pool) = {tasks, run};
