/* The operations' functions of one instruction set, collected by table.c. */
#ifndef INGOT_ELEMENTWISE_H
#define INGOT_ELEMENTWISE_H
#include "internal.h"

extern const op NAME(op_embed), NAME(op_rows), NAME(op_rmsnorm), NAME(op_layernorm), NAME(op_rope_table),
	NAME(op_rope), NAME(op_store_kv), NAME(op_attention), NAME(op_add), NAME(op_scale), NAME(op_softcap),
	NAME(op_act), NAME(op_glu), NAME(op_route), NAME(op_combine), NAME(op_pool);
#endif
