/* The exported functions: open, close, run, and what prepares and follows a run. */
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include "cpu.h"
#include "interleave.h"
#include "library.h"
#include "tables.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT int32_t ingot_close(void *lib) {
	library *l = lib;
	if (!l) return 0;
	workers_free(l->workers);
	munmap(l->shared, SHARED_BYTES);
	free(l);
	return 0;
}

EXPORT int32_t ingot_open(ingot_open_args *a) {
	a->lib = NULL;
	if (a->abi != INGOT_ABI) return INGOT_ERR_ABI;
	library *l = calloc(1, sizeof *l);
	if (!l) return INGOT_ERR_MEMORY;
	l->features = ingot_cpu_features();
	l->tables = ingot_cpu_tables(l->features);
	l->shared = mmap(NULL, SHARED_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	l->workers = l->shared == MAP_FAILED ? NULL : workers_new(a->threads < 1 ? 1 : a->threads > 4096 ? 4096 : a->threads, a->nice);
	if (!l->workers) {
		if (l->shared != MAP_FAILED) munmap(l->shared, SHARED_BYTES);
		free(l);
		return INGOT_ERR_MEMORY;
	}
	a->lib = l;
	a->tables = l->tables;
	a->features = l->features;
	return 0;
}

static uint64_t now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

typedef struct {
	const ctx *c;
	const ingot_instr *in;
	void (*run)(const ctx *, const ingot_instr *, int64_t, void *);
} job;

static void run_task(const void *arg, int64_t task, void *scratch) {
	const job *j = arg;
	j->run(j->c, j->in, task, scratch);
}

static int run_instr(library *l, const ctx *c, const ingot_instr *in) {
	if (in->op >= INGOT_OPS) return INGOT_ERR_OP;
	const op *o = c->table->ops[in->op];
	int64_t tasks = o->tasks(c, in);
	if (tasks < 0) return INGOT_ERR_OP;
	job j = {c, in, o->run};
	workers_run(l->workers, run_task, &j, tasks, c->threads);
	return 0;
}

static int known_table(const library *l, int32_t t) {
	return t >= 0 && t < INGOT_TABLES && (l->tables >> t & 1) && ingot_tables[t];
}

EXPORT int32_t ingot_run(ingot_run_args *a) {
	library *l = a->lib;
	a->failed = -1;
	if (!known_table(l, a->table)) return INGOT_ERR_TABLE;
	ctx c = {a, a->batch, ingot_tables[a->table], l->shared, workers_threads(l->workers)};
	for (int32_t i = 0; i < a->instrs_n; i++) {
		uint64_t start = a->nanos ? now() : 0;
		if (run_instr(l, &c, &a->instrs[i])) {
			a->failed = i;
			return INGOT_ERR_OP;
		}
		if (a->nanos) a->nanos[i] += now() - start;
	}
	return 0;
}

#define UPDATE_CHUNK 65536 /* elements of a task of the optimizer */

typedef struct {
	const table *table;
	const ingot_adamw_args *adamw;
	const ingot_squares_args *squares;
	double *sums;
} update;

static void adamw_task(const void *arg, int64_t task, void *scratch) {
	(void)scratch;
	const update *u = arg;
	u->table->adamw(u->adamw, task * UPDATE_CHUNK, min64(u->adamw->n, (task + 1) * UPDATE_CHUNK));
}

EXPORT int32_t ingot_adamw(ingot_adamw_args *a) {
	library *l = a->lib;
	if (!known_table(l, a->table)) return INGOT_ERR_TABLE;
	update u = {.table = ingot_tables[a->table], .adamw = a};
	workers_run(l->workers, adamw_task, &u, ceil_div(a->n, UPDATE_CHUNK), workers_threads(l->workers));
	return 0;
}

static void squares_task(const void *arg, int64_t task, void *scratch) {
	(void)scratch;
	const update *u = arg;
	int64_t from = task * UPDATE_CHUNK;
	u->sums[task] = u->table->sum_squares(u->squares->x + from, min64(u->squares->n - from, UPDATE_CHUNK));
}

/* The chunks' sums lie in the shared memory and are added in order. */
EXPORT int32_t ingot_squares(ingot_squares_args *a) {
	library *l = a->lib;
	int64_t chunks = ceil_div(a->n, UPDATE_CHUNK);
	if (!known_table(l, a->table)) return INGOT_ERR_TABLE;
	if (chunks * (int64_t)sizeof(double) > SHARED_BYTES) return INGOT_ERR_MEMORY;
	update u = {.table = ingot_tables[a->table], .squares = a, .sums = l->shared};
	workers_run(l->workers, squares_task, &u, chunks, workers_threads(l->workers));
	a->sum = 0;
	for (int64_t i = 0; i < chunks; i++) a->sum += u.sums[i];
	return 0;
}

#define REPACK_ROWS 64 /* of a task: whole groups of 16 */

static void repack_task(const void *arg, int64_t task, void *scratch) {
	(void)scratch;
	const ingot_repack_args *a = arg;
	int64_t lo = task * REPACK_ROWS, hi = min64(a->rows, lo + REPACK_ROWS);
	if (a->interleaved)
		ingot_interleave_rows(a->dtype, a->from, a->to, lo, hi, a->stride);
	else
		memcpy(a->to + lo * a->stride, a->from + lo * a->stride, (size_t)((hi - lo) * a->stride));
}

EXPORT int32_t ingot_repack(ingot_repack_args *a) {
	library *l = a->lib;
	if (a->rows < 0 || a->stride < 0 || (a->interleaved && !ingot_interleaves(a->dtype))) return INGOT_ERR_OP;
	workers_run(l->workers, repack_task, a, ceil_div(a->rows, REPACK_ROWS), workers_threads(l->workers));
	return 0;
}

static void read_rows_task(const void *arg, int64_t task, void *scratch) {
	(void)scratch;
	const ingot_read_rows_args *a = arg;
	int64_t after = min64(task + workers_threads(((library *)a->lib)->workers), a->n - 1);
	ingot_tables[a->table]->read_row(&a->rows[task], &a->rows[after]);
}

EXPORT int32_t ingot_read_rows(ingot_read_rows_args *a) {
	library *l = a->lib;
	if (!known_table(l, a->table)) return INGOT_ERR_TABLE;
	workers_run(l->workers, read_rows_task, a, a->n, workers_threads(l->workers));
	return 0;
}

/* No library is needed: a plan may be laid out for a table of another machine. */
EXPORT int32_t ingot_pack_size(ingot_pack_size_args *a) {
	a->bytes = 0;
	if (a->table < 0 || a->table >= INGOT_TABLES || !ingot_tables[a->table]) return INGOT_ERR_TABLE;
	if (a->rows < 0 || a->cols < 0) return INGOT_ERR_OP;
	if (a->dtype == INGOT_PACK_BF16)
		a->bytes = ingot_tables[a->table]->pack_bf16_bytes(a->rows, a->cols);
	else if (a->dtype == INGOT_PACK_INT8)
		a->bytes = ingot_tables[a->table]->pack_int8_bytes(a->rows, a->cols);
	else if (a->dtype >= INGOT_PACK_ROWS && a->dtype <= INGOT_PACK_COLS_F32)
		a->bytes = ingot_tables[a->table]->pack_grad_bytes(a->rows, a->cols, a->dtype);
	else
		return INGOT_ERR_OP;
	return 0;
}
