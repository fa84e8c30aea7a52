/* ACT_DX, GLU_DX, SOFTCAP_DX: gradients of elementwise functions. */
#include "elementwise.h"
#include "mathf.h"

enum { SILU, GELU_TANH, GELU_ERF, RELU, TANH, ACTS, GPT_OSS = 10 };

typedef struct { float y, slope; } curve; /* a function's value and derivative */

static inline float sigmoid(float x) { return 1.0f / (1.0f + exp_f32(-x)); }

static inline curve silu(float x) {
	float s = sigmoid(x);
	return (curve){x * s, s * (1.0f + x * (1.0f - s))};
}

static inline curve gelu_tanh(float x) {
	const float c = 0.79788456080286535588f; /* sqrt(2/pi) */
	float t = tanh_f32(c * (x + 0.044715f * x * x * x));
	return (curve){0.5f * x * (1.0f + t), 0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * c * (1.0f + 0.134145f * x * x)};
}

static inline curve gelu_erf(float x) {
	float e = 0.5f * (1.0f + erf_f32(x * 0.70710678118654752440f));
	return (curve){x * e, e + x * exp_f32(-0.5f * x * x) * 0.39894228040143267794f}; /* 1 / sqrt(2 pi) */
}

static inline curve relu(float x) { return x > 0 ? (curve){x, 1.0f} : (curve){0.0f, 0.0f}; }

static inline curve tangent(float x) {
	float t = tanh_f32(x);
	return (curve){t, 1.0f - t * t};
}

#define EACH_KIND(kind, body) \
	switch (kind) { \
	case SILU: for (int64_t i = 0; i < n; i++) { curve f = silu(x[i]); body; } break; \
	case GELU_TANH: for (int64_t i = 0; i < n; i++) { curve f = gelu_tanh(x[i]); body; } break; \
	case GELU_ERF: for (int64_t i = 0; i < n; i++) { curve f = gelu_erf(x[i]); body; } break; \
	case RELU: for (int64_t i = 0; i < n; i++) { curve f = relu(x[i]); body; } break; \
	case TANH: for (int64_t i = 0; i < n; i++) { curve f = tangent(x[i]); body; } break; \
	}

static int same(view a, view b) { return is_f32(b) && a.n == b.n && a.cols == b.cols; }

static int64_t pair_tasks(const ctx *c, const ingot_instr *in) {
	view out = view_of(c, in->out[0]);
	if (!is_f32(out) || !same(out, view_of(c, in->in[0])) || !same(out, view_of(c, in->in[1]))) return -1;
	return row_tasks(out.n, out.cols);
}

static int64_t act_tasks(const ctx *c, const ingot_instr *in) { return in->i[0] < 0 || in->i[0] >= ACTS ? -1 : pair_tasks(c, in); }

/* dx may be dy. */
static void act_row(int kind, float *dx, const float *dy, const float *restrict x, int64_t n) {
	EACH_KIND(kind, dx[i] = dy[i] * f.slope)
}

static void act_run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	(void)scratch;
	view out = view_of(c, in->out[0]), dy = view_of(c, in->in[0]), x = view_of(c, in->in[1]);
	int64_t lo, hi;
	task_rows(out.n, out.cols, task, &lo, &hi);
	for (int64_t r = lo; r < hi; r++) act_row(in->i[0], row_f32(out, r), row_f32(dy, r), row_f32(x, r), out.cols);
}

const op NAME(op_act_dx) = {act_tasks, act_run};

static int64_t glu_tasks(const ctx *c, const ingot_instr *in) {
	if (in->i[0] != GPT_OSS && (in->i[0] < 0 || in->i[0] >= ACTS)) return -1;
	view out = view_of(c, in->out[0]);
	if (!same(out, view_of(c, in->out[1])) || !same(out, view_of(c, in->in[2]))) return -1;
	return pair_tasks(c, in);
}

static void gpt_oss_row(float *dgate, float *restrict dup, const float *dy, const float *restrict x, const float *restrict u, int64_t n, float alpha, float limit) {
	for (int64_t i = 0; i < n; i++) {
		float d = dy[i], g = x[i] > limit ? limit : x[i], v = u[i] > limit ? limit : u[i] < -limit ? -limit : u[i], s = sigmoid(alpha * g);
		dgate[i] = x[i] > limit ? 0.0f : d * (s * (1.0f + alpha * g * (1.0f - s)) * (v + 1.0f));
		dup[i] = v == u[i] ? d * (g * s) : 0.0f;
	}
}

/* dgate may be dy. */
static void glu_row(const ingot_instr *in, float *dgate, float *restrict dup, const float *dy, const float *restrict x, const float *restrict u, int64_t n) {
	if (in->i[0] == GPT_OSS) gpt_oss_row(dgate, dup, dy, x, u, n, in->f[0], in->f[1]);
	EACH_KIND(in->i[0], float d = dy[i]; dgate[i] = d * (f.slope * u[i]); dup[i] = d * f.y)
}

static void glu_run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	(void)scratch;
	view dgate = view_of(c, in->out[0]), dup = view_of(c, in->out[1]), dy = view_of(c, in->in[0]), x = view_of(c, in->in[1]), u = view_of(c, in->in[2]);
	int64_t lo, hi;
	task_rows(dy.n, dy.cols, task, &lo, &hi);
	for (int64_t r = lo; r < hi; r++) glu_row(in, row_f32(dgate, r), row_f32(dup, r), row_f32(dy, r), row_f32(x, r), row_f32(u, r), dy.cols);
}

const op NAME(op_glu_dx) = {glu_tasks, glu_run};

static void softcap_run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	(void)scratch;
	view out = view_of(c, in->out[0]), dy = view_of(c, in->in[0]), y = view_of(c, in->in[1]);
	int64_t lo, hi;
	task_rows(out.n, out.cols, task, &lo, &hi);
	for (int64_t r = lo; r < hi; r++)
		for (int64_t i = 0; i < out.cols; i++) {
			float t = row_f32(y, r)[i] / in->f[0];
			row_f32(out, r)[i] = row_f32(dy, r)[i] * (1.0f - t * t);
		}
}

const op NAME(op_softcap_dx) = {pair_tasks, softcap_run};
