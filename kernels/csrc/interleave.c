/* The interleaved form of weights. A block is a run of units: numbers of 1, 2 or 4 bytes.
 * Of 16 rows, unit after unit of the first block lies side by side, row by row; then
 * those of the second block. So unit i of row r, at byte b of the 16 rows' columns, is at
 * 16*b + size*r, the bytes of a group of 16 rows stay where they are, and what a step
 * reads is one run in order, which memory delivers fastest. Rows beyond the last whole
 * group of 16 stay as they lie. */
#include "interleave.h"
#include "blocks.h"

/* The units of a block: first of lead (2-byte or 1-byte numbers), then dwords, then
 * 2-byte numbers. */
typedef struct {
	uint8_t lead_bytes, lead_unit;
	uint16_t dwords;
	uint8_t tail_bytes;
} units_of;

static const units_of forms[INGOT_MXFP4 + 1] = {
	[INGOT_Q4_0] = {2, 2, 4, 0}, [INGOT_Q4_1] = {4, 2, 4, 0}, [INGOT_Q5_0] = {2, 2, 5, 0}, [INGOT_Q5_1] = {4, 2, 5, 0},
	[INGOT_Q8_0] = {2, 2, 8, 0}, [INGOT_IQ4_NL] = {2, 2, 4, 0}, [INGOT_MXFP4] = {1, 1, 4, 0}, [INGOT_Q2_K] = {0, 1, 20, 4},
	[INGOT_Q3_K] = {0, 1, 27, 2}, [INGOT_Q4_K] = {0, 1, 36, 0}, [INGOT_Q5_K] = {0, 1, 44, 0}, [INGOT_Q6_K] = {0, 1, 52, 2},
	[INGOT_IQ4_XS] = {0, 1, 34, 0},
};

int ingot_interleaves(uint32_t type) { return type <= INGOT_MXFP4 && forms[type].dwords; }

/* Moves bytes of one row's units between the row and its places among 16. */
static inline void move(uint8_t *row, uint8_t *group, int bytes, int unit, int to_group) {
	for (int i = 0; i < bytes; i += unit)
		if (to_group)
			memcpy(group + 16 * i, row + i, (size_t)unit);
		else
			memcpy(row + i, group + 16 * i, (size_t)unit);
}

static inline void move_row(uint32_t type, uint8_t *row, uint8_t *group, int r, int64_t stride, int to_group) {
	units_of f = forms[type];
	int bytes = f.lead_bytes + 4 * f.dwords + f.tail_bytes, at = f.lead_bytes, tail = at + 4 * f.dwords;
	for (int64_t b = 0; b < stride; b += bytes) {
		uint8_t *from = row + b, *to = group + 16 * b;
		move(from, to + f.lead_unit * r, f.lead_bytes, f.lead_unit, to_group);
		move(from + at, to + 16 * at + 4 * r, 4 * f.dwords, 4, to_group);
		move(from + tail, to + 16 * tail + 2 * r, f.tail_bytes, 2, to_group);
	}
}

void ingot_interleave_rows(uint32_t type, const uint8_t *from, uint8_t *to, int64_t n, int64_t lo, int64_t hi, int64_t stride) {
	int64_t whole = n / 16 * 16;
	for (int64_t r = lo; r < hi; r++)
		if (r < whole)
			move_row(type, (uint8_t *)(uintptr_t)from + r * stride, to + r / 16 * 16 * stride, (int)(r % 16), stride, 1);
		else
			memcpy(to + r * stride, from + r * stride, (size_t)stride);
}

void ingot_interleaved_row(uint32_t type, const uint8_t *w, int64_t n, int64_t r, int64_t stride, uint8_t *row) {
	if (r < n / 16 * 16)
		move_row(type, row, (uint8_t *)(uintptr_t)w + r / 16 * 16 * stride, (int)(r % 16), stride, 0);
	else
		memcpy(row, w + r * stride, (size_t)stride);
}
