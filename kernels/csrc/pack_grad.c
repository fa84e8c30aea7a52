/* PACK_GRAD: a gradient [n, O] for the products of gradients: rows padded with zeros to
 * 32 elements, and columns [O][n], n padded likewise, packed_stride apart. In bf16 where the
 * table multiplies bf16 (-DGRAD_BF16), else in f32, rounded to bf16 in both. */
#include "elementwise.h"
#include "grad.h"
#include "vec.h"
#if defined(__AVX512F__)
#include "tile.h"
#endif

#if defined(GRAD_BF16)
typedef uint16_t elem;
static inline elem rounded(float x) { return f32_bf16(x); }
#else
typedef float elem;
static inline elem rounded(float x) { return bf16_f32(f32_bf16(x)); }
#endif

static int64_t elem_bytes(uint32_t dtype) { return dtype == INGOT_PACK_COLS_F32 ? 4 : (int64_t)sizeof(elem); }

int64_t NAME(pack_grad_bytes)(int64_t rows, int64_t cols, uint32_t dtype) {
	if (dtype == INGOT_PACK_ROWS) return rows * packed_stride(cols, elem_bytes(dtype));
	return cols * packed_stride(rows, elem_bytes(dtype));
}

#define SIDE 32 /* rows and columns of a square that is transposed at once */

/* Tasks take SIDE rows, all columns. */
static int64_t tasks(const ctx *c, const ingot_instr *in) {
	view rows = view_of(c, in->out[0]), cols = view_of(c, in->out[1]), x = view_of(c, in->in[0]);
	if (!is_f32(x) || (in->out[0] >= 0 && (rows.dtype != INGOT_PACK_ROWS || rows.n != x.n || rows.cols != x.cols))) return -1;
	if (in->out[1] >= 0 && ((cols.dtype != INGOT_PACK_COLS && cols.dtype != INGOT_PACK_COLS_F32) || cols.n != x.n || cols.cols != x.cols)) return -1;
	return ceil_div(x.n, SIDE);
}

/* Rows from r0 of x, packed in rows and in columns; either may be absent. */
typedef struct {
	view x;
	int64_t r0;
	uint8_t *rows, *cols;
	int64_t rows_stride, cols_stride;
} squares;

static squares squares_of(view x, view rows, view cols, int64_t r0) {
	squares s = {.x = x, .r0 = r0, .rows_stride = packed_stride(x.cols, sizeof(elem)), .cols_stride = packed_stride(x.n, elem_bytes(cols.dtype))};
	if (rows.data) s.rows = rows.data + r0 * s.rows_stride;
	if (cols.data) s.cols = cols.data + r0 * elem_bytes(cols.dtype);
	return s;
}

static void pack_row(elem *restrict y, const float *restrict x, int64_t n) {
	for (int64_t i = 0; i < n; i++) y[i] = rounded(x[i]);
	memset(y + n, 0, (size_t)(ceil_div(n, 32) * 32 - n) * sizeof *y);
}

static void pack_rows(const squares *s) {
	for (int64_t r = 0; r < min64(SIDE, s->x.n - s->r0); r++) pack_row((elem *)(void *)(s->rows + r * s->rows_stride), row_f32(s->x, s->r0 + r), s->x.cols);
}

#if defined(__AVX512F__)
/* 16 columns of 16 rows, a vector a column. Rows and columns that are not there are zeros. */
INLINE void transposed(view x, int64_t r0, int64_t c0, __m512i v[16]) {
	__mmask16 some = x.cols - c0 >= 16 ? 0xffff : (__mmask16)((1u << (x.cols - c0)) - 1);
	for (int i = 0; i < 16; i++) v[i] = r0 + i < x.n ? _mm512_maskz_loadu_epi32(some, row_f32(x, r0 + i) + c0) : _mm512_setzero_si512();
	transpose16(v);
}

static inline __m512i round_bf16(__m512i v) {
	__m512i odd = _mm512_and_si512(_mm512_srli_epi32(v, 16), _mm512_set1_epi32(1));
	__m512i up = _mm512_add_epi32(v, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
	__mmask16 nan = _mm512_cmp_ps_mask((__m512)v, (__m512)v, _CMP_UNORD_Q);
	return _mm512_and_si512(_mm512_mask_or_epi32(up, nan, v, _mm512_set1_epi32(0x400000)), _mm512_set1_epi32((int)0xffff0000));
}

static void pack_cols_f32(const squares *s, int exact) {
	for (int64_t c0 = 0; c0 < s->x.cols; c0 += 16)
		for (int64_t r = 0; r < SIDE; r += 16) {
			__m512i v[16];
			transposed(s->x, s->r0 + r, c0, v);
			for (int64_t i = 0; i < min64(16, s->x.cols - c0); i++)
				_mm512_storeu_si512(s->cols + (c0 + i) * s->cols_stride + r * 4, exact ? v[i] : round_bf16(v[i]));
		}
}
#else
static void pack_cols_f32(const squares *s, int exact) {
	for (int64_t c0 = 0; c0 < s->x.cols; c0 += 16)
		for (int64_t r = 0; r < SIDE; r++)
			for (int64_t i = c0; i < min64(c0 + 16, s->x.cols); i++) {
				float v = s->r0 + r < s->x.n ? row_f32(s->x, s->r0 + r)[i] : 0;
				((float *)(void *)(s->cols + i * s->cols_stride))[r] = exact ? v : bf16_f32(f32_bf16(v));
			}
}
#endif

#if defined(GRAD_BF16)
#define RUN 1024 /* columns of a row that are read in one go */

typedef struct { ALIGNED uint8_t at[SIDE][RUN * 2 + 64]; } rounded_rows;

/* n columns of a row, rounded, to the next multiple of 32. */
static void round_row(uint16_t *y, const float *x, int64_t n) {
	int64_t i = 0;
	for (; i + 32 <= n; i += 32) _mm512_storeu_si512(y + i, (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + i + 16), _mm512_loadu_ps(x + i)));
	if (i == n) return;
	__mmask16 low = n - i >= 16 ? 0xffff : (__mmask16)((1u << (n - i)) - 1), high = n - i <= 16 ? 0 : (__mmask16)((1u << (n - i - 16)) - 1);
	_mm512_storeu_si512(y + i, (__m512i)_mm512_cvtne2ps_pbh(_mm512_maskz_loadu_ps(high, x + i + 16), _mm512_maskz_loadu_ps(low, x + i)));
}

#define LARGE (16 << 20) /* bytes of packed rows that no cache holds until they are read */

/* A line of 64 bytes, past the caches or not. */
static inline void store_line(uint8_t *to, __m512i v, int past) {
	if (past) _mm512_stream_si512((void *)to, v);
	else _mm512_storeu_si512(to, v);
}

/* n columns from c0 of rounded rows, in columns. */
static void pack_cols(const squares *s, const uint8_t *rows, int64_t stride, int64_t c0, int64_t n, int past) {
	for (int64_t i = 0; i < n; i += 16) {
		__m512i column[16];
		columns_of(rows, stride, min64(SIDE, s->x.n - s->r0), i, column);
		for (int64_t k = 0; k < min64(16, n - i); k++) store_line(s->cols + (c0 + i + k) * s->cols_stride, column[k], past);
	}
}

static void stream_row(uint8_t *to, const uint8_t *from, int64_t bytes) {
	for (int64_t i = 0; i < bytes; i += 64) store_line(to + i, _mm512_loadu_si512(from + i), 1);
}

/* Rows first, and columns from these while they are in the cache. */
static void pack_bf16(const squares *s, rounded_rows *own) {
	int64_t rows_n = min64(SIDE, s->x.n - s->r0);
	int past = s->x.n * s->x.cols * 2 >= LARGE, apart = past || !s->rows;
	for (int64_t c0 = 0; c0 < s->x.cols; c0 += RUN) {
		int64_t n = min64(RUN, s->x.cols - c0), stride = apart ? (int64_t)sizeof own->at[0] : s->rows_stride;
		uint8_t *rows = apart ? own->at[0] : s->rows + 2 * c0;
		for (int64_t r = 0; r < rows_n; r++) {
			round_row((uint16_t *)(void *)(rows + r * stride), row_f32(s->x, s->r0 + r) + c0, n);
			if (past && s->rows) stream_row(s->rows + r * s->rows_stride + 2 * c0, rows + r * stride, ceil_div(n, 32) * 64);
		}
		if (s->cols) pack_cols(s, rows, stride, c0, n, past);
	}
	if (past) _mm_sfence();
}
#endif

static void run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	view rows = view_of(c, in->out[0]), cols = view_of(c, in->out[1]);
	squares s = squares_of(view_of(c, in->in[0]), rows, cols, task * SIDE);
	int exact = cols.dtype == INGOT_PACK_COLS_F32;
#if defined(GRAD_BF16)
	if (!exact) {
		pack_bf16(&s, scratch);
		return;
	}
#endif
	(void)scratch;
	if (rows.data) pack_rows(&s);
	if (cols.data) pack_cols_f32(&s, exact);
}

const op NAME(op_pack_grad) = {tasks, run};
