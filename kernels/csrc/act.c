/* ACT: an activation function of each element; GLU: times the other half of a gated
 * layer; SOFTCAP: f0 * tanh(x / f0). */
#include "elementwise.h"
#include "mathf.h"

enum { SILU, GELU_TANH, GELU_ERF, RELU, TANH, ACTS, GPT_OSS = 10 };

static inline float silu(float x) { return x / (1.0f + exp_f32(-x)); }

static inline float gelu_tanh(float x) { /* 0.79788... = sqrt(2/pi) */
	return 0.5f * x * (1.0f + tanh_f32(0.79788456080286535588f * (x + 0.044715f * x * x * x)));
}

static inline float gelu_erf(float x) { return 0.5f * x * (1.0f + erf_f32(x * 0.70710678118654752440f)); }

static inline float relu(float x) { return x > 0 ? x : 0.0f; }

static inline float gpt_oss(float g, float u, float alpha, float limit) {
	g = g > limit ? limit : g;
	u = u > limit ? limit : u < -limit ? -limit : u;
	return g / (1.0f + exp_f32(-(alpha * g))) * (u + 1.0f);
}

static void act_row(int kind, float *y, const float *x, int64_t n) {
	switch (kind) {
	case SILU: for (int64_t i = 0; i < n; i++) y[i] = silu(x[i]); break;
	case GELU_TANH: for (int64_t i = 0; i < n; i++) y[i] = gelu_tanh(x[i]); break;
	case GELU_ERF: for (int64_t i = 0; i < n; i++) y[i] = gelu_erf(x[i]); break;
	case RELU: for (int64_t i = 0; i < n; i++) y[i] = relu(x[i]); break;
	case TANH: for (int64_t i = 0; i < n; i++) y[i] = tanh_f32(x[i]); break;
	}
}

static void glu_row(const ingot_instr *in, float *y, const float *g, const float *u, int64_t n) {
	float alpha = in->f[0], limit = in->f[1];
	switch (in->i[0]) {
	case SILU: for (int64_t i = 0; i < n; i++) y[i] = silu(g[i]) * u[i]; break;
	case GELU_TANH: for (int64_t i = 0; i < n; i++) y[i] = gelu_tanh(g[i]) * u[i]; break;
	case GELU_ERF: for (int64_t i = 0; i < n; i++) y[i] = gelu_erf(g[i]) * u[i]; break;
	case RELU: for (int64_t i = 0; i < n; i++) y[i] = relu(g[i]) * u[i]; break;
	case TANH: for (int64_t i = 0; i < n; i++) y[i] = tanh_f32(g[i]) * u[i]; break;
	case GPT_OSS: for (int64_t i = 0; i < n; i++) y[i] = gpt_oss(g[i], u[i], alpha, limit); break;
	}
}

static int64_t same_tasks(const ctx *c, const ingot_instr *in) {
	view out = view_of(c, in->out[0]), x = view_of(c, in->in[0]);
	if (!is_f32(out) || !is_f32(x) || out.n != x.n || out.cols != x.cols) return -1;
	return row_tasks(out.n, out.cols);
}

static int64_t act_tasks(const ctx *c, const ingot_instr *in) {
	return in->i[0] < 0 || in->i[0] >= ACTS ? -1 : same_tasks(c, in);
}

static void act_run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	(void)scratch;
	view out = view_of(c, in->out[0]), x = view_of(c, in->in[0]);
	int64_t lo, hi;
	task_rows(out.n, out.cols, task, &lo, &hi);
	for (int64_t r = lo; r < hi; r++) act_row(in->i[0], row_f32(out, r), row_f32(x, r), out.cols);
}

const op NAME(op_act) = {act_tasks, act_run};

static int64_t glu_tasks(const ctx *c, const ingot_instr *in) {
	view out = view_of(c, in->out[0]), u = view_of(c, in->in[1]);
	if (in->i[0] != GPT_OSS && (in->i[0] < 0 || in->i[0] >= ACTS)) return -1;
	if (!is_f32(u) || u.n != out.n || u.cols != out.cols) return -1;
	return same_tasks(c, in);
}

static void glu_run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	(void)scratch;
	view out = view_of(c, in->out[0]), g = view_of(c, in->in[0]), u = view_of(c, in->in[1]);
	int64_t lo, hi;
	task_rows(out.n, out.cols, task, &lo, &hi);
	for (int64_t r = lo; r < hi; r++) glu_row(in, row_f32(out, r), row_f32(g, r), row_f32(u, r), out.cols);
}

const op NAME(op_glu) = {glu_tasks, glu_run};

static void softcap_run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	(void)scratch;
	view out = view_of(c, in->out[0]), x = view_of(c, in->in[0]);
	int64_t lo, hi;
	float cap = in->f[0];
	task_rows(out.n, out.cols, task, &lo, &hi);
	for (int64_t r = lo; r < hi; r++) {
		float *y = row_f32(out, r);
		const float *p = row_f32(x, r);
		for (int64_t i = 0; i < out.cols; i++) y[i] = cap * tanh_f32(p[i] / cap);
	}
}

const op NAME(op_softcap) = {same_tasks, softcap_run};
