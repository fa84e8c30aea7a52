/* ROUTE: softmax over the experts' logits and the k largest, ties to the lower id. */
#include "elementwise.h"
#include "mathf.h"

static int64_t tasks(const ctx *c, const ingot_instr *in) {
	view ids = view_of(c, in->out[0]), w = view_of(c, in->out[1]), x = view_of(c, in->in[0]);
	int64_t k = in->i[0];
	if (!ids.data || ids.dtype != INGOT_I32 || !is_f32(w) || !is_f32(x) || ids.n != x.n || w.n != x.n) return -1;
	if (k <= 0 || k > x.cols || ids.cols < k || w.cols < k || x.cols > SCRATCH_BYTES / 4) return -1;
	return row_tasks(x.n, x.cols * 8);
}

static void softmax(float *restrict p, const float *restrict x, int64_t n) {
	float top = x[0], total = 0;
	for (int64_t i = 1; i < n; i++) top = x[i] > top ? x[i] : top;
	for (int64_t i = 0; i < n; i++) p[i] = exp_f32(x[i] - top);
	for (int64_t i = 0; i < n; i++) total += p[i];
	for (int64_t i = 0; i < n; i++) p[i] = p[i] / total;
}

/* Takes the largest of p out: it becomes -1. A row of NaN gives experts 0, 1, ... */
static int32_t take_largest(float *p, int64_t n, float *value) {
	int64_t best = -1;
	for (int64_t i = 0; i < n; i++)
		if (p[i] != -1.0f && (best < 0 || p[i] > p[best])) best = i;
	*value = p[best];
	p[best] = -1.0f;
	return (int32_t)best;
}

static void route(const ingot_instr *in, int32_t *ids, float *w, float *p, int64_t n) {
	float total = 0;
	for (int j = 0; j < in->i[0]; j++) {
		ids[j] = take_largest(p, n, &w[j]);
		total += w[j];
	}
	for (int j = 0; j < in->i[0]; j++) w[j] = (in->i[1] ? w[j] / total : w[j]) * in->f[0];
}

static void run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	view ids = view_of(c, in->out[0]), w = view_of(c, in->out[1]), x = view_of(c, in->in[0]);
	int64_t lo, hi;
	task_rows(x.n, x.cols * 8, task, &lo, &hi);
	for (int64_t r = lo; r < hi; r++) {
		softmax(scratch, row_f32(x, r), x.cols);
		route(in, (int32_t *)(void *)(ids.data + r * ids.stride), row_f32(w, r), scratch, x.cols);
	}
}

const op NAME(op_route) = {tasks, run};
