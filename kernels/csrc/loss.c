/* CROSS_ENTROPY: a row's loss, and its gradient in the place of the logits. */
#include <math.h>
#include "elementwise.h"
#include "vec.h"

static int64_t tasks(const ctx *c, const ingot_instr *in) {
	view dx = view_of(c, in->out[0]), loss = view_of(c, in->out[1]), x = view_of(c, in->in[0]);
	if (!is_f32(dx) || !is_f32(loss) || !is_f32(x) || dx.n != x.n || dx.cols != x.cols || loss.n != x.n || in->i[0] < 0) return -1;
	if (x.n && in->i[0] + x.n > c->batch->logits_n) return -1; /* a window beyond the rows has none */
	for (int64_t r = 0; r < x.n; r++) {
		int32_t t = c->batch->targets[in->i[0] + r];
		if (t < 0 || t >= x.cols) return -1;
	}
	return row_tasks(x.n, x.cols);
}

static float largest(const float *x, int64_t n) {
	vf top = vf_set(-INFINITY);
	int64_t i = 0;
	for (; i + 16 <= n; i += 16) top = vf_max(vf_load(x + i), top);
	float m = vf_top(top);
	for (; i < n; i++) m = x[i] > m ? x[i] : m;
	return m;
}

/* y = exp(x - m); the sum in 16 lanes. */
static float exponentials(float *y, const float *x, int64_t n, float m) {
	vf total = vf_set(0);
	int64_t i = 0;
	for (; i + 16 <= n; i += 16) {
		vf e = vf_exp_negative(vf_sub(vf_load(x + i), vf_set(m)));
		vf_store(y + i, e);
		total = vf_add(total, e);
	}
	if (i < n) {
		float rest[16];
		for (int l = 0; l < 16; l++) rest[l] = i + l < n ? x[i + l] : -INFINITY;
		vf e = vf_within(vf_exp_negative(vf_sub(vf_load(rest), vf_set(m))), 0, (int)(n - i) - 1, 0);
		vf_store(rest, e);
		memcpy(y + i, rest, (size_t)(n - i) * 4);
		total = vf_add(total, e);
	}
	return vf_total(total);
}

static void run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	(void)scratch;
	view dx = view_of(c, in->out[0]), loss = view_of(c, in->out[1]), x = view_of(c, in->in[0]);
	int64_t lo, hi;
	task_rows(x.n, x.cols, task, &lo, &hi);
	for (int64_t r = lo; r < hi; r++) {
		int32_t target = c->batch->targets[in->i[0] + r];
		float *y = row_f32(dx, r), own = row_f32(x, r)[target];
		float m = largest(row_f32(x, r), x.cols), total = exponentials(y, row_f32(x, r), x.cols, m), scale = 1.0f / total;
		for (int64_t i = 0; i < x.cols; i++) y[i] *= scale;
		y[target] -= 1.0f;
		row_f32(loss, r)[0] = logf(total) + m - own;
	}
}

const op NAME(op_cross_entropy) = {tasks, run};
