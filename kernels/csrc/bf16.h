/* Rows of weights as bf16. */
#ifndef INGOT_BF16_H
#define INGOT_BF16_H
#include "internal.h"

/* Decodes n elements of a row from element k0 to bf16, rounded once; k0 is a multiple
 * of 256. Each 32 elements go to out, out + step, out + 2 step, ...; a last group that
 * is not whole is filled up with zeros. */
void NAME(unpack_bf16)(uint32_t type, const uint8_t *row, int64_t k0, int64_t n, uint16_t *restrict out, int64_t step);
#endif
