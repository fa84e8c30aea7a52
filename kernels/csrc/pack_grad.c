/* PACK_GRAD: a gradient [n, O] for the products of gradients: rows padded with zeros to
 * 32 elements, and columns [O][n], n padded likewise. In bf16 where the table multiplies
 * bf16 (-DGRAD_BF16), else in f32, rounded to bf16 in both. COLUMN_SUMS. */
#include "elementwise.h"
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

static inline int64_t padded(int64_t n) { return (n + 31) / 32 * 32; }

int64_t NAME(pack_grad_bytes)(int64_t rows, int64_t cols, uint32_t dtype) {
	if (dtype == INGOT_PACK_ROWS) return rows * padded(cols) * (int64_t)sizeof(elem);
	return cols * padded(rows) * (dtype == INGOT_PACK_COLS ? (int64_t)sizeof(elem) : 4);
}

#define SIDE 32 /* rows and columns of a task's square of columns */

/* Tasks take SIDE rows, all columns. */
static int64_t tasks(const ctx *c, const ingot_instr *in) {
	view rows = view_of(c, in->out[0]), cols = view_of(c, in->out[1]), x = view_of(c, in->in[0]);
	if (!is_f32(x) || (in->out[0] >= 0 && (rows.dtype != INGOT_PACK_ROWS || rows.n != x.n || rows.cols != x.cols))) return -1;
	if (in->out[1] >= 0 && ((cols.dtype != INGOT_PACK_COLS && cols.dtype != INGOT_PACK_COLS_F32) || cols.n != x.n || cols.cols != x.cols)) return -1;
	return ceil_div(x.n, SIDE);
}

static void pack_row(elem *restrict y, const float *restrict x, int64_t n) {
	for (int64_t i = 0; i < n; i++) y[i] = rounded(x[i]);
	memset(y + n, 0, (size_t)(padded(n) - n) * sizeof *y);
}

#if defined(__AVX512F__)
/* 16 columns of 32 rows as f32, transposed: lo[c] rows 0 ... 15, hi[c] 16 ... 31. */
INLINE void transposed(view x, int64_t r0, int64_t c0, __m512i lo[16], __m512i hi[16]) {
	__mmask16 some = x.cols - c0 >= 16 ? 0xffff : (__mmask16)((1u << (x.cols - c0)) - 1);
	for (int i = 0; i < 16; i++) {
		lo[i] = r0 + i < x.n ? _mm512_maskz_loadu_epi32(some, row_f32(x, r0 + i) + c0) : _mm512_setzero_si512();
		hi[i] = r0 + 16 + i < x.n ? _mm512_maskz_loadu_epi32(some, row_f32(x, r0 + 16 + i) + c0) : _mm512_setzero_si512();
	}
	transpose16(lo);
	transpose16(hi);
}

static inline __m512i round_bf16(__m512i v) {
	__m512i odd = _mm512_and_si512(_mm512_srli_epi32(v, 16), _mm512_set1_epi32(1));
	__m512i up = _mm512_add_epi32(v, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
	__mmask16 nan = _mm512_cmp_ps_mask((__m512)v, (__m512)v, _CMP_UNORD_Q);
	return _mm512_mask_or_epi32(up, nan, v, _mm512_set1_epi32(0x400000));
}

static void pack_cols(view y, view x, int64_t r0) {
	int64_t stride = padded(x.n);
	for (int64_t c0 = 0; c0 < x.cols; c0 += 16) {
		__m512i lo[16], hi[16];
		transposed(x, r0, c0, lo, hi);
		for (int64_t i = 0; i < min64(16, x.cols - c0); i++) {
			int64_t at = (c0 + i) * stride + r0;
			if (y.dtype == INGOT_PACK_COLS_F32) {
				_mm512_storeu_si512((float *)(void *)y.data + at, lo[i]);
				_mm512_storeu_si512((float *)(void *)y.data + at + 16, hi[i]);
				continue;
			}
			__m512i a = round_bf16(lo[i]), b = round_bf16(hi[i]);
#if defined(GRAD_BF16)
			_mm256_storeu_si256((void *)((elem *)(void *)y.data + at), _mm512_cvtepi32_epi16(_mm512_srli_epi32(a, 16)));
			_mm256_storeu_si256((void *)((elem *)(void *)y.data + at + 16), _mm512_cvtepi32_epi16(_mm512_srli_epi32(b, 16)));
#else
			_mm512_storeu_si512((elem *)(void *)y.data + at, _mm512_and_si512(a, _mm512_set1_epi32((int)0xffff0000)));
			_mm512_storeu_si512((elem *)(void *)y.data + at + 16, _mm512_and_si512(b, _mm512_set1_epi32((int)0xffff0000)));
#endif
		}
	}
}
#else
static void pack_cols(view y, view x, int64_t r0) {
	int64_t stride = padded(x.n);
	for (int64_t c0 = 0; c0 < x.cols; c0 += 16)
		for (int64_t r = r0; r < r0 + SIDE; r++)
			for (int64_t i = c0; i < min64(c0 + 16, x.cols); i++) {
				float v = r < x.n ? row_f32(x, r)[i] : 0;
				if (y.dtype == INGOT_PACK_COLS_F32) ((float *)(void *)y.data)[i * stride + r] = v;
				else ((elem *)(void *)y.data)[i * stride + r] = rounded(v);
			}
}
#endif

static void run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	(void)scratch;
	view rows = view_of(c, in->out[0]), cols = view_of(c, in->out[1]), x = view_of(c, in->in[0]);
	int64_t lo = task * SIDE, hi = min64(x.n, lo + SIDE);
	for (int64_t r = lo; r < hi && rows.data; r++) pack_row((elem *)(void *)rows.data + r * padded(x.cols), row_f32(x, r), x.cols);
	if (cols.data) pack_cols(cols, x, lo);
}

const op NAME(op_pack_grad) = {tasks, run};
