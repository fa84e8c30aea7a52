/* DoRA's: ADAPTED_NORMS, the lengths of the rows of W + s B A; MAGNITUDE, out = y m / norm
 * + bias; MAGNITUDE_DW, the gradient of m, in stripes of columns. */
#include <math.h>
#include "blocks.h"
#include "elementwise.h"
#include "lanes.h"

enum { ROWS = 16, COLUMNS = 256, STRIPE = 64 };

static int decodes(view v) {
	const block_type *t = ingot_block_type(v.dtype);
	return v.data && !v.interleaved && t->elems && v.cols % t->elems == 0;
}

static int64_t norms_tasks(const ctx *c, const ingot_instr *in) {
	view out = view_of(c, in->out[0]), w = view_of(c, in->in[0]), a = view_of(c, in->in[1]), b = view_of(c, in->in[2]), s = view_of(c, in->in[3]);
	if (!is_f32(out) || !decodes(w) || !decodes(a) || !decodes(b) || !is_f32(s) || out.cols != w.n || out.n != s.cols) return -1;
	if (a.cols != w.cols || a.n != out.n * b.cols || b.n != out.n * w.n) return -1;
	if ((ROWS * w.cols + (ROWS + COLUMNS) * b.cols) * 4 > SCRATCH_BYTES) return -1;
	return out.n * ceil_div(w.n, ROWS);
}

/* row += the sum over r, in order, of s up[r] times row r of down [rank, COLUMNS], n columns. */
static void add_products(float *restrict row, float s, const float *up, const float *restrict down, int64_t rank, int64_t n) {
	for (int64_t r = 0; r < rank; r++) {
		float f = s * up[r];
		for (int64_t i = 0; i < n; i++) row[i] += f * down[r * COLUMNS + i];
	}
}

static void norms_run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	view out = view_of(c, in->out[0]), w = view_of(c, in->in[0]), a = view_of(c, in->in[1]), b = view_of(c, in->in[2]);
	int64_t tiles = ceil_div(w.n, ROWS), n = task / tiles, from = task % tiles * ROWS, rows = min64(ROWS, w.n - from), k = w.cols, rank = b.cols;
	float s = row_f32(view_of(c, in->in[3]), 0)[n], *row = scratch, *up = row + ROWS * k, *down = up + ROWS * rank;
	for (int64_t i = 0; i < rows; i++) {
		ingot_decode(w.dtype, w.data + (from + i) * w.stride, 0, k, row + i * k);
		ingot_decode(b.dtype, b.data + (n * w.n + from + i) * b.stride, 0, rank, up + i * rank);
	}
	for (int64_t at = 0; at < k; at += COLUMNS) {
		int64_t cols = min64(COLUMNS, k - at);
		for (int64_t r = 0; r < rank; r++) ingot_decode(a.dtype, a.data + (n * rank + r) * a.stride, at, cols, down + r * COLUMNS);
		for (int64_t i = 0; i < rows; i++) add_products(row + i * k + at, s, up + i * rank, down, rank, cols);
	}
	for (int64_t i = 0; i < rows; i++) {
		float length = sqrtf(squares16(row + i * k, k, 0));
		row_f32(out, n)[from + i] = length > 0 ? length : 1;
	}
}

const op NAME(op_adapted_norms) = {norms_tasks, norms_run};

static int64_t magnitude_tasks(const ctx *c, const ingot_instr *in) {
	view out = view_of(c, in->out[0]), y = view_of(c, in->in[0]), m = view_of(c, in->in[1]), norms = view_of(c, in->in[2]);
	view ids = view_of(c, in->in[3]), bias = view_of(c, in->in[4]);
	if (!is_f32(out) || !is_f32(y) || !is_f32(m) || !is_f32(norms) || out.n != y.n || out.cols != y.cols) return -1;
	if (norms.n < 1 || norms.cols != out.cols || m.n * m.cols != norms.n * norms.cols) return -1;
	if (ids.data && (ids.dtype != INGOT_I32 || ids.n != out.n)) return -1;
	if (bias.data && (!is_f32(bias) || bias.n * bias.cols != out.cols)) return -1;
	return row_tasks(out.n, out.cols);
}

static void magnitude_run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	(void)scratch;
	view out = view_of(c, in->out[0]), y = view_of(c, in->in[0]), m = view_of(c, in->in[1]), norms = view_of(c, in->in[2]);
	view ids = view_of(c, in->in[3]), bias = view_of(c, in->in[4]);
	int64_t lo, hi;
	task_rows(out.n, out.cols, task, &lo, &hi);
	for (int64_t r = lo; r < hi; r++) {
		float *to = row_f32(out, r);
		const float *from = row_f32(y, r), *shift = bias.data ? row_f32(bias, 0) : 0;
		int64_t id = ids.data ? *(const int32_t *)(const void *)(ids.data + r * ids.stride) : 0;
		if (to != from) memcpy(to, from, (size_t)out.cols * 4);
		if (id >= 0 && id < norms.n) {
			const float *restrict size = row_f32(m, 0) + id * out.cols, *restrict length = row_f32(norms, id);
			for (int64_t i = 0; i < out.cols; i++) to[i] *= size[i] / length[i];
		}
		for (int64_t i = 0; shift && i < out.cols; i++) to[i] += shift[i];
	}
}

const op NAME(op_magnitude) = {magnitude_tasks, magnitude_run};

static int64_t dw_tasks(const ctx *c, const ingot_instr *in) {
	view dm = view_of(c, in->out[0]), dy = view_of(c, in->in[0]), y = view_of(c, in->in[1]), norms = view_of(c, in->in[2]);
	if (!is_f32(dm) || !is_f32(dy) || !is_f32(y) || !is_f32(norms) || dy.n != y.n || dy.cols != y.cols) return -1;
	return norms.cols != dy.cols || dm.n * dm.cols != dy.cols ? -1 : ceil_div(dy.cols, STRIPE);
}

static void dw_run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	(void)scratch;
	view dm = view_of(c, in->out[0]), dy = view_of(c, in->in[0]), y = view_of(c, in->in[1]);
	int64_t lo = task * STRIPE, n = min64(STRIPE, dy.cols - lo);
	float total[STRIPE] = {0}, *to = row_f32(dm, 0) + lo, *length = row_f32(view_of(c, in->in[2]), 0) + lo;
	for (int64_t r = 0; r < dy.n; r++) {
		const float *restrict d = row_f32(dy, r) + lo, *restrict v = row_f32(y, r) + lo;
		for (int64_t i = 0; i < n; i++) total[i] += d[i] * v[i];
	}
	for (int64_t i = 0; i < n; i++) to[i] += total[i] / length[i];
}

const op NAME(op_magnitude_dw) = {dw_tasks, dw_run};
