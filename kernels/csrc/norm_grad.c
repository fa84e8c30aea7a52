/* RMSNORM_DX, LAYERNORM_DX: gradients of a norm's input, group by group, with each
 * group's mean and scale; NORM_DW: of its weight. */
#include <math.h>
#include "elementwise.h"
#include "lanes.h"

/* Sum of (x - mean) u w in 16 lanes; w may be absent. */
static inline float scaled_dot16(const float *restrict x, const float *restrict u, const float *restrict w, int64_t n, float mean) {
	float lane[16] = {0};
	int64_t i = 0;
	for (; w && i + 16 <= n; i += 16)
		for (int l = 0; l < 16; l++) lane[l] += (x[i + l] - mean) * (u[i + l] * w[i + l]);
	for (; !w && i + 16 <= n; i += 16)
		for (int l = 0; l < 16; l++) lane[l] += (x[i + l] - mean) * u[i + l];
	for (int l = 0; i < n; i++, l++) lane[l] += (x[i] - mean) * (w ? u[i] * w[i] : u[i]);
	return lanes_total(lane);
}

static inline float scaled_sum16(const float *restrict u, const float *restrict w, int64_t n) {
	float lane[16] = {0};
	for (int64_t i = 0; i < n; i++) lane[i % 16] += w ? u[i] * w[i] : u[i];
	return lanes_total(lane);
}

static int64_t tasks(const ctx *c, const ingot_instr *in) {
	view out = view_of(c, in->out[0]), stats = view_of(c, in->out[1]), base = view_of(c, in->in[0]);
	view dy = view_of(c, in->in[1]), x = view_of(c, in->in[2]), w = view_of(c, in->in[3]);
	int64_t d = in->i[0];
	if (!is_f32(out) || !is_f32(stats) || !is_f32(dy) || !is_f32(x) || d <= 0 || x.cols % d || stats.cols != x.cols / d * 2) return -1;
	if (out.n != x.n || dy.n != x.n || stats.n != x.n || out.cols != x.cols || dy.cols != x.cols) return -1;
	if ((in->in[0] >= 0 && (!is_f32(base) || base.n != x.n || base.cols != x.cols)) || (in->in[3] >= 0 && (!is_f32(w) || w.cols < d))) return -1;
	return row_tasks(out.n, out.cols);
}

/* dx = base + r u w + (x - mean) c + a. Without a base it is not read: a load from nowhere,
 * be it masked, costs hundreds of cycles. */
static void apply(float *dx, const float *base, const float *restrict u, const float *restrict w, const float *restrict x, int64_t d, float mean, float r, float c, float a) {
#define TERM (r * (w ? u[i] * w[i] : u[i]) + (x[i] - mean) * c + a)
	if (base)
		for (int64_t i = 0; i < d; i++) dx[i] = base[i] + TERM;
	else
		for (int64_t i = 0; i < d; i++) dx[i] = TERM;
#undef TERM
}

static void group(int centred, float *dx, const float *base, const float *u, const float *x, const float *w, float *stats, int64_t d, float eps) {
	float n = (float)d, mean = centred ? sum16(x, d) / n : 0;
	float r = 1.0f / sqrtf(squares16(x, d, mean) / n + eps);
	float c = -(scaled_dot16(x, u, w, d, mean) / n) * r * r * r, a = centred ? -r * (scaled_sum16(u, w, d) / n) : 0;
	apply(dx, base, u, w, x, d, mean, r, c, a);
	stats[0] = mean, stats[1] = r;
}

static void run(const ctx *c, const ingot_instr *in, int64_t task, int centred) {
	view out = view_of(c, in->out[0]), stats = view_of(c, in->out[1]), base = view_of(c, in->in[0]);
	view dy = view_of(c, in->in[1]), x = view_of(c, in->in[2]), w = view_of(c, in->in[3]);
	int64_t lo, hi, d = in->i[0];
	task_rows(out.n, out.cols, task, &lo, &hi);
	for (int64_t r = lo; r < hi; r++)
		for (int64_t g = 0; g < out.cols; g += d)
			group(centred, row_f32(out, r) + g, base.data ? row_f32(base, r) + g : NULL, row_f32(dy, r) + g, row_f32(x, r) + g,
				(const float *)(const void *)w.data, row_f32(stats, r) + g / d * 2, d, in->f[0]);
}

static void rms_run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	(void)scratch;
	run(c, in, task, 0);
}

static void layer_run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	(void)scratch;
	run(c, in, task, 1);
}

const op NAME(op_rmsnorm_dx) = {tasks, rms_run};
const op NAME(op_layernorm_dx) = {tasks, layer_run};

#define STRIPE 64 /* columns of a task that sums over rows */

static int64_t dw_tasks(const ctx *c, const ingot_instr *in) {
	view dw = view_of(c, in->out[0]), dy = view_of(c, in->in[0]), x = view_of(c, in->in[1]), stats = view_of(c, in->in[2]);
	int64_t d = in->i[0];
	if (!is_f32(dw) || !is_f32(dy) || !is_f32(x) || !is_f32(stats) || d <= 0 || x.cols % d || dw.n * dw.cols != d) return -1;
	if (dy.n != x.n || stats.n != x.n || dy.cols != x.cols || stats.cols != x.cols / d * 2) return -1;
	return ceil_div(d, STRIPE);
}

static void dw_run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	(void)scratch;
	view dw = view_of(c, in->out[0]), dy = view_of(c, in->in[0]), x = view_of(c, in->in[1]), stats = view_of(c, in->in[2]);
	int64_t d = in->i[0], lo = task * STRIPE, n = min64(STRIPE, d - lo);
	float total[STRIPE] = {0};
	for (int64_t r = 0; r < x.n; r++)
		for (int64_t g = 0; g < x.cols; g += d) {
			const float *restrict u = row_f32(dy, r) + g + lo, *restrict v = row_f32(x, r) + g + lo, *s = row_f32(stats, r) + g / d * 2;
			float mean = s[0], scale = s[1];
			if (n == STRIPE)
				for (int64_t i = 0; i < STRIPE; i++) total[i] += u[i] * ((v[i] - mean) * scale);
			else
				for (int64_t i = 0; i < n; i++) total[i] += u[i] * ((v[i] - mean) * scale);
		}
	for (int64_t i = 0; i < n; i++) row_f32(dw, 0)[lo + i] += total[i];
}

const op NAME(op_norm_dw) = {dw_tasks, dw_run};
