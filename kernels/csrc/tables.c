/* Which function serves which operation in which table. */
#include "tables.h"
#include "linear.h"

#define ELEMENTWISE(isa) \
	extern const op op_embed_##isa, op_rows_##isa, op_rmsnorm_##isa, op_layernorm_##isa, op_rope_table_##isa, op_rope_##isa, \
		op_store_kv_##isa, op_add_##isa, op_scale_##isa, op_softcap_##isa, op_act_##isa, op_glu_##isa, \
		op_route_##isa, op_combine_##isa, op_pool_##isa, op_rmsnorm_dx_##isa, op_norm_dw_##isa, op_layernorm_dx_##isa, \
		op_rope_dx_##isa, op_act_dx_##isa, op_glu_dx_##isa, op_softcap_dx_##isa, op_concat_##isa, op_rows_dx_##isa, \
		op_embed_dw_##isa, op_column_sums_##isa, op_cross_entropy_##isa, op_pool_dx_##isa, op_slot_sums_##isa, \
		op_combine_dx_##isa, op_route_dx_##isa, op_sinks_dw_##isa, op_round_##isa, \
		op_adapters_##isa, op_adapt_##isa, op_square_sums_##isa, op_adapted_norms_##isa, op_magnitude_##isa, op_magnitude_dw_##isa; \
	void read_row_##isa(ingot_row *r, const ingot_row *after); \
	void gemm_f32_##isa(const struct gemm *, void *); \
	void adamw_##isa(const ingot_adamw_args *, int64_t, int64_t); \
	double sum_squares_##isa(const float *, int64_t);
#define GRAD(isa) extern const op op_pack_grad_##isa, op_attention_dx_##isa; \
	int64_t pack_grad_bytes_##isa(int64_t rows, int64_t cols, uint32_t dtype);
#define ATTENTION(isa) extern const op op_attention_##isa;
#define PACK(isa) extern const op op_pack_##isa; \
	int64_t pack_bf16_bytes_##isa(int64_t rows, int64_t cols), pack_int8_bytes_##isa(int64_t rows, int64_t cols);
#define PRODUCT(mode, isa) void product_##mode##_##isa(const product *p, void *scratch);

/* One table: elementwise operations, rows of logits and f32 products of one instruction set, packing
 * and bf16 products of another, int8 products of a third, attention of a fourth. */
#define TABLE(isa, bf16_isa, int8_isa, attention_isa, outs, grad_isa, ...) { \
	.ops = {[INGOT_OP_EMBED] = &op_embed_##isa, [INGOT_OP_ROWS] = &op_rows_##isa, [INGOT_OP_RMSNORM] = &op_rmsnorm_##isa, \
		[INGOT_OP_LAYERNORM] = &op_layernorm_##isa, [INGOT_OP_PACK] = &op_pack_##bf16_isa, [INGOT_OP_LINEAR] = &ingot_op_linear, \
		[INGOT_OP_ROPE_TABLE] = &op_rope_table_##isa, [INGOT_OP_ROPE] = &op_rope_##isa, [INGOT_OP_STORE_KV] = &op_store_kv_##isa, \
		[INGOT_OP_ATTENTION] = &op_attention_##attention_isa, [INGOT_OP_ADD] = &op_add_##isa, [INGOT_OP_SCALE] = &op_scale_##isa, \
		[INGOT_OP_SOFTCAP] = &op_softcap_##isa, [INGOT_OP_ACT] = &op_act_##isa, [INGOT_OP_GLU] = &op_glu_##isa, \
		[INGOT_OP_ROUTE] = &op_route_##isa, [INGOT_OP_EXPERT_LINEAR] = &ingot_op_expert_linear, \
		[INGOT_OP_COMBINE] = &op_combine_##isa, [INGOT_OP_POOL] = &op_pool_##isa, \
		[INGOT_OP_PACK_GRAD] = &op_pack_grad_##grad_isa, [INGOT_OP_LINEAR_DX] = &ingot_op_linear_dx, \
		[INGOT_OP_LINEAR_DW] = &ingot_op_linear_dw, [INGOT_OP_COLUMN_SUMS] = &op_column_sums_##isa, \
		[INGOT_OP_RMSNORM_DX] = &op_rmsnorm_dx_##isa, [INGOT_OP_NORM_DW] = &op_norm_dw_##isa, \
		[INGOT_OP_LAYERNORM_DX] = &op_layernorm_dx_##isa, [INGOT_OP_ROPE_DX] = &op_rope_dx_##isa, \
		[INGOT_OP_ATTENTION_DX] = &op_attention_dx_##grad_isa, [INGOT_OP_SINKS_DW] = &op_sinks_dw_##isa, \
		[INGOT_OP_ACT_DX] = &op_act_dx_##isa, [INGOT_OP_GLU_DX] = &op_glu_dx_##isa, [INGOT_OP_SOFTCAP_DX] = &op_softcap_dx_##isa, \
		[INGOT_OP_CONCAT] = &op_concat_##isa, [INGOT_OP_ROWS_DX] = &op_rows_dx_##isa, [INGOT_OP_EMBED_DW] = &op_embed_dw_##isa, \
		[INGOT_OP_CROSS_ENTROPY] = &op_cross_entropy_##isa, [INGOT_OP_ROUTE_DX] = &op_route_dx_##isa, \
		[INGOT_OP_EXPERT_DX] = &ingot_op_expert_dx, [INGOT_OP_EXPERT_DW] = &ingot_op_expert_dw, \
		[INGOT_OP_COMBINE_DX] = &op_combine_dx_##isa, [INGOT_OP_POOL_DX] = &op_pool_dx_##isa, [INGOT_OP_SLOT_SUMS] = &op_slot_sums_##isa, [INGOT_OP_ROUND] = &op_round_##isa, \
		[INGOT_OP_ADAPTERS] = &op_adapters_##isa, [INGOT_OP_ADAPT] = &op_adapt_##isa, \
		[INGOT_OP_SQUARE_SUMS] = &op_square_sums_##isa, [INGOT_OP_ADAPTED_NORMS] = &op_adapted_norms_##isa, [INGOT_OP_MAGNITUDE] = &op_magnitude_##isa, \
		[INGOT_OP_MAGNITUDE_DW] = &op_magnitude_dw_##isa}, \
	.pack_grad_bytes = pack_grad_bytes_##grad_isa, .gemm_f32 = gemm_f32_##isa, .adamw = adamw_##isa, .sum_squares = sum_squares_##isa, __VA_ARGS__, \
	.f32 = product_f32_##isa, .bf16 = product_bf16_##bf16_isa, .int8 = product_int8_##int8_isa, \
	.read_row = read_row_##isa, .group = outs, .pack_bf16_bytes = pack_bf16_bytes_##bf16_isa, .pack_int8_bytes = pack_int8_bytes_##bf16_isa}

ELEMENTWISE(generic) ATTENTION(generic) GRAD(generic) PACK(generic) PRODUCT(f32, generic) PRODUCT(bf16, generic) PRODUCT(int8, generic)
static const table generic = TABLE(generic, generic, generic, generic, 16, generic, .grad_bytes = 4);

#if defined(__x86_64__)
ELEMENTWISE(avx2) ATTENTION(avx2) GRAD(avx2) PACK(avx2) PRODUCT(f32, avx2) PRODUCT(bf16, avx2) PRODUCT(int8, avx2)
static const table avx2 = TABLE(avx2, avx2, avx2, avx2, 16, avx2, .grad_bytes = 4);

ELEMENTWISE(avx512) ATTENTION(avx512) GRAD(avx512) PACK(avx512) PRODUCT(f32, avx512) PRODUCT(bf16, avx512) PRODUCT(int8, avx512)
static const table avx512 = TABLE(avx512, avx512, avx512, avx512, 32, avx512, .grad_bytes = 4);

void gemm_bf16_avx512_bf16(const struct gemm *, void *), gemm_bf16_amx(const struct gemm *, void *);
ATTENTION(avx512_bf16) GRAD(avx512_bf16) PACK(avx512_bf16) PRODUCT(bf16, avx512_bf16) PRODUCT(int8, avx512_bf16)
static const table avx512_bf16 = TABLE(avx512, avx512_bf16, avx512_bf16, avx512_bf16, 32, avx512_bf16, .grad_bytes = 2, .gemm_bf16 = gemm_bf16_avx512_bf16, .pairs = 1);

PACK(amx) PRODUCT(bf16, amx) PRODUCT(int8, amx)
static const table amx = TABLE(avx512, amx, amx, avx512_bf16, 32, avx512_bf16, .grad_bytes = 2, .gemm_bf16 = gemm_bf16_amx, .tiles = 1);

const table *const ingot_tables[INGOT_TABLES] = {&generic, &avx2, &avx512, &avx512_bf16, &amx};
#else
const table *const ingot_tables[INGOT_TABLES] = {&generic};
#endif
