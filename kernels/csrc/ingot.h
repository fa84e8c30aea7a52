/* The boundary between Go and the native kernels: plain structs, mirrored field by
 * field in ../instr.go (a Go test compares every size and offset). Go fills them in
 * native memory and hands over one pointer; nothing here is ever freed or kept by C
 * beyond the call, except what ingot_open made. */
#ifndef INGOT_H
#define INGOT_H
#include <stddef.h>
#include <stdint.h>

#define INGOT_ABI 4
#define INGOT_BLOCK_TOKENS 16 /* keys of one KV block; also the f32 lanes of AVX-512 */

/* Storage types: ggml's numbers for weights (quant/dtype.go), and packed activations. */
enum {
	INGOT_F32 = 0, INGOT_F16 = 1, INGOT_Q4_0 = 2, INGOT_Q4_1 = 3, INGOT_Q5_0 = 6,
	INGOT_Q5_1 = 7, INGOT_Q8_0 = 8, INGOT_Q2_K = 10, INGOT_Q3_K = 11, INGOT_Q4_K = 12,
	INGOT_Q5_K = 13, INGOT_Q6_K = 14, INGOT_IQ2_XXS = 16, INGOT_IQ2_XS = 17,
	INGOT_IQ3_XXS = 18, INGOT_IQ1_S = 19, INGOT_IQ4_NL = 20, INGOT_IQ3_S = 21,
	INGOT_IQ2_S = 22, INGOT_IQ4_XS = 23, INGOT_I32 = 26, INGOT_IQ1_M = 29,
	INGOT_BF16 = 30, INGOT_TQ1_0 = 34, INGOT_TQ2_0 = 35, INGOT_MXFP4 = 39,
	INGOT_PACK_BF16 = 1000, /* activations rounded to bf16, layout private to a table */
	INGOT_PACK_INT8 = 1001, /* activations in int8 per 32, layout private to a table */
	INGOT_PACK_ROWS = 1002, /* gradients in rows, rounded to bf16 */
	INGOT_PACK_COLS = 1003, /* gradients in columns, rounded to bf16 */
	INGOT_PACK_COLS_F32 = 1004, /* gradients in columns */
	INGOT_INTERLEAVED = 1 << 16 /* added to a weight's type: as ingot_repack lays it */
};

#define INGOT_WINDOW_ROWS 512 /* of a loss's logits that lie in memory at a time */

/* What an operand's row count is proportional to. With w + 1 in the bits from 8 on it is
 * window w of the units: n from row w * n, as far as they go, where n is INGOT_WINDOW_ROWS,
 * half of that with INGOT_HALF_WINDOW. */
enum { INGOT_FIXED = 0, INGOT_PER_TOKEN = 1, INGOT_PER_LOGIT = 2, INGOT_PER_SEQ = 3, INGOT_HALF_WINDOW = 128 };

enum {
	INGOT_OP_EMBED = 0, INGOT_OP_ROWS, INGOT_OP_RMSNORM, INGOT_OP_LAYERNORM,
	INGOT_OP_PACK, INGOT_OP_LINEAR, INGOT_OP_ROPE_TABLE, INGOT_OP_ROPE,
	INGOT_OP_STORE_KV, INGOT_OP_ATTENTION, INGOT_OP_ADD, INGOT_OP_SCALE,
	INGOT_OP_SOFTCAP, INGOT_OP_ACT, INGOT_OP_GLU, INGOT_OP_ROUTE,
	INGOT_OP_EXPERT_LINEAR, INGOT_OP_COMBINE, INGOT_OP_POOL,
	INGOT_OP_PACK_GRAD, INGOT_OP_LINEAR_DX, INGOT_OP_LINEAR_DW, INGOT_OP_COLUMN_SUMS,
	INGOT_OP_RMSNORM_DX, INGOT_OP_NORM_DW, INGOT_OP_LAYERNORM_DX, INGOT_OP_ROPE_DX,
	INGOT_OP_ATTENTION_DX, INGOT_OP_SINKS_DW, INGOT_OP_ACT_DX, INGOT_OP_GLU_DX,
	INGOT_OP_SOFTCAP_DX, INGOT_OP_CONCAT, INGOT_OP_ROWS_DX, INGOT_OP_EMBED_DW,
	INGOT_OP_CROSS_ENTROPY, INGOT_OP_ROUTE_DX, INGOT_OP_EXPERT_DX, INGOT_OP_EXPERT_DW,
	INGOT_OP_COMBINE_DX, INGOT_OP_POOL_DX, INGOT_OP_SLOT_SUMS, INGOT_OP_ROUND,
	INGOT_OP_ADAPTERS, INGOT_OP_ADAPT, INGOT_OP_SQUARE_SUMS, INGOT_OP_ADAPTED_NORMS,
	INGOT_OP_MAGNITUDE, INGOT_OP_MAGNITUDE_DW, INGOT_OPS
};

/* An array: weights (FIXED rows), activations (rows = unit count x rows), caches. */
typedef struct {
	void *data;
	uint32_t dtype;
	uint32_t per;   /* INGOT_FIXED ... INGOT_PER_SEQ */
	int64_t rows;   /* rows for FIXED, rows per unit otherwise */
	int64_t cols;   /* elements of a row */
	int64_t stride; /* bytes from one row to the next */
} ingot_operand;

/* One operation of a program. Absent operands are -1. The meaning of i and f is in
 * the Go file of the operation (kernels/<op>.go), which is its specification. */
typedef struct {
	uint32_t op;
	uint32_t pad;
	int32_t out[2];
	int32_t in[6];
	int32_t i[8];
	float f[4];
} ingot_instr;

/* One step's input: T tokens of S sequences, whose rows lie one after another. */
typedef struct {
	int32_t tokens_n;      /* T */
	int32_t logits_n;      /* R */
	int32_t seqs_n;        /* S */
	int32_t pad;
	const int32_t *tokens;      /* [T] token ids */
	const int32_t *positions;   /* [T] position of each row in its sequence */
	const int32_t *slots;       /* [T] block * 16 + offset where its K and V go */
	const int32_t *row_start;   /* [S+1] first row of each sequence */
	const int32_t *seq_len;     /* [S] keys of the sequence: last position + 1 */
	const int32_t *table_start; /* [S+1] first entry of each sequence in tables */
	const int32_t *tables;      /* block ids in order of position */
	const int32_t *logit_rows;  /* [R] rows whose logits are wanted */
	const int32_t *targets;     /* [R] the token that follows each, of programs with a loss */
	const int32_t *adapters;    /* [S] the adapter of each sequence from 1, 0 for none */
} ingot_batch;

/* One call: run count instructions over the batch. */
typedef struct {
	void *lib;                    /* from ingot_open */
	const ingot_instr *instrs;
	const ingot_operand *operands;
	const ingot_batch *batch;
	int32_t instrs_n;
	int32_t table;                /* INGOT_TABLE_* */
	int32_t failed;               /* out: index of the instruction that failed, or -1 */
	int32_t pad;
	uint64_t *nanos;              /* out, may be NULL: [instrs_n] time of each instruction, added */
} ingot_run_args;

enum {
	INGOT_TABLE_GENERIC = 0, INGOT_TABLE_AVX2, INGOT_TABLE_AVX512,
	INGOT_TABLE_AVX512_BF16, /* AVX-512 with VNNI and BF16 */
	INGOT_TABLE_AMX, INGOT_TABLES
};

typedef struct {
	void *lib;          /* out: handle for the other calls */
	int32_t abi;        /* in: INGOT_ABI of the caller; refused if it differs */
	int32_t threads;    /* in: worker threads including the caller */
	int32_t nice;       /* in: added to the niceness of the workers (0 = none) */
	uint32_t tables;    /* out: bit t set = this machine can run table t */
	uint64_t features;  /* out: bits below */
} ingot_open_args;

enum {
	INGOT_FEATURE_AVX2 = 1, INGOT_FEATURE_FMA = 2, INGOT_FEATURE_F16C = 4,
	INGOT_FEATURE_AVX512 = 8 /* F, BW, VL, DQ */, INGOT_FEATURE_VNNI = 16,
	INGOT_FEATURE_BF16 = 32, INGOT_FEATURE_AMX_TILE = 64, INGOT_FEATURE_AMX_BF16 = 128,
	INGOT_FEATURE_AMX_INT8 = 256, INGOT_FEATURE_AVX_VNNI = 512, INGOT_FEATURE_AVX512_FP16 = 1024
};

/* Bytes that a table needs for packed activations: asked when a plan is laid out. */
typedef struct {
	int64_t rows, cols;
	uint32_t dtype; /* INGOT_PACK_* */
	int32_t table;
	int64_t bytes;  /* out */
} ingot_pack_size_args;

/* Limits of the machine, measured by small loops (for doctor and bench). */
typedef struct {
	void *lib;
	void *buffer;        /* in: memory to read, at least 64 MiB */
	int64_t bytes;
	int32_t threads;     /* in: 1 .. threads of ingot_open */
	int32_t millis;      /* in: time for each figure */
	int32_t only_read;   /* in: leave the peaks out */
	int32_t pad;
	double read_bytes_s; /* out: bytes/s read by all threads together */
	double f32_flops;    /* out: f32 FMA peak, 0 where the machine lacks the instruction */
	double bf16_flops;   /* out: vdpbf16ps */
	double int8_ops;     /* out: vpdpbusd */
	double amx_bf16_flops;
	double amx_int8_ops;
} ingot_limits_args;

/* Copies a weight's rows, where interleaved is set into the form of interleave.c. */
typedef struct {
	void *lib;
	const uint8_t *from;
	uint8_t *to; /* as many bytes */
	int64_t rows, stride;
	uint32_t dtype;
	int32_t interleaved;
} ingot_repack_args;

/* One step of AdamW over n elements (kernels/update.go has the formula). */
typedef struct {
	void *lib;
	float *master, *m, *v, *grad;
	uint16_t *rounded; /* bf16 copy of master, or NULL */
	int64_t n;
	int32_t table, pad;
	float lr, beta1, beta2, eps, decay;
	float scale;              /* of the gradient */
	float correct1, correct2; /* 1 / (1 - beta^t) */
} ingot_adamw_args;

/* The sum of the squares of n elements. */
typedef struct {
	void *lib;
	const float *x;
	int64_t n;
	int32_t table, pad;
	double sum; /* out */
} ingot_squares_args;

#define INGOT_STRIP 128

/* A row of logits, in strips of 128 (the last one may be shorter): strips.go has the formulas. */
typedef struct {
	const float *x; /* [n] */
	float *high;    /* out: [ceil(n/128)] the largest of each strip */
	float *sums;    /* out: [ceil(n/128)] the sum of each strip's weights, unless scale is 0 */
	int64_t n;
	double total;   /* out: the sum of sums */
	double moment;  /* out: if moments is set, the sum of weight times logarithm */
	float scale;    /* in: a weight is 2^((x - top) * scale) */
	float top;      /* out: the largest of all */
	int32_t moments;
	int32_t bad;    /* out: an x is NaN or +infinity; then there are no weights */
} ingot_row;

/* Reads rows, one a task. */
typedef struct {
	void *lib;
	ingot_row *rows;
	int64_t n;
	int32_t table; /* INGOT_TABLE_* */
	int32_t pad;
} ingot_read_rows_args;

/* Every function takes one pointer to its struct and returns 0 or a negative error. */
#define INGOT_ERR_ABI (-1)
#define INGOT_ERR_MEMORY (-2)
#define INGOT_ERR_OP (-3)    /* unknown op, type or shape: see failed */
#define INGOT_ERR_TABLE (-4) /* this machine cannot run the table */
int32_t ingot_open(ingot_open_args *a);
int32_t ingot_close(void *lib);
int32_t ingot_run(ingot_run_args *a);
int32_t ingot_pack_size(ingot_pack_size_args *a);
int32_t ingot_repack(ingot_repack_args *a);
int32_t ingot_read_rows(ingot_read_rows_args *a);
int32_t ingot_limits(ingot_limits_args *a);
int32_t ingot_adamw(ingot_adamw_args *a);
int32_t ingot_squares(ingot_squares_args *a);
#endif
