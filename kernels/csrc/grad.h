/* What a product of gradients is asked for, by linear_grad.c of gemm.c. */
#ifndef INGOT_GRAD_H
#define INGOT_GRAD_H
#include "internal.h"

/* B of a product: rows of a weight (F32, or any type that unpacks to bf16), or of
 * activations packed for LINEAR. */
typedef struct {
	const uint8_t *data;
	int64_t stride, rows, cols;
	uint32_t type;
	const int32_t *list; /* row k is row list[k] / div; NULL: k */
	int32_t div;
} gemm_rows_of;

/* C[m, n] = from[m, n] + sum over k of A[m, k] B[k, n], for m0 <= m < m1, n0 <= n < n1. */
typedef struct gemm {
	const uint8_t *a;
	int64_t a_stride; /* bytes; rows are padded with zeros to whole steps */
	gemm_rows_of b;
	int64_t m0, m1, n0, n1, k;
	float *c;
	int64_t c_stride; /* floats */
	const float *from; /* as c; NULL: zeros */
	int64_t from_stride;
} gemm;

typedef void (*gemm_fn)(const gemm *, void *scratch);

/* Bytes from one row of n packed elements to the next: whole steps of pairs, and not a
 * multiple of what would put the rows that a product reads together in a few sets of the
 * first cache. */
static inline int64_t packed_stride(int64_t n, int64_t bytes) {
	int64_t stride = ceil_div(n, 32) * 32 * bytes;
	return stride % 512 ? stride : stride + 64;
}
#endif
