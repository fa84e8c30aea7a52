/* ADAPTERS: the adapter of each row, -1 for none. ADAPT: out = y + scale of the row's adapter * d. */
#include "elementwise.h"

static int64_t adapters_tasks(const ctx *c, const ingot_instr *in) {
	view out = view_of(c, in->out[0]);
	if (!out.data || out.dtype != INGOT_I32 || out.cols != 1) return -1;
	return out.n > 0;
}

static void adapters_run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	(void)task, (void)scratch;
	view out = view_of(c, in->out[0]);
	const ingot_batch *b = c->batch;
	int of_logits = c->args->operands[in->out[0]].per == INGOT_PER_LOGIT;
	for (int64_t r = 0, s = 0; r < out.n; r++) {
		int64_t row = of_logits ? b->logit_rows[r] : r;
		while (row < b->row_start[s]) s--;
		while (row >= b->row_start[s + 1]) s++;
		*(int32_t *)(void *)(out.data + r * out.stride) = b->adapters[s] - 1;
	}
}

const op NAME(op_adapters) = {adapters_tasks, adapters_run};

static int64_t adapt_tasks(const ctx *c, const ingot_instr *in) {
	view out = view_of(c, in->out[0]), y = view_of(c, in->in[0]), d = view_of(c, in->in[1]);
	view ids = view_of(c, in->in[2]), scales = view_of(c, in->in[3]);
	if (!is_f32(out) || !is_f32(y) || !is_f32(d) || !is_f32(scales) || !ids.data || ids.dtype != INGOT_I32) return -1;
	if (out.n != y.n || out.n != d.n || out.n != ids.n || out.cols != y.cols || out.cols != d.cols) return -1;
	return row_tasks(out.n, out.cols);
}

static void adapt_run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	(void)scratch;
	view out = view_of(c, in->out[0]), y = view_of(c, in->in[0]), d = view_of(c, in->in[1]);
	view ids = view_of(c, in->in[2]), scales = view_of(c, in->in[3]);
	int64_t lo, hi;
	task_rows(out.n, out.cols, task, &lo, &hi);
	for (int64_t r = lo; r < hi; r++) {
		float *to = row_f32(out, r);
		const float *from = row_f32(y, r), *add = row_f32(d, r);
		int32_t id = *(const int32_t *)(const void *)(ids.data + r * ids.stride);
		float s = id >= 0 && id < scales.cols ? row_f32(scales, 0)[id] : 0;
		if (s == 0 && to != from) memcpy(to, from, (size_t)out.cols * 4);
		if (s == 0) continue;
		for (int64_t i = 0; i < out.cols; i++) to[i] = from[i] + s * add[i];
	}
}

const op NAME(op_adapt) = {adapt_tasks, adapt_run};
