/* Times LINEAR as a plan runs it, and compares it with the limits of the machine:
 *   [TABLE=amx] [TYPE=Q4_0] [FORM=0..2] bench_linear [outs cols threads]     default 2048 8192 2
 * Weights rotate through at least 256 MiB, so that a decode step reads memory, not the
 * last cache. mem = share of the measured read bandwidth, ops = share of the peak of
 * the instruction that the table uses. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include "blocks.h"

#define POOL ((int64_t)512 << 20)

static uint8_t *memory;

/* One thread is timed by its own clock, which other programs do not advance. */
static clockid_t clock_id = CLOCK_MONOTONIC;

static double now(void) {
	struct timespec t;
	clock_gettime(clock_id, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void *reserve(int64_t bytes) {
	void *p = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED) exit(1);
	madvise(p, (size_t)bytes, MADV_HUGEPAGE);
	return p;
}

/* Seconds of one product of n rows, packing included: the best of many, as other
 * programs may be using the machine. */
static double time_linear(void *lib, int table, uint32_t type, uint32_t mode, int64_t n, int64_t outs, int64_t cols) {
	const block_type *t = ingot_block_type(type & ~(uint32_t)INGOT_INTERLEAVED);
	int64_t stride = cols / t->elems * t->bytes, bytes = outs * stride, copies = POOL / bytes;
	ingot_pack_size_args s = {n, cols, mode, table, 0};
	ingot_pack_size(&s);
	float *x = reserve(n * cols * 4), *y = reserve(n * outs * 4);
	void *packed = reserve(s.bytes);
	for (int64_t i = 0; i < n * cols; i++) x[i] = (float)(i % 17) * 0.1f - 0.8f;
	ingot_operand o[4] = {
		{x, INGOT_F32, INGOT_FIXED, n, cols, cols * 4}, {packed, mode, INGOT_FIXED, n, cols, 0},
		{memory, type, INGOT_FIXED, outs, cols, stride}, {y, INGOT_F32, INGOT_FIXED, n, outs, outs * 4}};
	ingot_instr in[2] = {{.op = INGOT_OP_PACK, .out = {1, -1}, .in = {0, -1, -1, -1, -1, -1}},
		{.op = INGOT_OP_LINEAR, .out = {3, -1}, .in = {1, 2, -1, -1, -1, -1}}};
	ingot_batch b = {.tokens_n = 1, .seqs_n = 1};
	ingot_run_args a = {.lib = lib, .instrs = in, .operands = o, .batch = &b, .instrs_n = 2, .table = table};
	double end = now() + 0.12, best = 1e9;
	for (int64_t rounds = 0; now() < end || rounds < 3; rounds++) {
		o[2].data = memory + rounds % copies * bytes;
		double start = now();
		if (ingot_run(&a)) exit(1);
		best = fmin(best, now() - start);
	}
	munmap(x, (size_t)(n * cols * 4)), munmap(y, (size_t)(n * outs * 4)), munmap(packed, (size_t)s.bytes);
	return best;
}

/* The best of many short measurements. */
static void measure_limits(ingot_limits_args *l) {
	ingot_limits_args m = *l;
	for (int i = 0; i < 15; i++) {
		if (ingot_limits(&m)) exit(1);
		l->read_bytes_s = fmax(l->read_bytes_s, m.read_bytes_s);
		l->f32_flops = fmax(l->f32_flops, m.f32_flops);
		l->bf16_flops = fmax(l->bf16_flops, m.bf16_flops);
		l->int8_ops = fmax(l->int8_ops, m.int8_ops);
		l->amx_bf16_flops = fmax(l->amx_bf16_flops, m.amx_bf16_flops);
		l->amx_int8_ops = fmax(l->amx_int8_ops, m.amx_int8_ops);
	}
}

static const char *name_of(uint32_t type) {
	switch (type) {
	case INGOT_BF16: return "BF16";
	case INGOT_F16: return "F16";
	case INGOT_Q4_0: return "Q4_0";
	case INGOT_Q8_0: return "Q8_0";
	case INGOT_Q4_K: return "Q4_K";
	case INGOT_Q5_K: return "Q5_K";
	case INGOT_Q6_K: return "Q6_K";
	case INGOT_MXFP4: return "MXFP4";
	}
	return "Q3_K";
}

int main(int argc, char **argv) {
	int64_t outs = argc > 1 ? atoi(argv[1]) : 2048, cols = argc > 2 ? atoi(argv[2]) : 8192;
	int threads = argc > 3 ? atoi(argv[3]) : 2;
	if (threads == 1) clock_id = CLOCK_THREAD_CPUTIME_ID;
	ingot_open_args open = {.abi = INGOT_ABI, .threads = threads};
	if (ingot_open(&open)) return 1;
	memory = reserve(POOL);
	for (int64_t i = 0; i < POOL / 4; i++) ((uint32_t *)(void *)memory)[i] = (uint32_t)i * 2654435761u % 0x1c00u * 0x10001u + 0x20002000u; /* any two bytes a normal f16 */
	ingot_limits_args l = {.lib = open.lib, .buffer = memory, .bytes = POOL, .threads = threads, .millis = 10};
	measure_limits(&l);
	printf("read %.1f GB/s, f32 %.0f, bf16 %.0f, int8 %.0f, AMX bf16 %.0f, AMX int8 %.0f G/s\n", l.read_bytes_s * 1e-9,
		l.f32_flops * 1e-9, l.bf16_flops * 1e-9, l.int8_ops * 1e-9, l.amx_bf16_flops * 1e-9, l.amx_int8_ops * 1e-9);
	static const char *table[] = {"generic", "avx2", "avx512", "avx512_bf16", "amx"};
	static const uint32_t types[] = {INGOT_Q4_0, INGOT_Q8_0, INGOT_Q4_K, INGOT_Q5_K, INGOT_Q6_K, INGOT_Q3_K, INGOT_MXFP4, INGOT_F16, INGOT_BF16};
	const char *only = getenv("TABLE"), *type = getenv("TYPE"), *want = getenv("FORM");
	for (int t = INGOT_TABLE_AVX2; t < INGOT_TABLES; t++)
		for (size_t i = 0; i < sizeof types / sizeof *types; i++)
			for (int form = 0; form < 3; form++) { /* bf16, int8, int8 with interleaved weights */
				uint32_t mode = form ? INGOT_PACK_INT8 : INGOT_PACK_BF16, flag = form == 2 ? INGOT_INTERLEAVED : 0;
				const block_type *b = ingot_block_type(types[i]);
				if (!(open.tables >> t & 1) || (form && !b->group)) continue;
				if ((only && strcmp(only, table[t])) || (type && strcmp(type, name_of(types[i]))) || (want && atoi(want) != form)) continue;
				double bytes = (double)outs * (double)cols / b->elems * b->bytes, ops = 2.0 * (double)outs * (double)cols;
				double peak = mode == INGOT_PACK_INT8 ? l.int8_ops : t == INGOT_TABLE_AMX ? l.amx_bf16_flops : t == INGOT_TABLE_AVX512_BF16 ? l.bf16_flops : l.f32_flops;
				printf("%-11s %-5s %-16s", table[t], name_of(types[i]), form == 2 ? "int8 interleaved" : form ? "int8" : "bf16");
				for (int at = 0; at < 6; at++) {
					static const int64_t rows[] = {1, 4, 8, 16, 32, 512};
					int64_t n = rows[at];
					double s = time_linear(open.lib, t, types[i] | flag, mode, n, outs, cols);
					if (n <= 4)
						printf(" | %d: %4.1f GB/s %3.0f%%", (int)n, bytes / s * 1e-9, 100 * bytes / s / l.read_bytes_s);
					else
						printf(" | %d: %3.0f%%", (int)n, 100 * ops * (double)n / s / peak);
				}
				printf("\n");
			}
	ingot_close(open.lib);
	return 0;
}
