/* Which function serves which operation in which table. */
#include "tables.h"
#include "linear.h"

#define ELEMENTWISE(isa) \
	extern const op op_embed_##isa, op_rows_##isa, op_rmsnorm_##isa, op_layernorm_##isa, op_rope_table_##isa, op_rope_##isa, \
		op_store_kv_##isa, op_add_##isa, op_scale_##isa, op_softcap_##isa, op_act_##isa, op_glu_##isa, \
		op_route_##isa, op_combine_##isa, op_pool_##isa;
#define ATTENTION(isa) extern const op op_attention_##isa;
#define PACK(isa) extern const op op_pack_##isa; \
	int64_t pack_bf16_bytes_##isa(int64_t rows, int64_t cols), pack_int8_bytes_##isa(int64_t rows, int64_t cols);
#define PRODUCT(mode, isa) void product_##mode##_##isa(const product *p, void *scratch);

/* One table: elementwise operations and f32 products of one instruction set, packing
 * and bf16 products of another, int8 products of a third, attention of a fourth. */
#define TABLE(isa, bf16_isa, int8_isa, attention_isa, outs) { \
	.ops = {[INGOT_OP_EMBED] = &op_embed_##isa, [INGOT_OP_ROWS] = &op_rows_##isa, [INGOT_OP_RMSNORM] = &op_rmsnorm_##isa, \
		[INGOT_OP_LAYERNORM] = &op_layernorm_##isa, [INGOT_OP_PACK] = &op_pack_##bf16_isa, [INGOT_OP_LINEAR] = &ingot_op_linear, \
		[INGOT_OP_ROPE_TABLE] = &op_rope_table_##isa, [INGOT_OP_ROPE] = &op_rope_##isa, [INGOT_OP_STORE_KV] = &op_store_kv_##isa, \
		[INGOT_OP_ATTENTION] = &op_attention_##attention_isa, [INGOT_OP_ADD] = &op_add_##isa, [INGOT_OP_SCALE] = &op_scale_##isa, \
		[INGOT_OP_SOFTCAP] = &op_softcap_##isa, [INGOT_OP_ACT] = &op_act_##isa, [INGOT_OP_GLU] = &op_glu_##isa, \
		[INGOT_OP_ROUTE] = &op_route_##isa, [INGOT_OP_EXPERT_LINEAR] = &ingot_op_expert_linear, \
		[INGOT_OP_COMBINE] = &op_combine_##isa, [INGOT_OP_POOL] = &op_pool_##isa}, \
	.f32 = product_f32_##isa, .bf16 = product_bf16_##bf16_isa, .int8 = product_int8_##int8_isa, \
	.group = outs, .pack_bf16_bytes = pack_bf16_bytes_##bf16_isa, .pack_int8_bytes = pack_int8_bytes_##bf16_isa}

ELEMENTWISE(generic) ATTENTION(generic) PACK(generic) PRODUCT(f32, generic) PRODUCT(bf16, generic) PRODUCT(int8, generic)
static const table generic = TABLE(generic, generic, generic, generic, 16);

#if defined(__x86_64__)
ELEMENTWISE(avx2) ATTENTION(avx2) PACK(avx2) PRODUCT(f32, avx2) PRODUCT(bf16, avx2) PRODUCT(int8, avx2)
static const table avx2 = TABLE(avx2, avx2, avx2, avx2, 16);

ELEMENTWISE(avx512) ATTENTION(avx512) PACK(avx512) PRODUCT(f32, avx512) PRODUCT(bf16, avx512) PRODUCT(int8, avx512)
static const table avx512 = TABLE(avx512, avx512, avx512, avx512, 32);

ATTENTION(avx512_bf16) PACK(avx512_bf16) PRODUCT(bf16, avx512_bf16) PRODUCT(int8, avx512_bf16)
static const table avx512_bf16 = TABLE(avx512, avx512_bf16, avx512_bf16, avx512_bf16, 32);

PACK(amx) PRODUCT(bf16, amx) PRODUCT(int8, amx)
static const table amx = TABLE(avx512, amx, amx, avx512_bf16, 32);

const table *const ingot_tables[INGOT_TABLES] = {&generic, &avx2, &avx512, &avx512_bf16, &amx};
#else
const table *const ingot_tables[INGOT_TABLES] = {&generic};
#endif
