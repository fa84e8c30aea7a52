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

int ingot_interleaves(uint32_t type) { return type == INGOT_BF16 || (type <= INGOT_MXFP4 && forms[type].dwords); }

/* A row of bf16, of an even number of columns, is one block of pairs. */
static units_of form_of(uint32_t type, int64_t stride) {
	return type == INGOT_BF16 ? (units_of){0, 1, (uint16_t)(stride / 4), 0} : forms[type];
}

static int bytes_of(units_of f) { return f.lead_bytes + 4 * f.dwords + f.tail_bytes; }

/* Moves bytes of one row's units between the row and its places among 16. */
static inline void move(uint8_t *row, uint8_t *group, int bytes, int unit, int to_group) {
	for (int i = 0; i < bytes; i += unit)
		if (to_group)
			memcpy(group + 16 * i, row + i, (size_t)unit);
		else
			memcpy(row + i, group + 16 * i, (size_t)unit);
}

typedef uint32_t four __attribute__((vector_size(16)));

static inline four load4(const uint8_t *p) {
	four v;
	memcpy(&v, p, 16);
	return v;
}

/* Four dwords of each of four rows, transposed: 64 bytes from one dword's to the next's. */
static inline void transpose4(const uint8_t *from, int64_t stride, uint8_t *to) {
	four a = load4(from), b = load4(from + stride), c = load4(from + 2 * stride), d = load4(from + 3 * stride);
	four ab0 = __builtin_shuffle(a, b, (four){0, 4, 1, 5}), ab1 = __builtin_shuffle(a, b, (four){2, 6, 3, 7});
	four cd0 = __builtin_shuffle(c, d, (four){0, 4, 1, 5}), cd1 = __builtin_shuffle(c, d, (four){2, 6, 3, 7});
	four out[4] = {__builtin_shuffle(ab0, cd0, (four){0, 1, 4, 5}), __builtin_shuffle(ab0, cd0, (four){2, 3, 6, 7}),
		__builtin_shuffle(ab1, cd1, (four){0, 1, 4, 5}), __builtin_shuffle(ab1, cd1, (four){2, 3, 6, 7})};
	for (int i = 0; i < 4; i++) memcpy(to + 64 * i, &out[i], 16);
}

/* The dwords of a block of 16 rows. */
static inline void dwords16(uint8_t *from, int64_t stride, uint8_t *to, int n) {
	int i = 0;
	for (; i + 4 <= n; i += 4)
		for (int r = 0; r < 16; r += 4) transpose4(from + r * stride + 4 * i, stride, to + 64 * i + 4 * r);
	for (int r = 0; r < 16; r++) move(from + r * stride + 4 * i, to + 64 * i + 4 * r, 4 * (n - i), 4, 1);
}

/* 16 rows from from to to, as many bytes. */
static void interleave_group(units_of f, uint8_t *from, uint8_t *to, int64_t stride) {
	int bytes = bytes_of(f), at = f.lead_bytes, tail = at + 4 * f.dwords;
	for (int64_t b = 0; b < stride; b += bytes) {
		for (int r = 0; r < 16; r++) {
			uint8_t *row = from + r * stride + b;
			move(row, to + 16 * b + f.lead_unit * r, f.lead_bytes, f.lead_unit, 1);
			move(row + tail, to + 16 * (b + tail) + 2 * r, f.tail_bytes, 2, 1);
		}
		dwords16(from + b + at, stride, to + 16 * (b + at), f.dwords);
	}
}

void ingot_interleave_rows(uint32_t type, const uint8_t *from, uint8_t *to, int64_t lo, int64_t hi, int64_t stride) {
	int64_t r = lo;
	for (; r + 16 <= hi; r += 16) interleave_group(form_of(type, stride), (uint8_t *)(uintptr_t)from + r * stride, to + r * stride, stride);
	if (r < hi) memcpy(to + r * stride, from + r * stride, (size_t)((hi - r) * stride));
}

void ingot_interleaved_row(uint32_t type, const uint8_t *w, int64_t n, int64_t r, int64_t stride, uint8_t *row) {
	if (r >= n / 16 * 16) {
		memcpy(row, w + r * stride, (size_t)stride);
		return;
	}
	units_of f = form_of(type, stride);
	int bytes = bytes_of(f), at = f.lead_bytes, tail = at + 4 * f.dwords, i = (int)(r % 16);
	uint8_t *group = (uint8_t *)(uintptr_t)w + r / 16 * 16 * stride;
	for (int64_t b = 0; b < stride; b += bytes) {
		move(row + b, group + 16 * b + f.lead_unit * i, f.lead_bytes, f.lead_unit, 0);
		move(row + b + at, group + 16 * (b + at) + 4 * i, 4 * f.dwords, 4, 0);
		move(row + b + tail, group + 16 * (b + tail) + 2 * i, f.tail_bytes, 2, 0);
	}
}
