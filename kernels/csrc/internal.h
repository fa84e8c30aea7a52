/* What the files of the library share: the context of a call, an operation's two
 * functions, and small readers of the boundary's structs. */
#ifndef INGOT_INTERNAL_H
#define INGOT_INTERNAL_H
#include "ingot.h"
#include <string.h>

/* Every file compiled per instruction set wraps its exported names: NAME(op_add) is
 * op_add_avx2 when built with -DISA=avx2. */
#ifndef ISA
#define ISA generic
#endif
#define PASTE2(a, b) a##_##b
#define PASTE(a, b) PASTE2(a, b)
#define NAME(x) PASTE(x, ISA)

#define ALIGNED __attribute__((aligned(64)))
#define SCRATCH_BYTES (32 << 20)  /* per thread; untouched pages cost nothing */
#define SHARED_BYTES (8 << 20)   /* per call, written by tasks() only: lists of experts */
#define ROW_TILE 512             /* activation rows that a task of LINEAR takes at once */
#define MAX_COLS 65536           /* of a product's inner dimension: 32 rows in bf16 fit scratch */
#define SMALL_TASK 16384         /* elements of a task of an elementwise operation */

typedef struct table table;

typedef struct {
	const ingot_run_args *args;
	const ingot_batch *batch;
	const table *table;
	void *shared; /* SHARED_BYTES */
	int threads;
} ctx;

/* An operation: tasks returns how many independent pieces it has, or -1 when it cannot
 * run (type, shape, absent operand); run computes one wholly. scratch is SCRATCH_BYTES,
 * 64-byte aligned, the thread's own. */
typedef struct {
	int64_t (*tasks)(const ctx *, const ingot_instr *);
	void (*run)(const ctx *, const ingot_instr *, int64_t task, void *scratch);
} op;

/* One matrix product as its kernels see it: y[out(i), o] for o0 <= o < o1 and every
 * listed row. list NULL: i-th row is row i. Input row of list entry s is s / in_div. */
typedef struct {
	const uint8_t *w; /* row 0 of [O, K] */
	int64_t w_stride;
	uint32_t type;
	int interleaved; /* see interleave.c; o_all rows are those of the whole weight */
	int64_t o0, o1, o_all, k;
	const void *x; /* f32 rows of x_stride bytes, or packed */
	int64_t x_stride, x_rows;
	const float *bias; /* [o_all] or NULL */
	float *y;
	int64_t y_stride; /* in floats */
	const int32_t *list;
	int64_t rows;
	int32_t in_div;
	const uint8_t *after; /* what the thread probably reads next, NULL: unknown */
	int64_t after_bytes;
} product;

typedef void (*product_fn)(const product *, void *scratch);

struct gemm;

struct table {
	const op *ops[INGOT_OPS];
	product_fn f32, bf16, int8; /* by the type of the activations */
	int64_t group; /* rows of W that bf16 takes together: o0 is a multiple */
	int64_t (*pack_bf16_bytes)(int64_t rows, int64_t cols);
	int64_t (*pack_int8_bytes)(int64_t rows, int64_t cols);
	int64_t (*pack_grad_bytes)(int64_t rows, int64_t cols, uint32_t dtype);
	void (*gemm_f32)(const struct gemm *, void *scratch);
	void (*gemm_bf16)(const struct gemm *, void *scratch); /* where grad_bytes is 2 */
	int64_t grad_bytes; /* of an element of gradients packed in bf16 mode */
	void (*adamw)(const ingot_adamw_args *, int64_t from, int64_t to);
	double (*sum_squares)(const float *, int64_t n);
	int pairs;          /* bf16 products read interleaved weights */
	int tiles;          /* LINEAR's activations are packed in tiles */
	void (*read_row)(ingot_row *r, const ingot_row *after); /* after: what the thread probably reads next */
};

/* An operand in one step: rows counted. */
typedef struct {
	uint8_t *data;
	uint32_t dtype;
	int64_t n, cols, stride;
	int interleaved; /* a weight: see interleave.c */
} view;

static inline int64_t units(const ctx *c, uint32_t per) {
	int64_t n = 1, window = per >> 8, rows = per & INGOT_HALF_WINDOW ? INGOT_WINDOW_ROWS / 2 : INGOT_WINDOW_ROWS;
	switch (per & (INGOT_HALF_WINDOW - 1)) {
	case INGOT_PER_TOKEN: n = c->batch->tokens_n; break;
	case INGOT_PER_LOGIT: n = c->batch->logits_n; break;
	case INGOT_PER_SEQ: n = c->batch->seqs_n; break;
	}
	if (!window) return n;
	n -= (window - 1) * rows;
	return n < 0 ? 0 : n > rows ? rows : n;
}

static inline view view_of(const ctx *c, int32_t index) {
	if (index < 0) return (view){0};
	const ingot_operand *o = &c->args->operands[index];
	return (view){o->data, o->dtype & ~(uint32_t)INGOT_INTERLEAVED, units(c, o->per) * o->rows, o->cols, o->stride,
		(o->dtype & INGOT_INTERLEAVED) != 0};
}

static inline float *row_f32(view v, int64_t r) { return (float *)(void *)(v.data + r * v.stride); }

static inline int is_f32(view v) { return v.data && v.dtype == INGOT_F32 && v.cols > 0; }

/* Tasks of an elementwise operation over n rows of cols elements. */
static inline int64_t row_tasks(int64_t n, int64_t cols) {
	int64_t rows = cols >= SMALL_TASK ? 1 : SMALL_TASK / cols;
	return (n + rows - 1) / rows;
}

/* The rows lo <= r < hi of such a task. */
static inline void task_rows(int64_t n, int64_t cols, int64_t task, int64_t *lo, int64_t *hi) {
	int64_t rows = cols >= SMALL_TASK ? 1 : SMALL_TASK / cols;
	*lo = task * rows;
	*hi = *lo + rows < n ? *lo + rows : n;
}

static inline int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* Bytes that a thread reads next. Asked for in order and a little at a time they come
 * while it computes; a burst would hold up the loads behind it. */
typedef struct {
	const uint8_t *at, *end;
	int64_t step; /* bytes to ask for at a time */
} ahead;

/* Of what is read after the n weight rows from o (the next n, or p->after): the share
 * that columns k ... k+cols-1 have of a row, as one run of bytes; in parts calls. */
static inline ahead ahead_of(const product *p, int64_t o, int64_t n, int64_t k, int64_t cols, int64_t parts) {
	int last = o + n >= p->o1;
	const uint8_t *from = last ? p->after : p->w + (o + n) * p->w_stride;
	int64_t bytes = last ? p->after_bytes : min64(n, p->o_all - o - n) * p->w_stride;
	int64_t lo = bytes * k / p->k, hi = min64(bytes, bytes * (k + cols) / p->k);
	return (ahead){from + lo, from + hi, ceil_div(hi - lo, 64 * parts) * 64};
}

static inline void look_ahead(ahead *a) {
	const uint8_t *to = a->step < a->end - a->at ? a->at + a->step : a->end;
	for (; a->at < to; a->at += 64) __builtin_prefetch(a->at, 0, 2);
}

/* Packed int8 activations: one record per row and block of 32 columns. */
typedef struct {
	int8_t q[32];
	float scale;
	int32_t minus_sum[3]; /* -(sum of q): first half, second half, both */
} act_block;

/* The same of 16 rows, for tables with tiles: behind the rows' records lie those of each
 * whole group of 16 rows, a group's blocks one after another. */
typedef struct {
	int8_t q[16][32];
	float scale[16];
	int32_t minus_sum[3][16];
} act_tile;

static inline int64_t act_blocks(int64_t cols) { return ceil_div(cols, 32); }

static inline act_tile *act_tiles(const void *packed, int64_t rows, int64_t cols) {
	return (act_tile *)((uint8_t *)packed + ceil_div(rows * act_blocks(cols) * (int64_t)sizeof(act_block), 64) * 64);
}
#endif
