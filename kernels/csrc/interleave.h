/* Interleaved weights: how a copy of block-quantized rows lies that the int8 products
 * read in one run. */
#ifndef INGOT_INTERLEAVE_H
#define INGOT_INTERLEAVE_H
#include "internal.h"

/* Whether the type has an interleaved form. */
int ingot_interleaves(uint32_t type);

/* Copies rows lo ... hi-1 to their places in the interleaved copy at to; lo is a multiple
 * of 16, and so is hi but at the end of the weight, whose last rows are copied as they lie. */
void ingot_interleave_rows(uint32_t type, const uint8_t *from, uint8_t *to, int64_t lo, int64_t hi, int64_t stride);

/* Gathers row r of the n rows of an interleaved weight: stride bytes. */
void ingot_interleaved_row(uint32_t type, const uint8_t *w, int64_t n, int64_t r, int64_t stride, uint8_t *row);
#endif
