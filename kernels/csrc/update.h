/* The optimizer's passes of one instruction set. */
#ifndef INGOT_UPDATE_H
#define INGOT_UPDATE_H
#include "blocks.h"
#include "ingot.h"
#include "internal.h"

void NAME(adamw)(const ingot_adamw_args *a, int64_t from, int64_t to);
double NAME(sum_squares)(const float *x, int64_t n);
#endif
