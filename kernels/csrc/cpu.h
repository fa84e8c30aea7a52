/* What the processor offers, asked once. */
#ifndef INGOT_CPU_H
#define INGOT_CPU_H
#include "ingot.h"

uint64_t ingot_cpu_features(void);         /* INGOT_FEATURE_* bits; asks for AMX permission */
uint32_t ingot_cpu_tables(uint64_t features); /* bit t set: table t can run */
#endif
