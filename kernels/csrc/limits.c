/* Limits of the machine, each measured on all asked threads together for the asked
 * time: memory read once through, and the peak loops of limits_loops.c. */
#include <stdatomic.h>
#include <time.h>
#include "library.h"
#include "limits.h"

typedef struct {
	limit_fn peak;       /* or NULL: read memory */
	const uint8_t *buffer;
	int64_t bytes;
	int threads;
	uint64_t until;
	_Atomic double *total;
} measure;

static uint64_t now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

#define PIECE (1 << 20)

static double read_piece(const uint8_t *p, volatile float *sink) {
	uint64_t lane[8] = {0}, v[8];
	for (int64_t i = 0; i + 64 <= PIECE; i += 64) {
		memcpy(v, p + i, 64);
		for (int l = 0; l < 8; l++) lane[l] ^= v[l];
	}
	for (int l = 0; l < 8; l++) *sink = (float)lane[l];
	return PIECE;
}

/* Thread number task reads its own share of the buffer round and round, or loops. */
static void run(const void *arg, int64_t task, void *scratch) {
	const measure *m = arg;
	volatile float *sink = scratch;
	int64_t pieces = m->bytes / m->threads / PIECE;
	double done = 0;
	for (int64_t i = 0; now() < m->until; i++)
		done += m->peak ? m->peak(20000, sink) : read_piece(m->buffer + (task * pieces + i % pieces) * PIECE, sink);
	*m->total += done;
}

static double rate(const ingot_limits_args *a, limit_fn peak) {
	_Atomic double total = 0;
	library *l = a->lib;
	uint64_t start = now();
	measure m = {peak, a->buffer, a->bytes, a->threads, start + (uint64_t)a->millis * 1000000u, &total};
	workers_run(l->workers, run, &m, a->threads, a->threads);
	return total / ((double)(now() - start) * 1e-9);
}

__attribute__((visibility("default"))) int32_t ingot_limits(ingot_limits_args *a) {
	library *l = a->lib;
	if (a->threads < 1 || a->threads > workers_threads(l->workers) || a->millis < 1) return INGOT_ERR_OP;
	if (!a->buffer || a->bytes < (int64_t)a->threads * PIECE) return INGOT_ERR_OP;
	a->read_bytes_s = rate(a, NULL);
	if (a->only_read) return 0;
	a->f32_flops = a->bf16_flops = a->int8_ops = a->amx_bf16_flops = a->amx_int8_ops = 0;
#if defined(__x86_64__)
	if (l->tables >> INGOT_TABLE_AVX512 & 1)
		a->f32_flops = rate(a, limit_f32_avx512);
	else if (l->tables >> INGOT_TABLE_AVX2 & 1)
		a->f32_flops = rate(a, limit_f32_avx2);
	if (l->tables >> INGOT_TABLE_AVX512_BF16 & 1) {
		a->bf16_flops = rate(a, limit_bf16_avx512_bf16);
		a->int8_ops = rate(a, limit_int8_avx512_bf16);
	}
#if !defined(AMX_EMULATE)
	if (l->features & INGOT_FEATURE_AMX_BF16) a->amx_bf16_flops = rate(a, limit_bf16_amx);
	if (l->features & INGOT_FEATURE_AMX_INT8) a->amx_int8_ops = rate(a, limit_int8_amx);
#endif
#endif
	return 0;
}
