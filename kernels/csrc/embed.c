/* EMBED: rows of a table by token or position, dequantized and scaled. */
#include "blocks.h"
#include "elementwise.h"
#include "interleave.h"

static int64_t tasks(const ctx *c, const ingot_instr *in) {
	view out = view_of(c, in->out[0]), w = view_of(c, in->in[0]);
	const block_type *t = ingot_block_type(w.dtype);
	if (!is_f32(out) || !w.data || !t->elems || w.stride > SCRATCH_BYTES || (w.interleaved && !ingot_interleaves(w.dtype)) || w.cols != out.cols || w.cols % t->elems) return -1;
	if (in->i[0] < 0 || in->i[0] > 2) return -1;
	return row_tasks(out.n, out.cols);
}

static int64_t source(const ctx *c, int kind, int64_t r) {
	return kind == 0 ? c->batch->tokens[r] : kind == 1 ? c->batch->positions[r] : 0;
}

static void run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	view out = view_of(c, in->out[0]), w = view_of(c, in->in[0]);
	int64_t lo, hi;
	task_rows(out.n, out.cols, task, &lo, &hi);
	for (int64_t r = lo; r < hi; r++) {
		float *restrict y = row_f32(out, r);
		int64_t id = source(c, in->i[0], r);
		if (id < 0 || id >= w.n) { /* the caller has checked; never read outside */
			memset(y, 0, (size_t)out.cols * 4);
			continue;
		}
		const uint8_t *row = w.data + id * w.stride;
		if (w.interleaved) {
			ingot_interleaved_row(w.dtype, w.data, w.n, id, w.stride, scratch);
			row = scratch;
		}
		ingot_decode(w.dtype, row, 0, out.cols, y);
		for (int64_t i = 0; i < out.cols; i++) y[i] *= in->f[0];
	}
}

const op NAME(op_embed) = {tasks, run};
