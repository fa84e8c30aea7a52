/* Loops that a processor cannot run faster: one per instruction set file. Each runs
 * about n rounds and returns the operations done; the sink keeps results alive. */
#ifndef INGOT_LIMITS_H
#define INGOT_LIMITS_H
#include <stdint.h>
typedef double (*limit_fn)(int64_t rounds, volatile float *sink);
double limit_f32_avx2(int64_t, volatile float *), limit_f32_avx512(int64_t, volatile float *);
double limit_bf16_avx512_bf16(int64_t, volatile float *), limit_int8_avx512_bf16(int64_t, volatile float *);
double limit_bf16_amx(int64_t, volatile float *), limit_int8_amx(int64_t, volatile float *);
#endif
