/* The product operations, the same for every table. */
#ifndef INGOT_LINEAR_H
#define INGOT_LINEAR_H
#include "internal.h"
extern const op ingot_op_linear, ingot_op_expert_linear, ingot_op_linear_dx, ingot_op_linear_dw, ingot_op_expert_dx, ingot_op_expert_dw;
#endif
