/* LINEAR in int8 mode, OUTS weight rows at a time. Per 256 columns the rows' blocks
 * become panels of 16 rows (unpack_int8.h). Then every activation row is multiplied with
 * the panels: exact integer sums per group, scaled and added in block order, so the bits
 * are the same in every table and for any number of rows. The panels stay in L1; sums
 * wait in scratch between panels. */
#include "unpack_int8.h"

/* The register block: ROWS activation rows x VECS panels, with as many accumulators of
 * f32 as of integers. */
#if defined(__AVX512F__)
#define ROWS 6
#define VECS 2
#elif defined(__AVX2__)
#define ROWS 2
#define VECS 1
#else
#define ROWS 1
#define VECS 1
#endif
#define OUTS (16 * VECS)

/* What a kernel does to one group: its integer sums start at minus offset * (sum of q),
 * and its f32 sum takes scale and minimum. */
typedef struct {
	int group, has_min, wide;
	int32_t offset;
	int raw; /* how the bytes lie: UNPACKED ... */
} form;

#define UNROLL _Pragma("GCC unroll 16")

INLINE int32_t load_a4(const int8_t *q) {
	int32_t v;
	memcpy(&v, q, 4);
	return v;
}

/* A power of two times x in every lane; 0: nothing. */
INLINE vi times_offset(int32_t x, int32_t offset) { return offset ? vi_sll(vi_set(x), __builtin_ctz((unsigned)offset)) : vi_set(0); }

/* Adds group g of block b + i to the dot products t in f32: scale * sum - minimum * (sum
 * of q). */
INLINE void times_group(const panel *p, int b, int i, int g, const act_block *const *a, vf (*t)[VECS], int n, int vecs, form f) {
	int steps = f.group / 4, which = f.group == 32 ? 2 : g, at = (b + i) * (32 / f.group) + g;
	vi s[ROWS][VECS];
	UNROLL for (int r = 0; r < n; r++)
		UNROLL for (int v = 0; v < vecs; v++) s[r][v] = times_offset(a[r][b + i].minus_sum[which], f.offset);
	UNROLL for (int d = 0; d < steps; d++) {
		vi w[VECS];
		UNROLL for (int v = 0; v < vecs; v++) w[v] = panel_bytes(&p[v], b, i, steps * g + d, f.raw);
		UNROLL for (int r = 0; r < n; r++) {
			int32_t a4 = load_a4(a[r][b + i].q + 4 * (steps * g + d));
			UNROLL for (int v = 0; v < vecs; v++) s[r][v] = f.wide ? vi_dot4_wide(s[r][v], w[v], a4) : vi_dot4(s[r][v], w[v], a4);
		}
	}
	UNROLL for (int v = 0; v < vecs; v++) {
		vf scale = vf_load(p[v].scale[at]);
		UNROLL for (int r = 0; r < n; r++) t[r][v] = g ? vf_fma(scale, vf_of(s[r][v]), t[r][v]) : vf_mul(scale, vf_of(s[r][v]));
	}
	if (!f.has_min) return;
	UNROLL for (int v = 0; v < vecs; v++) {
		vf min = vf_load(p[v].min[at]);
		UNROLL for (int r = 0; r < n; r++) t[r][v] = vf_fma(min, vf_of(vi_set(a[r][b + i].minus_sum[which])), t[r][v]);
	}
}

/* n activation rows times the blocks of vecs panels; n, vecs and f are
 * constants once inlined. */
INLINE void times_panels(panel *p, int blocks, const act_block *const *a, float (*sum)[OUTS], int n, int vecs, form f) {
	int pair = f.raw == RAW_Q4_K ? 2 : 1; /* blocks that share bytes */
	int in_memory = f.group == 16;       /* the sums: with those of two groups registers are full */
	vf acc[ROWS][VECS];
	UNROLL for (int r = 0; r < n && !in_memory; r++)
		UNROLL for (int v = 0; v < vecs; v++) acc[r][v] = vf_load(sum[r] + 16 * v);
	for (int b = 0; b < blocks; b += pair) {
		look_ahead(&p->next);
		UNROLL for (int i = 0; i < pair; i++) {
			vf t[ROWS][VECS];
			times_group(p, b, i, 0, a, t, n, vecs, f);
			if (f.group == 16) times_group(p, b, i, 1, a, t, n, vecs, f);
			UNROLL for (int r = 0; r < n; r++)
				UNROLL for (int v = 0; v < vecs; v++) {
					vf scale = vf_set(a[r][b + i].scale);
					if (in_memory)
						vf_store(sum[r] + 16 * v, vf_fma(scale, t[r][v], vf_load(sum[r] + 16 * v)));
					else
						acc[r][v] = vf_fma(scale, t[r][v], acc[r][v]);
				}
		}
	}
	UNROLL for (int r = 0; r < n && !in_memory; r++)
		UNROLL for (int v = 0; v < vecs; v++) vf_store(sum[r] + 16 * v, acc[r][v]);
}

INLINE void times_some(panel *p, int blocks, const act_block *const *a, float (*sum)[OUTS], int64_t n, int vecs, form f) {
	int64_t r = 0;
	for (; r + ROWS <= n; r += ROWS) times_panels(p, blocks, a + r, sum + r, ROWS, vecs, f);
#if ROWS > 4
	if (r + 4 <= n) times_panels(p, blocks, a + r, sum + r, 4, vecs, f), r += 4;
#endif
#if ROWS > 2
	if (r + 2 <= n) times_panels(p, blocks, a + r, sum + r, 2, vecs, f), r += 2;
#endif
	for (; r < n; r++) times_panels(p, blocks, a + r, sum + r, 1, vecs, f);
}

INLINE void times_rows(panel *p, int blocks, const act_block *const *a, float (*sum)[OUTS], int64_t n, int vecs, form f) {
	if (vecs == VECS)
		times_some(p, blocks, a, sum, n, VECS, f);
	else
		for (int64_t r = 0; r < n; r++) times_panels(p, blocks, a + r, sum + r, 1, 1, f);
}

#if defined(PACK_TILES)
#include "amx_int8.h"
#endif

typedef struct {
	panel panel[VECS];
	ALIGNED float sum[ROW_TILE][OUTS];
	const act_block *a[ROW_TILE], *at[ROW_TILE];
#if defined(PACK_TILES)
	tile_sums tiles;
	const act_tile *tile; /* of the first row at the panel's columns; NULL where rows are listed */
	int64_t tile_stride;
#endif
} work;

/* All rows times the panels: what tiles can take last, since they want signed bytes. */
INLINE void times_form(work *w, int blocks, int64_t n, int vecs, form f) {
#if defined(PACK_TILES)
	int64_t whole = w->tile ? n / TILE_ROWS * TILE_ROWS : 0;
	times_rows(w->panel, blocks, w->at + whole, w->sum + whole, n - whole, vecs, f);
	for (int v = 0; v < vecs && whole; v++) {
		make_signed(&w->panel[v], blocks, f.wide ? 128 : f.offset);
		tile_rows(&w->panel[v], blocks, w->tile, w->tile_stride, w->sum[0] + 16 * v, whole, &w->tiles, f);
	}
#else
	times_rows(w->panel, blocks, w->at, w->sum, n, vecs, f);
#endif
}

static void times(work *w, int blocks, int64_t n, int vecs, const block_type *t, int raw) {
	int32_t offset = t->shift ? 1 << t->shift : 0;
	if (raw == RAW_Q4_0)
		times_form(w, blocks, n, vecs, (form){32, 0, 0, 8, RAW_Q4_0});
	else if (raw == RAW_Q8_0)
		times_form(w, blocks, n, vecs, (form){32, 0, 1, WIDE_OFFSET, RAW_Q8_0});
	else if (raw == RAW_Q4_K)
		times_form(w, blocks, n, vecs, (form){32, 1, 0, 0, RAW_Q4_K});
	else if (t->shift == 7)
		times_form(w, blocks, n, vecs, (form){32, 0, 1, WIDE_OFFSET, UNPACKED});
	else if (t->group == 32 && !t->has_min)
		times_form(w, blocks, n, vecs, (form){32, 0, 0, offset, UNPACKED});
	else if (t->group == 32)
		times_form(w, blocks, n, vecs, (form){32, 1, 0, 0, UNPACKED});
	else if (!t->has_min)
		times_form(w, blocks, n, vecs, (form){16, 0, 0, offset, UNPACKED});
	else
		times_form(w, blocks, n, vecs, (form){16, 1, 0, 0, UNPACKED});
}

static void store(const product *p, int64_t o, int64_t outs, int64_t r0, int64_t n, float (*sum)[OUTS]) {
	for (int64_t r = 0; r < n; r++) {
		float *y = p->y + (p->list ? p->list[r0 + r] : r0 + r) * p->y_stride + o;
		if (p->bias)
			for (int64_t i = 0; i < outs; i++) y[i] = sum[r][i] + p->bias[o + i];
		else
			memcpy(y, sum[r], (size_t)outs * 4);
	}
}

/* Columns k and on of rows o ... o+15 become a panel. */
static void unpack_panel(const product *p, int64_t o, int64_t k, int blocks, int interleaved, panel *to) {
	const block_type *t = ingot_block_type(p->type);
	unpack_fn unpack = unpacker(p->type, interleaved);
	int64_t at = k / t->elems * t->bytes;
	const uint8_t *row[16];
	for (int r = 0; r < 16; r++)
		row[r] = interleaved ? p->w + o * p->w_stride + 16 * at : p->w + min64(o + r, p->o_all - 1) * p->w_stride + at;
	to->raw = row[0];
	if (unpack)
		unpack(to, row, blocks);
	else
		unpack_any(to, row, t, blocks);
}

/* How many panels from row o go together: as many as lie in the same form. */
static int panels_at(const product *p, int64_t o) {
	int64_t whole = p->o_all / 16 * 16, n = min64(VECS, ceil_div(p->o1 - o, 16));
	return (int)(p->interleaved && o < whole ? min64(n, (whole - o) / 16) : n);
}

static void rows_tile(const product *p, int64_t o, int vecs, int64_t r0, int64_t n, work *w) {
	const block_type *t = ingot_block_type(p->type);
	int interleaved = p->interleaved && o + 16 <= p->o_all, raw = raw_form(p->type, interleaved);
	memset(w->sum, 0, (size_t)n * sizeof w->sum[0]);
	for (int64_t k = 0; k < p->k; k += PANEL_COLS) {
		int blocks = (int)min64(PANEL_COLS, p->k - k) / 32;
		int64_t parts = ceil_div(n, ROWS) * blocks / (raw == RAW_Q4_K ? 2 : 1);
		for (int v = 0; v < vecs; v++) unpack_panel(p, o + 16 * v, k, blocks, interleaved, &w->panel[v]);
		w->panel[0].next = ahead_of(p, o, 16 * vecs, k, 32 * blocks, parts);
		for (int64_t r = 0; r < n; r++) w->at[r] = w->a[r] + k / 32;
#if defined(PACK_TILES)
		w->tile_stride = act_blocks(p->k);
		w->tile = p->list ? NULL : act_tiles(p->x, p->x_rows, p->k) + r0 / TILE_ROWS * w->tile_stride + k / 32;
#endif
		times(w, blocks, n, vecs, t, raw);
	}
	store(p, o, min64(16 * vecs, p->o1 - o), r0, n, w->sum);
}

void NAME(product_int8)(const product *p, void *scratch) {
	work *w = scratch;
	int64_t blocks = ceil_div(p->k, 32);
	const act_block *x = p->x;
#if defined(PACK_TILES)
	configure_tiles(16, ingot_block_type(p->type)->group);
#endif
	for (int64_t r0 = 0; r0 < p->rows; r0 += ROW_TILE) {
		int64_t n = min64(ROW_TILE, p->rows - r0);
		for (int64_t r = 0; r < n; r++) w->a[r] = x + (p->list ? p->list[r0 + r] / p->in_div : r0 + r) * blocks;
		for (int64_t o = p->o0, vecs; o < p->o1; o += 16 * vecs) {
			vecs = panels_at(p, o);
			rows_tile(p, o, (int)vecs, r0, n, w);
		}
	}
#if defined(PACK_TILES)
	_tile_release();
#endif
}
