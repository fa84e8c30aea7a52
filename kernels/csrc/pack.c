/* PACK: activations rounded for the products of a table. In bf16 mode a row is
 *   PACK_ROWS_F32   f32 numbers rounded to bf16 (machines that multiply in f32)
 *   PACK_ROWS_BF16  bf16, padded with zeros to a multiple of 32 (vdpbf16ps)
 *   PACK_TILES      tiles of 16 rows x 32 columns, both dimensions padded (AMX, tile.h) */
#include "elementwise.h"
#include "pack_int8.h"
#if defined(PACK_TILES)
#include "tile.h"
#endif

#if defined(PACK_TILES)
#define ROWS_TOGETHER 16
#else
#define ROWS_TOGETHER 1
#endif

static inline int64_t padded(int64_t cols) { return (cols + 31) / 32 * 32; }

int64_t NAME(pack_bf16_bytes)(int64_t rows, int64_t cols) {
#if defined(PACK_TILES) || defined(PACK_ROWS_BF16)
	return ceil_div(rows, ROWS_TOGETHER) * ROWS_TOGETHER * padded(cols) * 2;
#else
	return rows * cols * 4;
#endif
}

int64_t NAME(pack_int8_bytes)(int64_t rows, int64_t cols) {
#if defined(PACK_TILES)
	const act_tile *tiles = act_tiles(NULL, rows, cols);
	return (int64_t)(uintptr_t)(tiles + rows / 16 * act_blocks(cols));
#else
	return rows * act_blocks(cols) * (int64_t)sizeof(act_block);
#endif
}

static int64_t tasks(const ctx *c, const ingot_instr *in) {
	view out = view_of(c, in->out[0]), x = view_of(c, in->in[0]);
	if (!out.data || !is_f32(x) || out.n != x.n || out.cols != x.cols) return -1;
	if (out.dtype != INGOT_PACK_BF16 && out.dtype != INGOT_PACK_INT8) return -1;
	return row_tasks(ceil_div(x.n, ROWS_TOGETHER), x.cols * ROWS_TOGETHER);
}

#if defined(PACK_TILES)
static void pack_bf16(uint8_t *out, view x, int64_t lo, int64_t hi) {
	for (int64_t r = lo; r < hi; r += 16)
		pack_tiles((uint16_t *)(void *)out, ceil_div(x.n, 16), r / 16, row_f32(x, r), x.stride, min64(16, hi - r), x.cols);
}
#elif defined(PACK_ROWS_BF16)
static void pack_bf16(uint8_t *out, view x, int64_t lo, int64_t hi) {
	int64_t wide = padded(x.cols);
	for (int64_t r = lo; r < hi; r++) {
		uint16_t *restrict y = (uint16_t *)(void *)out + r * wide;
		const float *restrict p = row_f32(x, r);
		for (int64_t i = 0; i < x.cols; i++) y[i] = f32_bf16(p[i]);
		memset(y + x.cols, 0, (size_t)(wide - x.cols) * 2);
	}
}
#else
static void pack_bf16(uint8_t *out, view x, int64_t lo, int64_t hi) {
	for (int64_t r = lo; r < hi; r++) {
		float *restrict y = (float *)(void *)out + r * x.cols;
		const float *restrict p = row_f32(x, r);
		for (int64_t i = 0; i < x.cols; i++) y[i] = bf16_f32(f32_bf16(p[i]));
	}
}
#endif

#if defined(PACK_TILES)
/* Copies the records of 16 rows, block by block, to where tiles are loaded from. */
static void pack_group(act_tile *to, const act_block *from, int64_t blocks) {
	for (int64_t b = 0; b < blocks; b++)
		for (int r = 0; r < 16; r++) {
			const act_block *x = from + r * blocks + b;
			memcpy(to[b].q[r], x->q, 32);
			to[b].scale[r] = x->scale;
			for (int i = 0; i < 3; i++) to[b].minus_sum[i][r] = x->minus_sum[i];
		}
}
#endif

static void pack_int8(uint8_t *out, view x, int64_t lo, int64_t hi) {
	int64_t blocks = act_blocks(x.cols);
	act_block *rows = (act_block *)(void *)out;
	for (int64_t r = lo; r < hi; r++) quantize_row(rows + r * blocks, row_f32(x, r), x.cols);
#if defined(PACK_TILES)
	for (int64_t r = lo; r + 16 <= hi; r += 16)
		pack_group(act_tiles(out, x.n, x.cols) + r / 16 * blocks, rows + r * blocks, blocks);
#endif
}

static void run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	(void)scratch;
	view out = view_of(c, in->out[0]), x = view_of(c, in->in[0]);
	int64_t lo, hi;
	task_rows(ceil_div(x.n, ROWS_TOGETHER), x.cols * ROWS_TOGETHER, task, &lo, &hi);
	lo *= ROWS_TOGETHER;
	hi = min64(x.n, hi * ROWS_TOGETHER);
	if (out.dtype == INGOT_PACK_BF16)
		pack_bf16(out.data, x, lo, hi);
	else
		pack_int8(out.data, x, lo, hi);
}

const op NAME(op_pack) = {tasks, run};
