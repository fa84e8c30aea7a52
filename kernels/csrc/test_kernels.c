/* Tests of the library through its boundary: every operation on every table that the
 * machine has, on random shapes, against the generic table (bits where the operation
 * promises bits, else a tolerance from the rounding errors of the sum); one row alone
 * against the same row among many; one thread against two; every buffer ends at an
 * unreadable page. The generic table's products are held to sums in double here, and
 * the whole library to the Go reference by ../conformance_test.go. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "blocks.h"
#include "ingot.h"
#include "mathf.h"

static int failures;
static const char *where = "";

static void fail(const char *format, ...) {
	va_list args;
	va_start(args, format);
	if (failures++ < 40) printf("FAIL %s: ", where), vprintf(format, args), printf("\n");
	va_end(args);
}

static uint64_t seed = 88172645463325252u;
static uint32_t rnd(void) {
	seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
	return (uint32_t)(seed >> 32);
}
static int below(int n) { return (int)(rnd() % (uint32_t)n); }
static float unit(void) { return (float)rnd() * 0x1p-31f - 1.0f; }

/* Memory that ends where an unreadable page begins; freed all at once. */
static struct { void *p; size_t n; } maps[4096];
static int maps_n;
static void *guarded(int64_t bytes) {
	size_t page = 4096, n = ((size_t)bytes + page - 1) / page * page + page;
	uint8_t *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED || maps_n == 4096) abort();
	mprotect(p + n - page, page, PROT_NONE);
	maps[maps_n].p = p, maps[maps_n++].n = n;
	return p + n - page - bytes;
}
static void free_all(void) {
	while (maps_n) maps_n--, munmap(maps[maps_n].p, maps[maps_n].n);
}

static void *lib1, *lib2;
static uint32_t tables;
static const char *table_name[INGOT_TABLES] = {"generic", "avx2", "avx512", "avx512_bf16", "amx"};

static ingot_operand operand(void *data, uint32_t type, int64_t rows, int64_t cols, int64_t row_bytes) {
	return (ingot_operand){data, type, INGOT_FIXED, rows, cols, row_bytes};
}
static ingot_operand floats(int64_t rows, int64_t cols, int fill) {
	float *p = guarded(rows * cols * 4);
	for (int64_t i = 0; i < rows * cols; i++) p[i] = fill ? unit() : NAN;
	return operand(p, INGOT_F32, rows, cols, cols * 4);
}
static ingot_operand like(ingot_operand o) {
	o.data = memcpy(guarded(o.rows * o.stride), o.data, (size_t)(o.rows * o.stride));
	return o;
}

/* Random blocks with sensible scales. */
static ingot_operand weights(uint32_t type, int64_t rows, int64_t cols) {
	const block_type *t = ingot_block_type(type);
	int64_t bytes = cols / t->elems * t->bytes;
	uint8_t *p = guarded(rows * bytes);
	for (int64_t i = 0; i < rows * bytes; i++) p[i] = (uint8_t)rnd();
	for (int64_t b = 0; b < rows * cols / t->elems; b++) {
		uint8_t *q = p + b * t->bytes;
		uint16_t d = f32_f16(0.01f + 0.01f * unit()), m = f32_f16(0.02f * unit());
		float f = unit();
		uint16_t h = type == INGOT_F16 ? f32_f16(f) : f32_bf16(f);
		switch (type) {
		case INGOT_F32: memcpy(q, &f, 4); break;
		case INGOT_F16: case INGOT_BF16: memcpy(q, &h, 2); break;
		case INGOT_MXFP4: q[0] = (uint8_t)(118 + below(6)); break;
		case INGOT_Q2_K: memcpy(q + 80, &d, 2), memcpy(q + 82, &m, 2); break;
		case INGOT_Q3_K: memcpy(q + 108, &d, 2); break;
		case INGOT_Q6_K: memcpy(q + 208, &d, 2); break;
		case INGOT_TQ1_0: memcpy(q + 52, &d, 2); break;
		case INGOT_TQ2_0: memcpy(q + 64, &d, 2); break;
		case INGOT_IQ1_M: q[49] &= 15, q[51] &= 15, q[53] &= 15, q[55] = (uint8_t)((q[55] & 15) | 0x20); break;
		case INGOT_Q4_1: case INGOT_Q5_1: case INGOT_Q4_K: case INGOT_Q5_K: memcpy(q, &d, 2), memcpy(q + 2, &m, 2); break;
		default: memcpy(q, &d, 2);
		}
	}
	return operand(p, type, rows, cols, bytes);
}

static ingot_instr instr(uint32_t op) {
	ingot_instr in = {.op = op, .out = {-1, -1}, .in = {-1, -1, -1, -1, -1, -1}};
	return in;
}

static int run_on(void *lib, int table, const ingot_instr *in, int n, const ingot_operand *o, const ingot_batch *b) {
	ingot_run_args a = {.lib = lib, .instrs = in, .operands = o, .batch = b, .instrs_n = n, .table = table};
	uint64_t nanos[16] = {0};
	a.nanos = nanos;
	int rc = ingot_run(&a);
	if ((rc == 0) != (a.failed == -1)) fail("rc %d but failed %d", rc, a.failed);
	return rc;
}

/* Largest difference relative to scale; NaN in either fails. */
static void compare(const char *what, int table, ingot_operand want, ingot_operand got, double tolerance) {
	for (int64_t r = 0; r < want.rows; r++)
		for (int64_t i = 0; i < want.cols; i++) {
			float a = ((float *)want.data)[r * want.cols + i], b = ((float *)got.data)[r * got.cols + i];
			int same = tolerance == 0 ? f32_bits(a) == f32_bits(b) : fabs((double)a - b) <= tolerance;
			if (!same) {
				fail("%s on %s [%d,%d]: want %.9g, got %.9g", what, table_name[table], (int)r, (int)i, a, b);
				return;
			}
		}
}

/* An instruction with output operand 0: runs on generic, then every table with one and
 * two threads. */
static void on_all_tables(const ingot_instr *in, ingot_operand *o, const ingot_batch *b, double tolerance) {
	ingot_operand out = o[0], want = like(out);
	o[0] = want;
	if (run_on(lib1, INGOT_TABLE_GENERIC, in, 1, o, b)) fail("generic refuses");
	for (int t = 0; t < INGOT_TABLES; t++) {
		if (!(tables >> t & 1)) continue;
		ingot_operand one = like(out), two = like(out);
		o[0] = one;
		if (run_on(lib1, t, in, 1, o, b)) fail("%s refuses", table_name[t]);
		o[0] = two;
		run_on(lib2, t, in, 1, o, b);
		compare(where, t, want, one, tolerance);
		compare("two threads", t, one, two, 0);
	}
	o[0] = out;
}

static ingot_batch empty_batch(int t) { return (ingot_batch){.tokens_n = t, .logits_n = t, .seqs_n = t}; }

/* PACK then LINEAR (or EXPERT_LINEAR), as a plan would. */
typedef struct { ingot_operand y, x, packed, w, bias, ids; uint32_t mode; int experts, k, per_slot; } linear;

static int run_linear(void *lib, int table, linear *l) {
	ingot_operand o[6] = {l->y, l->x, l->packed, l->w, l->bias, l->ids};
	ingot_instr in[2] = {instr(INGOT_OP_PACK), instr(l->experts ? INGOT_OP_EXPERT_LINEAR : INGOT_OP_LINEAR)};
	ingot_batch b = empty_batch(1);
	in[0].out[0] = 2, in[0].in[0] = 1;
	in[1].out[0] = 0, in[1].in[0] = l->mode ? 2 : 1, in[1].in[1] = 3, in[1].in[2] = l->bias.data ? 4 : -1;
	if (l->experts) in[1].in[3] = 5, in[1].i[0] = l->k, in[1].i[1] = l->per_slot, in[1].i[2] = l->experts, in[1].i[3] = (int32_t)l->y.cols;
	if (!l->mode) return run_on(lib, table, in + 1, 1, o, &b);
	ingot_pack_size_args s = {l->x.rows, l->x.cols, l->mode, table, 0};
	ingot_pack_size(&s);
	o[2] = operand(guarded(s.bytes), l->mode, l->x.rows, l->x.cols, 0);
	return run_on(lib, table, in, 2, o, &b);
}

/* The products in double: what the mode's arithmetic gives but for the sum's rounding
 * (and, in bf16 mode, exactly the rounded operands). bound: sum of magnitudes. */
static void oracle(const linear *l, int64_t r, int64_t o, int64_t e, double *want, double *bound) {
	static float w[4096];
	const float *x = (const float *)l->x.data + (l->experts && !l->per_slot ? r / l->k : r) * l->x.cols;
	ingot_decode(l->w.dtype, (uint8_t *)l->w.data + (e * l->y.cols + o) * l->w.stride, 0, l->w.cols, w);
	*want = *bound = 0;
	for (int64_t i = 0; i < l->w.cols; i++) {
		double a = x[i], b = w[i];
		if (l->mode == INGOT_PACK_BF16) a = bf16_f32(f32_bf16(x[i])), b = bf16_f32(f32_bf16(w[i]));
		*want += a * b;
		*bound += fabs(a * b);
	}
	if (l->bias.data) *want += ((float *)l->bias.data)[e * l->y.cols + o];
}

static void check_oracle(linear *l) {
	/* bf16, f32: K additions of relative error 2^-24; int8: half a step of 1/127 of the
	 * block's largest activation each, which are errors of either sign. */
	double share = l->mode == INGOT_PACK_INT8 ? 0.02 : (double)l->w.cols * 0x1p-24;
	for (int64_t r = 0; r < l->y.rows; r++)
		for (int64_t o = 0; o < l->y.cols; o += 7) {
			double want, bound;
			oracle(l, r, o, l->experts ? ((int32_t *)l->ids.data)[r] : 0, &want, &bound);
			float got = ((float *)l->y.data)[r * l->y.cols + o];
			if (!(fabs(got - want) <= bound * share + 1e-6)) fail("oracle [%d,%d]: want %.9g, got %.9g (bound %g)", (int)r, (int)o, want, got, bound * share);
		}
}

static void test_linear(uint32_t type, uint32_t mode, int64_t n, int64_t outs, int64_t cols, int bias, int experts) {
	char name[128];
	snprintf(name, sizeof name, "%s type %u mode %u n %d o %d k %d", experts ? "EXPERT_LINEAR" : "LINEAR", type, mode, (int)n, (int)outs, (int)cols);
	where = name;
	linear l = {.mode = mode, .experts = experts, .k = 3, .per_slot = below(2)};
	int64_t slots = experts ? n * l.k : n;
	l.x = floats(experts && l.per_slot ? slots : n, cols, 1);
	l.w = weights(type, outs * (experts ? experts : 1), cols);
	if (bias) l.bias = floats(experts ? experts : 1, outs, 1);
	l.ids = operand(guarded(slots * 4), INGOT_I32, n, l.k, l.k * 4);
	for (int64_t i = 0; i < slots; i++) ((int32_t *)l.ids.data)[i] = experts ? below(experts) : 0;
	l.y = floats(slots, outs, 0);
	if (run_linear(lib1, INGOT_TABLE_GENERIC, &l)) fail("generic refuses");
	check_oracle(&l);
	double spread = 0;
	for (int64_t i = 0; i < slots * outs; i++) spread = fmax(spread, fabs(((float *)l.y.data)[i]));
	for (int t = 0; t < INGOT_TABLES; t++) {
		if (!(tables >> t & 1)) continue;
		linear m = l;
		m.y = floats(slots, outs, 0);
		if (run_linear(lib1, t, &m)) fail("%s refuses", table_name[t]);
		if (mode == INGOT_PACK_INT8)
			compare("int8", t, l.y, m.y, 0);
		else
			check_oracle(&m);
		linear two = m;
		two.y = floats(slots, outs, 0);
		run_linear(lib2, t, &two);
		compare("two threads", t, m.y, two.y, 0);
		int64_t r = below((int)n); /* one row alone */
		int64_t per = experts ? l.k : 1;
		linear one = m;
		int64_t xr = experts && l.per_slot ? per : 1;
		one.x = operand((float *)m.x.data + r * xr * cols, INGOT_F32, xr, cols, cols * 4);
		one.ids = operand((int32_t *)m.ids.data + r * per, INGOT_I32, 1, l.k, l.k * 4);
		one.y = floats(per, outs, 0);
		run_linear(lib1, t, &one);
		ingot_operand same = operand((float *)m.y.data + r * per * outs, INGOT_F32, per, outs, outs * 4);
		compare("one row alone", t, same, one.y, 0);
	}
	free_all();
}

static const uint32_t types[] = {
	INGOT_F32, INGOT_F16, INGOT_BF16, INGOT_Q4_0, INGOT_Q4_1, INGOT_Q5_0, INGOT_Q5_1, INGOT_Q8_0, INGOT_IQ4_NL, INGOT_MXFP4,
	INGOT_Q2_K, INGOT_Q3_K, INGOT_Q4_K, INGOT_Q5_K, INGOT_Q6_K, INGOT_IQ4_XS, INGOT_IQ2_XXS, INGOT_IQ2_XS, INGOT_IQ2_S,
	INGOT_IQ3_XXS, INGOT_IQ3_S, INGOT_IQ1_S, INGOT_IQ1_M, INGOT_TQ1_0, INGOT_TQ2_0};

static void test_products(void) {
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		const block_type *t = ingot_block_type(types[i]);
		int64_t step = t->elems;
		for (int round = 0; round < 6; round++) {
			int64_t n = round == 0 ? 1 : 1 + below(round == 5 ? 70 : 20), outs = 1 + below(70);
			int64_t cols = t->elems == 1 ? 1 + below(700) : step * (1 + below(step == 32 ? 40 : 5));
			if (types[i] == INGOT_F32) test_linear(types[i], 0, n, outs, cols, round & 1, 0);
			test_linear(types[i], INGOT_PACK_BF16, n, outs, cols, round & 1, 0);
			if (t->group) test_linear(types[i], INGOT_PACK_INT8, n, outs, cols, round & 1, 0);
			if (round == 2) test_linear(types[i], INGOT_PACK_BF16, n, outs, cols, 1, 5);
			if (round == 2 && t->group) test_linear(types[i], INGOT_PACK_INT8, n, outs, cols, 0, 5);
		}
	}
	test_linear(INGOT_Q4_0, INGOT_PACK_BF16, 530, 150, 1056, 0, 0); /* more than a tile of rows */
	test_linear(INGOT_Q4_0, INGOT_PACK_INT8, 530, 150, 1056, 0, 0);
	test_linear(INGOT_F32, 0, 5, 40, 96, 1, 4);
	test_linear(INGOT_MXFP4, INGOT_PACK_INT8, 200, 90, 64, 1, 4);
	test_linear(INGOT_MXFP4, INGOT_PACK_BF16, 200, 90, 64, 1, 4);
}

static void test_simple(void) {
	for (int round = 0; round < 20; round++) {
		int64_t n = 1 + below(40), d = 1 + below(300), groups = 1 + below(3);
		ingot_batch b = empty_batch(1);
		ingot_operand o[4] = {floats(n, d * groups, 0), floats(n, d * groups, 1), floats(1, d, 1), floats(1, d, 1)};
		ingot_instr in = instr(INGOT_OP_RMSNORM);
		in.out[0] = 0, in.in[0] = 1, in.in[1] = round & 1 ? 2 : -1, in.i[0] = (int32_t)d, in.f[0] = 1e-5f;
		where = "RMSNORM", on_all_tables(&in, o, &b, 0);
		in.op = INGOT_OP_LAYERNORM, in.in[2] = round & 2 ? 3 : -1;
		where = "LAYERNORM", on_all_tables(&in, o, &b, 0);
		o[2] = floats(n, d * groups, 1);
		in = instr(INGOT_OP_ADD), in.out[0] = 0, in.in[0] = 1, in.in[1] = 2, in.f[0] = 0.3f;
		where = "ADD", on_all_tables(&in, o, &b, 0);
		in.op = INGOT_OP_SCALE;
		where = "SCALE", on_all_tables(&in, o, &b, 0);
		in.op = INGOT_OP_SOFTCAP;
		where = "SOFTCAP", on_all_tables(&in, o, &b, 0);
		for (int kind = 0; kind <= 4; kind++) {
			in = instr(INGOT_OP_ACT), in.out[0] = 0, in.in[0] = 1, in.i[0] = kind;
			where = "ACT", on_all_tables(&in, o, &b, 0);
			in.op = INGOT_OP_GLU, in.in[1] = 2;
			where = "GLU", on_all_tables(&in, o, &b, 0);
		}
		in.i[0] = 10, in.f[0] = 1.702f, in.f[1] = 0.7f;
		where = "GLU gpt-oss", on_all_tables(&in, o, &b, 0);
		free_all();
	}
}

static void test_rope(void) {
	for (int round = 0; round < 10; round++) {
		int n = 1 + below(20), h = 1 + below(4), half = 1 + below(40), d = 2 * half + below(20);
		int32_t *positions = guarded(n * 4);
		for (int i = 0; i < n; i++) positions[i] = below(100000);
		ingot_batch b = empty_batch(n);
		b.positions = positions;
		ingot_operand o[4] = {floats(n, 2 * half, 0), floats(1, half, 1), floats(n, h * d, 1), floats(n, h * d, 0)};
		ingot_instr in = instr(INGOT_OP_ROPE_TABLE);
		in.out[0] = 0, in.in[0] = 1, in.f[0] = 1.1f;
		where = "ROPE_TABLE", on_all_tables(&in, o, &b, 0);
		run_on(lib1, INGOT_TABLE_GENERIC, &in, 1, o, &b);
		ingot_operand p[3] = {o[3], o[2], o[0]};
		in = instr(INGOT_OP_ROPE), in.out[0] = 0, in.in[0] = 1, in.in[1] = 2;
		in.i[0] = h, in.i[1] = d, in.i[2] = 2 * half, in.i[3] = round & 1;
		where = "ROPE", on_all_tables(&in, p, &b, 0);
		free_all();
	}
}

static void test_rows(void) {
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		const block_type *t = ingot_block_type(types[i]);
		int64_t cols = t->elems == 1 ? 77 : t->elems * 2;
		int n = 9, vocab = 13;
		int32_t *tokens = guarded(n * 4), *rows = guarded(n * 4);
		for (int r = 0; r < n; r++) tokens[r] = below(vocab), rows[r] = below(n);
		ingot_batch b = empty_batch(n);
		b.tokens = b.positions = tokens, b.logit_rows = rows;
		ingot_operand o[3] = {floats(1, cols, 0), weights(types[i], vocab, cols), floats(n, cols, 1)};
		o[0] = floats(n, cols, 0);
		ingot_instr in = instr(INGOT_OP_EMBED);
		in.out[0] = 0, in.in[0] = 1, in.f[0] = 1.5f, in.i[0] = below(3);
		where = "EMBED", on_all_tables(&in, o, &b, 0);
		in = instr(INGOT_OP_ROWS), in.out[0] = 0, in.in[0] = 2;
		where = "ROWS", on_all_tables(&in, o, &b, 0);
		int32_t starts[] = {0, 4, 5, 9};
		b.seqs_n = 3, b.row_start = starts;
		in = instr(INGOT_OP_POOL), in.out[0] = 0, in.in[0] = 2, in.i[0] = below(3);
		o[0] = floats(3, cols, 0);
		where = "POOL", on_all_tables(&in, o, &b, 0);
		free_all();
	}
}

static void test_experts(void) {
	for (int round = 0; round < 10; round++) {
		int n = 1 + below(30), e = 1 + below(40), k = 1 + below(e < 8 ? e : 8), d = 1 + below(90);
		ingot_batch b = empty_batch(1);
		ingot_operand o[4] = {floats(n, k, 0), operand(guarded(n * k * 4), INGOT_I32, n, k, k * 4), floats(n, e, 1), {0}};
		if (round & 1) for (int i = 0; i < n * e; i++) ((float *)o[2].data)[i] = (float)below(3); /* ties */
		ingot_instr in = instr(INGOT_OP_ROUTE);
		in.out[0] = 1, in.out[1] = 0, in.in[0] = 2, in.i[0] = k, in.i[1] = round & 1, in.f[0] = 2;
		where = "ROUTE", on_all_tables(&in, o, &b, 0);
		for (int r = 0; r < n; r++)
			for (int j = 1; j < k; j++) {
				int32_t *ids = (int32_t *)o[1].data + r * k;
				float a = ((float *)o[2].data)[r * e + ids[j - 1]], c = ((float *)o[2].data)[r * e + ids[j]];
				if (a < c || (a == c && ids[j - 1] > ids[j])) fail("order");
			}
		ingot_operand p[3] = {floats(n, d, 0), floats(n * k, d, 1), floats(n, k, 1)};
		in = instr(INGOT_OP_COMBINE), in.out[0] = 0, in.in[0] = 1, in.in[1] = 2, in.i[0] = k;
		where = "COMBINE", on_all_tables(&in, p, &b, 0);
		free_all();
	}
}

/* Several sequences of random lengths in scattered blocks. */
typedef struct { ingot_batch b; int seqs, t, h, kvh, dk, dv, window, causal; uint32_t ktype, vtype; ingot_operand o[8]; } scene;

static int64_t head_bytes(uint32_t type, int d) { return type == INGOT_F32 ? 64 * d : type == INGOT_BF16 ? 32 * d : 16 * d + (d + 31) / 32 * 32; }

static scene make_scene(int round) {
	scene s = {.seqs = 1 + below(3), .kvh = 1 + below(3), .dk = 1 + below(100), .dv = 1 + below(100)};
	static const uint32_t cache[] = {INGOT_F32, INGOT_BF16, INGOT_Q8_0};
	s.h = s.kvh * (1 + below(5)), s.ktype = cache[round % 3], s.vtype = cache[round / 3 % 3];
	s.window = round % 4 == 1 ? 1 + below(40) : 0, s.causal = round % 5 != 2;
	int32_t *row_start = guarded((s.seqs + 1) * 4), *seq_len = guarded(s.seqs * 4), *table_start = guarded((s.seqs + 1) * 4);
	int blocks = 0, len[3];
	row_start[0] = table_start[0] = 0;
	for (int i = 0; i < s.seqs; i++) {
		len[i] = seq_len[i] = 1 + below(90);
		row_start[i + 1] = row_start[i] + 1 + below(len[i]);
		table_start[i + 1] = table_start[i] + (len[i] + 15) / 16;
	}
	s.t = row_start[s.seqs], blocks = table_start[s.seqs];
	int32_t *tables_ = guarded(blocks * 4), *slots = guarded(s.t * 4), *positions = guarded(s.t * 4);
	for (int i = 0; i < blocks; i++) tables_[i] = i;
	for (int i = blocks - 1; i > 0; i--) {
		int j = below(i + 1), t = tables_[i];
		tables_[i] = tables_[j], tables_[j] = t;
	}
	for (int i = 0; i < s.seqs; i++)
		for (int r = row_start[i]; r < row_start[i + 1]; r++) {
			int p = positions[r] = seq_len[i] - (row_start[i + 1] - r);
			slots[r] = tables_[table_start[i] + p / 16] * 16 + p % 16;
		}
	s.b = (ingot_batch){s.t, 0, s.seqs, 0, NULL, positions, slots, row_start, seq_len, table_start, tables_, NULL};
	int64_t kb = s.kvh * head_bytes(s.ktype, s.dk), vb = s.kvh * head_bytes(s.vtype, s.dv);
	uint8_t *k = guarded(blocks * kb), *v = guarded(blocks * vb);
	s.o[0] = floats(s.t, s.h * s.dv, 0), s.o[1] = floats(s.t, s.h * s.dk, 1);
	s.o[2] = operand(k, s.ktype, blocks, s.kvh * s.dk * 16, kb), s.o[3] = operand(v, s.vtype, blocks, s.kvh * s.dv * 16, vb);
	s.o[4] = floats(1, s.h, 1), s.o[5] = floats(s.t, s.kvh * s.dk, 1), s.o[6] = floats(s.t, s.kvh * s.dv, 1);
	memset(k, 0xff, (size_t)(blocks * kb)), memset(v, 0xff, (size_t)(blocks * vb)); /* NaN where nothing is stored */
	return s;
}

/* Fills the whole cache with keys of every position, through STORE_KV. */
static void fill_cache(scene *s, int table) {
	int n = s->b.tables == NULL ? 0 : (int)s->o[2].rows * 16, at = 0;
	int32_t *slots = guarded(n * 4);
	for (int i = 0; i < s->seqs; i++)
		for (int p = 0; p < s->b.seq_len[i]; p++) slots[at++] = s->b.tables[s->b.table_start[i] + p / 16] * 16 + p % 16;
	ingot_batch b = {.tokens_n = at, .seqs_n = 1, .slots = slots};
	uint64_t keep = seed;
	seed = 12345;
	ingot_operand o[4] = {floats(at, s->kvh * s->dk, 1), floats(at, s->kvh * s->dv, 1), s->o[2], s->o[3]};
	seed = keep;
	ingot_instr in = instr(INGOT_OP_STORE_KV);
	in.in[0] = 0, in.in[1] = 1, in.in[2] = 2, in.in[3] = 3, in.i[0] = s->kvh, in.i[1] = s->dk, in.i[2] = s->dv;
	if (run_on(lib2, table, &in, 1, o, &b)) fail("STORE_KV refused");
}

static ingot_instr attention_of(const scene *s, int sinks, float cap) {
	ingot_instr in = instr(INGOT_OP_ATTENTION);
	in.out[0] = 0, in.in[0] = 1, in.in[1] = 2, in.in[2] = 3, in.in[3] = sinks ? 4 : -1;
	in.i[0] = s->h, in.i[1] = s->kvh, in.i[2] = s->dk, in.i[3] = s->dv, in.i[4] = s->window, in.i[5] = s->causal;
	in.f[0] = 0.3f, in.f[1] = cap;
	return in;
}

/* The last row of sequence 0 alone. */
static void one_row_attention(scene *s, const ingot_instr *in, int table) {
	int r = s->b.row_start[1] - 1;
	int32_t starts[2] = {0, 1};
	ingot_batch b = s->b;
	b.tokens_n = b.seqs_n = 1, b.row_start = starts, b.positions += r, b.slots += r;
	ingot_operand o[5];
	memcpy(o, s->o, sizeof o);
	run_on(lib1, table, in, 1, s->o, &s->b);
	o[0] = floats(1, o[0].cols, 0), o[0].rows = 1;
	o[1].data = (float *)o[1].data + r * o[1].cols, o[1].rows = 1;
	run_on(lib1, table, in, 1, o, &b);
	ingot_operand want = operand((float *)s->o[0].data + r * o[0].cols, INGOT_F32, 1, o[0].cols, 0);
	compare("one row alone", table, want, o[0], 0);
}

static void test_attention(void) {
	for (int round = 0; round < 45; round++) {
		scene s = make_scene(round);
		where = "STORE_KV";
		fill_cache(&s, INGOT_TABLE_GENERIC);
		ingot_operand k = like(s.o[2]), v = like(s.o[3]);
		for (int t = 1; t < INGOT_TABLES; t++) {
			if (!(tables >> t & 1)) continue;
			memset(s.o[2].data, 0xff, (size_t)(k.rows * k.stride)), memset(s.o[3].data, 0xff, (size_t)(v.rows * v.stride));
			fill_cache(&s, t);
			if (memcmp(k.data, s.o[2].data, (size_t)(k.rows * k.stride)) || memcmp(v.data, s.o[3].data, (size_t)(v.rows * v.stride))) fail("%s differs", table_name[t]);
		}
		char name[100];
		snprintf(name, sizeof name, "ATTENTION round %d cache %u/%u h %d/%d d %d/%d", round, s.ktype, s.vtype, s.h, s.kvh, s.dk, s.dv);
		where = name;
		ingot_instr in = attention_of(&s, round & 1, round % 7 == 3 ? 5.0f : 0);
		on_all_tables(&in, s.o, &s.b, 2e-5);
		for (int t = 0; t < INGOT_TABLES; t++)
			if (tables >> t & 1) one_row_attention(&s, &in, t);
		free_all();
	}
}

/* Errors in units of the last place over a dense sample of all floats. */
static double ulps(float got, double want) {
	float w = (float)want;
	if (got == w || (fabs(want) < 0x1p-126 && fabsf(got) < 0x1.000001p-126f)) return 0;
	return fabs(got - want) / fabs((double)nextafterf(fabsf(w), INFINITY) - fabsf(w));
}

static void test_math(void) {
	double e = 0, t = 0, g = 0;
	for (uint64_t u = 0; u < 0xff800000u; u += 97) {
		float x = bits_f32((uint32_t)u);
		if (x != x) continue;
		if (x < 88.72f && x > -103) e = fmax(e, ulps(exp_f32(x), exp(x)));
		t = fmax(t, ulps(tanh_f32(x), tanh(x)));
		g = fmax(g, ulps(erf_f32(x), erf(x)));
	}
	where = "math";
	printf("errors in ulp: exp %.2f tanh %.2f erf %.2f\n", e, t, g);
	if (!(e <= 2 && t <= 3 && g <= 3)) fail("errors too large");
	if (exp_f32(-INFINITY) != 0 || exp_f32(INFINITY) != INFINITY || exp_f32(0) != 1 || exp_f32(NAN) == 0) fail("exp at the ends");
}

/* Rows of logits that end where the memory does: every table finds the generic one's bits. */
static void test_logits(void) {
	where = "logits";
	for (int round = 0; round < 40; round++) {
		int64_t n = 1 + below(round < 20 ? 40 : 600), strips = (n + INGOT_STRIP - 1) / INGOT_STRIP;
		float *x = guarded(n * 4), *want = guarded(2 * strips * 4);
		for (int64_t i = 0; i < n; i++) x[i] = below(9) ? 30 * unit() : -INFINITY;
		x[below((int)n)] = 0;
		ingot_row first = {.x = x, .high = want, .sums = want + strips, .n = n, .scale = 1.4f, .moments = round & 1};
		ingot_read_rows_args a = {.lib = lib1, .rows = &first, .n = 1};
		if (ingot_read_rows(&a)) fail("refused");
		for (int32_t t = 1; t < INGOT_TABLES; t++) {
			if (!(tables >> t & 1)) continue;
			float *got = guarded(2 * strips * 4);
			ingot_row *rows = guarded(3 * (int64_t)sizeof *rows);
			for (int i = 0; i < 3; i++) rows[i] = first, rows[i].high = got, rows[i].sums = got + strips;
			ingot_read_rows_args b = {.lib = lib1, .rows = rows, .n = 3, .table = t};
			if (ingot_read_rows(&b)) fail("%s: refused", table_name[t]);
			if (memcmp(got, want, (size_t)(8 * strips)) || rows[2].total != first.total || rows[2].moment != first.moment)
				fail("%s: %d logits", table_name[t], (int)n);
		}
		free_all();
	}
}

static void test_refusals(void) {
	where = "refusals";
	ingot_batch b = empty_batch(1);
	ingot_operand o[3] = {floats(1, 8, 1), floats(1, 8, 1), operand(guarded(64), INGOT_PACK_BF16, 1, 8, 0)};
	ingot_instr in[2] = {instr(INGOT_OP_ADD), instr(INGOT_OPS)};
	in[0].out[0] = 0, in[0].in[0] = 1, in[0].in[1] = 1;
	ingot_run_args a = {.lib = lib1, .instrs = in, .operands = o, .batch = &b, .instrs_n = 2, .table = 0};
	if (ingot_run(&a) != INGOT_ERR_OP || a.failed != 1) fail("unknown op: failed %d", a.failed);
	for (uint32_t op = 0; op < INGOT_OPS; op++) { /* nothing but absent operands */
		in[0] = instr(op);
		if (ingot_run(&a) != INGOT_ERR_OP || a.failed != 0) fail("op %u without operands", op);
	}
	in[0] = instr(INGOT_OP_LINEAR), in[0].out[0] = 0, in[0].in[0] = 2, in[0].in[1] = 1;
	o[1].dtype = 5; /* a type that does not exist */
	if (ingot_run(&a) != INGOT_ERR_OP || a.failed != 0) fail("unknown type");
	a.table = 77;
	if (ingot_run(&a) != INGOT_ERR_TABLE) fail("unknown table");
	ingot_open_args open = {.abi = INGOT_ABI + 1};
	if (ingot_open(&open) != INGOT_ERR_ABI) fail("ABI");
	free_all();
}

int main(void) {
	ingot_open_args one = {.abi = INGOT_ABI, .threads = 1}, two = {.abi = INGOT_ABI, .threads = 2, .nice = 1};
	if (ingot_open(&one) || ingot_open(&two)) return 2;
	lib1 = one.lib, lib2 = two.lib, tables = one.tables;
	printf("tables:");
	for (int t = 0; t < INGOT_TABLES; t++) printf(tables >> t & 1 ? " %s" : " (no %s)", table_name[t]);
	printf("\n");
	test_refusals();
	test_math();
	test_logits();
	test_simple();
	test_rope();
	test_rows();
	test_experts();
	test_attention();
	test_products();
	ingot_close(lib1), ingot_close(lib2);
	printf(failures ? "%d failures\n" : "ok\n", failures);
	return failures != 0;
}
