/* Interleaved weights: how a copy of block-quantized rows lies that the int8 products
 * read in one run. */
#ifndef INGOT_INTERLEAVE_H
#define INGOT_INTERLEAVE_H
#include "internal.h"

/* Whether the type has an interleaved form. */
int ingot_interleaves(uint32_t type);

/* Copies the rows lo ... hi-1 of n, a whole number of groups of 16, to their places in
 * the interleaved copy at to. Rows beyond the last whole group are copied as they lie. */
void ingot_interleave_rows(uint32_t type, const uint8_t *from, uint8_t *to, int64_t n, int64_t lo, int64_t hi, int64_t stride);

/* Gathers row r of the n rows of an interleaved weight: stride bytes. */
void ingot_interleaved_row(uint32_t type, const uint8_t *w, int64_t n, int64_t r, int64_t stride, uint8_t *row);
#endif
