/* COMBINE: the weighted sum of a token's experts, in order, without fused products. */
#include "elementwise.h"

static int64_t tasks(const ctx *c, const ingot_instr *in) {
	view out = view_of(c, in->out[0]), y = view_of(c, in->in[0]), w = view_of(c, in->in[1]);
	int64_t k = in->i[0];
	if (!is_f32(out) || !is_f32(y) || !is_f32(w) || k <= 0 || w.cols < k) return -1;
	if (y.n != out.n * k || y.cols != out.cols || w.n != out.n) return -1;
	return row_tasks(out.n, out.cols * k);
}

static void run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	(void)scratch;
	view out = view_of(c, in->out[0]), y = view_of(c, in->in[0]), w = view_of(c, in->in[1]);
	int64_t lo, hi, k = in->i[0];
	task_rows(out.n, out.cols * k, task, &lo, &hi);
	for (int64_t r = lo; r < hi; r++) {
		float *restrict to = row_f32(out, r);
		const float *weight = row_f32(w, r);
		for (int64_t j = 0; j < k; j++) {
			const float *restrict from = row_f32(y, r * k + j);
			float s = weight[j];
			if (j == 0)
				for (int64_t i = 0; i < out.cols; i++) to[i] = s * from[i];
			else
				for (int64_t i = 0; i < out.cols; i++) to[i] = to[i] + s * from[i];
		}
	}
}

const op NAME(op_combine) = {tasks, run};
