/* ATTENTION_DX: one task is one sequence and one KV head. Queries go in panels (lanes are
 * queries), keys in blocks of rows, and per pair of both, with the products of gemm.h,
 *   S = K Q^T    dP = V dY^T    then p and g elementwise    dV += p dY    dK += g Q    dQ^T += K^T g
 * Only pairs that some query sees are computed. Compiled with f32 elements (factors of a
 * BF16 cache are rounded) and with -DPAIRS in bf16. SINKS_DW. */
#include <math.h>
#include "gemm.h"
#include "elementwise.h"
#include "lanes.h"
#include "mathf.h"
#if defined(__AVX512F__)
#include "tile.h"
#endif

#define KEYS 48 /* of a block */
#define MAX_DIM 1024

#if defined(PAIRS)
typedef uint16_t elem;
#else
typedef float elem;
#endif

/* What a head's queries are to products: for each panel of PANEL queries, along its
 * dimensions (steps of d, lanes are queries) and along its queries (steps of i, columns
 * are dimensions, in panels). */
typedef struct {
	float *by_dim, *by_query;
	int64_t dims, dim_floats, query_floats; /* floats of one panel of queries */
} side;

typedef struct {
	view q, k, v, y, dy, lse, dq, dkv;
	int64_t first, n; /* rows of the sequence */
	int64_t heads, kv_heads, dk, dv, window;
	int causal, rounded;
	float scale, cap;
	side qs, dys;
	float *dq_t;  /* [panel][dk][PANEL] */
	float *stats; /* [panel][2][PANEL]: lse, e */
	ALIGNED elem k_rows[KEYS * MAX_DIM], v_rows[KEYS * MAX_DIM], k_cols[MAX_DIM * KEYS];
	ALIGNED float s[KEYS][PANEL], dp[KEYS][PANEL], g_panel[KEYS / STEP][PANEL];
	ALIGNED elem p_rows[KEYS][PANEL], g_rows[KEYS][PANEL];
	ALIGNED float dk_acc[KEYS * MAX_DIM], dv_acc[KEYS * MAX_DIM]; /* rows of whole panels */
	ALIGNED elem rows[PANEL][MAX_DIM + 32]; /* a panel of queries, padded with zeros */
} work;

static inline int64_t up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }
static inline int64_t panels(int64_t n) { return ceil_div(n, PANEL); }

static side side_of(int64_t dims) { return (side){NULL, NULL, dims, ceil_div(dims, STEP) * PANEL, panels(dims) * (PANEL / STEP) * PANEL}; }

static int64_t side_bytes(side s, int64_t n) { return panels(n) * (s.dim_floats + s.query_floats) * 4; }

static int64_t scratch_bytes(const ingot_instr *in, int64_t n) {
	return (int64_t)sizeof(work) + side_bytes(side_of(in->i[2]), n) + side_bytes(side_of(in->i[3]), n) + panels(n) * (in->i[2] + 2) * PANEL * 4;
}

static int64_t tasks(const ctx *c, const ingot_instr *in) {
	int64_t h = in->i[0], kvh = in->i[1], dk = in->i[2], dv = in->i[3], t = c->batch->tokens_n;
	if (h <= 0 || kvh <= 0 || h % kvh || dk <= 0 || dv <= 0 || dk > MAX_DIM || dv > MAX_DIM) return -1;
	int64_t cols[] = {h * dk, kvh * dk, kvh * dv, h * dv, h * dv, h};
	for (int k = 0; k < 6; k++) {
		view x = view_of(c, in->in[k]);
		if (!is_f32(x) || x.n != t || x.cols != cols[k]) return -1;
	}
	view dq = view_of(c, in->out[0]), dkv = view_of(c, in->out[1]);
	if (!is_f32(dq) || !is_f32(dkv) || dq.n != t || dkv.n != t || dq.cols != h * dk || dkv.cols != kvh * (dk + dv)) return -1;
	for (int64_t s = 0; s < c->batch->seqs_n; s++)
		if (scratch_bytes(in, c->batch->row_start[s + 1] - c->batch->row_start[s]) > SCRATCH_BYTES) return -1;
	return c->batch->seqs_n * kvh;
}

#if !defined(PAIRS)
static inline float factor(const work *w, float x) { return w->rounded ? bf16_f32(f32_bf16(x)) : x; }
#endif

/* n elements of x, then zeros to a multiple of 32. */
static void to_elems(const work *w, elem *y, const float *x, int64_t n) {
	(void)w;
#if defined(PAIRS)
	int64_t i = 0;
	for (; i + 16 <= n; i += 16) vf_store_bf16((uint32_t *)(void *)(y + i), vf_load(x + i));
	for (; i < n; i++) y[i] = f32_bf16(x[i]);
#else
	for (int64_t i = 0; i < n; i++) y[i] = factor(w, x[i]);
#endif
	memset(y + n, 0, (size_t)(up(n, 32) - n) * sizeof *y);
}

/* The rows of a panel along their dimensions: word d of row r at to[d * PANEL + r]. */
static void turn_rows(const work *w, float *to, int64_t words) {
#if defined(PAIRS)
	for (int64_t d = 0; d < words; d += 16)
		for (int64_t r = 0; r < PANEL; r += 16) {
			__m512i v[16];
			for (int i = 0; i < 16; i++) v[i] = _mm512_loadu_si512(w->rows[r + i] + d * STEP);
			transpose16(v);
			for (int64_t i = 0; i < min64(16, words - d); i++) _mm512_storeu_si512(to + (d + i) * PANEL + r, v[i]);
		}
#else
	for (int64_t r = 0; r < PANEL; r++)
		for (int64_t d = 0; d < words; d++) memcpy(&to[d * PANEL + r], &w->rows[r][d * STEP], 4);
#endif
}

/* Fills both forms of the queries' rows x (column c0 on) of panel i. */
static void fill_side(work *w, side s, view x, int64_t c0, int64_t i) {
	float *by_dim = s.by_dim + i * s.dim_floats, *by_query = s.by_query + i * s.query_floats;
	int64_t rows = min64(PANEL, w->n - i * PANEL);
	for (int64_t r = 0; r < PANEL; r++) {
		if (r < rows) to_elems(w, w->rows[r], row_f32(x, w->first + i * PANEL + r) + c0, s.dims);
		else memset(w->rows[r], 0, (size_t)up(s.dims, 32) * sizeof(elem));
	}
	turn_rows(w, by_dim, up(s.dims, STEP) / STEP);
	for (int64_t d = 0; d < s.dims; d += PANEL, by_query += (PANEL / STEP) * PANEL)
		for (int64_t r = 0; r < PANEL; r += STEP) {
#if defined(PAIRS)
			pair_elems(by_query + r / 2 * PANEL, w->rows[r] + d, w->rows[r + 1] + d, PANEL);
#else
			memcpy(by_query + r * PANEL, w->rows[r] + d, PANEL * 4);
#endif
		}
}

static void fill_queries(work *w, int64_t h) {
	for (int64_t i = 0; i < panels(w->n); i++) {
		float *lse = w->stats + i * 2 * PANEL, *e = lse + PANEL;
		fill_side(w, w->qs, w->q, h * w->dk, i);
		fill_side(w, w->dys, w->dy, h * w->dv, i);
		memset(lse, 0, 2 * PANEL * 4);
		for (int64_t r = 0; r < min64(PANEL, w->n - i * PANEL); r++) {
			int64_t row = w->first + i * PANEL + r;
			lse[r] = row_f32(w->lse, row)[h];
			e[r] = dot16(row_f32(w->y, row) + h * w->dv, row_f32(w->dy, row) + h * w->dv, w->dv);
		}
	}
	memset(w->dq_t, 0, (size_t)(panels(w->n) * w->dk * PANEL) * 4);
}

/* The block's keys in columns: dimension d of key j at k_cols[d * KEYS + j]. */
static void turn_keys(work *w) {
	int64_t dk = up(w->dk, 32);
#if defined(PAIRS)
	for (int64_t d = 0; d < w->dk; d += 16) {
		__m512i first[16], last[16];
		columns_of(w->k_rows, 2 * dk, 32, d, first);
		columns_of(w->k_rows + 32 * dk, 2 * dk, KEYS - 32, d, last);
		for (int64_t i = 0; i < min64(16, w->dk - d); i++) {
			_mm512_storeu_si512(w->k_cols + (d + i) * KEYS, first[i]);
			_mm256_storeu_si256((void *)(w->k_cols + (d + i) * KEYS + 32), _mm512_castsi512_si256(last[i]));
		}
	}
#else
	for (int64_t d = 0; d < w->dk; d++)
		for (int64_t j = 0; j < KEYS; j++) w->k_cols[d * KEYS + j] = w->k_rows[j * dk + d];
#endif
}

/* Rows of a block of keys, padded with zeros to KEYS rows of whole 32 dimensions. */
static void fill_keys(work *w, int64_t kv, int64_t j0) {
	int64_t dk = up(w->dk, 32), dv = up(w->dv, 32), n = min64(KEYS, w->n - j0);
	for (int64_t j = 0; j < n; j++) {
		to_elems(w, w->k_rows + j * dk, row_f32(w->k, w->first + j0 + j) + kv * w->dk, w->dk);
		to_elems(w, w->v_rows + j * dv, row_f32(w->v, w->first + j0 + j) + kv * w->dv, w->dv);
	}
	memset(w->k_rows + n * dk, 0, (size_t)((KEYS - n) * dk) * sizeof(elem));
	memset(w->v_rows + n * dv, 0, (size_t)((KEYS - n) * dv) * sizeof(elem));
	turn_keys(w);
}

/* C [rows, dims] += A panel by panel of columns. */
static void add_panels(const elem *a, int64_t a_cols, const float *b, int64_t steps, float *c, int64_t dims, int64_t rows) {
	for (int64_t d = 0; d < dims; d += PANEL, b += (PANEL / STEP) * PANEL)
		gemm_panel((const uint8_t *)a, a_cols * (int64_t)sizeof(elem), b, steps, sums_in(c + d, up(dims, PANEL)), rows, (int)ceil_div(min64(PANEL, dims - d), 16));
}

/* Whether query i of the sequence sees key j. */
static inline int sees(const work *w, int64_t i, int64_t j) {
	return i < w->n && j < w->n && (!w->causal || j <= i) && (w->window <= 0 || j > i - w->window);
}

/* The first and the last of 16 queries from i that see key j. */
static inline int seen_from(const work *w, int64_t i, int64_t j) { return w->causal ? (int)max64(0, min64(16, j - i)) : 0; }

static inline int seen_to(const work *w, int64_t i, int64_t j) {
	int64_t last = w->window > 0 ? min64(w->n - 1, j + w->window - 1) : w->n - 1;
	return j < w->n ? (int)max64(-1, min64(15, last - i)) : -1;
}

static inline void store_elems(elem *to, vf v) {
#if defined(PAIRS)
	vf_store_bf16((uint32_t *)(void *)to, v);
#else
	vf_store(to, v);
#endif
}

static inline vf rounded_factor(const work *w, vf v) {
#if !defined(PAIRS)
	if (w->rounded) {
		float lane[16];
		vf_store(lane, v);
		for (int l = 0; l < 16; l++) lane[l] = bf16_f32(f32_bf16(lane[l]));
		return vf_load(lane);
	}
#endif
	(void)w;
	return v;
}

/* p and g of row j of the block for 16 queries from lane l. */
static void weights(work *w, int64_t j0, int64_t i0, int j, int l, int whole) {
	float *lse = w->stats + i0 / PANEL * 2 * PANEL + l, *e = lse + PANEL;
	vf s = vf_mul(vf_load(w->s[j] + l), vf_set(w->scale)), slope = vf_set(w->scale);
	if (w->cap != 0) {
		float lane[16], part[16];
		vf_store(lane, s);
		for (int k = 0; k < 16; k++) {
			float t = tanh_f32(lane[k] / w->cap);
			lane[k] = w->cap * t, part[k] = w->scale * (1.0f - t * t);
		}
		s = vf_load(lane), slope = vf_load(part);
	}
	/* A score is at most lse but for rounding; what no query sees may be anything. */
	vf p = vf_exp_negative(vf_sub(s, vf_load(lse)));
	vf g = vf_mul(vf_mul(p, vf_sub(vf_load(w->dp[j] + l), vf_load(e))), slope);
	if (!whole) {
		int from = seen_from(w, i0 + l, j0 + j), to = seen_to(w, i0 + l, j0 + j);
		p = vf_within(p, from, to, 0), g = vf_within(g, from, to, 0);
	}
	p = rounded_factor(w, p), g = rounded_factor(w, g);
	store_elems(w->p_rows[j] + l, p);
	store_elems(w->g_rows[j] + l, g);
#if !defined(PAIRS)
	vf_store(w->g_panel[j] + l, g);
#endif
}

/* The first keys rows of g as a panel along the keys. */
static void pair_keys(work *w, int64_t keys) {
#if defined(PAIRS)
	for (int64_t j = 0; j < keys; j += 2)
		for (int l = 0; l < PANEL; l += 16) {
			__m512i a = _mm512_cvtepu16_epi32(_mm256_load_si256((const void *)(w->g_rows[j] + l)));
			__m512i b = _mm512_cvtepu16_epi32(_mm256_load_si256((const void *)(w->g_rows[j + 1] + l)));
			_mm512_store_si512(w->g_panel[j / 2] + l, _mm512_or_si512(a, _mm512_slli_epi32(b, 16)));
		}
#else
	(void)w, (void)keys;
#endif
}

/* Keys from j0, as many as some query sees, with the panel of queries from i0. */
static void pair(work *w, int64_t j0, int64_t i0) {
	int64_t i = i0 / PANEL, keys = w->causal ? min64(KEYS, up(i0 + PANEL - j0, 2)) : KEYS;
	gemm_panel((const uint8_t *)w->k_rows, up(w->dk, 32) * (int64_t)sizeof(elem), w->qs.by_dim + i * w->qs.dim_floats, ceil_div(w->dk, STEP), sums_of_zeros(w->s[0], PANEL), keys, NV);
	gemm_panel((const uint8_t *)w->v_rows, up(w->dv, 32) * (int64_t)sizeof(elem), w->dys.by_dim + i * w->dys.dim_floats, ceil_div(w->dv, STEP), sums_of_zeros(w->dp[0], PANEL), keys, NV);
	int whole = sees(w, i0, j0 + KEYS - 1) && sees(w, i0 + PANEL - 1, j0);
	for (int j = 0; j < keys; j++)
		for (int l = 0; l < PANEL; l += 16) weights(w, j0, i0, j, l, whole);
	pair_keys(w, keys);
	add_panels(w->p_rows[0], PANEL, w->dys.by_query + i * w->dys.query_floats, PANEL / STEP, w->dv_acc, w->dv, keys);
	add_panels(w->g_rows[0], PANEL, w->qs.by_query + i * w->qs.query_floats, PANEL / STEP, w->dk_acc, w->dk, keys);
	gemm_panel((const uint8_t *)w->k_cols, KEYS * (int64_t)sizeof(elem), w->g_panel[0], keys / STEP, sums_in(w->dq_t + i * w->dk * PANEL, PANEL), w->dk, NV);
}

/* The queries' gradient of head h, from panels of columns to rows. */
static void store_dq(const work *w, int64_t h) {
	for (int64_t i = 0; i < w->n; i += 16)
		for (int64_t d = 0; d < w->dk; d += 16) {
			const float *from = w->dq_t + (i / PANEL * w->dk + d) * PANEL + i % PANEL;
			int64_t rows = min64(16, w->n - i), cols = min64(16, w->dk - d);
#if defined(__AVX512F__)
			__m512i v[16];
			for (int k = 0; k < 16; k++) v[k] = k < cols ? _mm512_loadu_si512(from + k * PANEL) : _mm512_setzero_si512();
			transpose16(v);
			for (int64_t r = 0; r < rows; r++) _mm512_mask_storeu_epi32(row_f32(w->dq, w->first + i + r) + h * w->dk + d, (__mmask16)((1u << cols) - 1), v[r]);
#else
			for (int64_t r = 0; r < rows; r++)
				for (int64_t k = 0; k < cols; k++) row_f32(w->dq, w->first + i + r)[h * w->dk + d + k] = from[k * PANEL + r];
#endif
		}
}

static void add_or_set(float *restrict y, const float *restrict x, int64_t n, int set) {
	if (set) memcpy(y, x, (size_t)n * 4);
	else
		for (int64_t i = 0; i < n; i++) y[i] += x[i];
}

/* One head with all keys; what it gives keys and values is added to the output's rows,
 * which the group's first head clears. */
static void head(work *w, int64_t h, int64_t kv, int first) {
	fill_queries(w, h);
	for (int64_t j0 = 0; j0 < w->n; j0 += KEYS) {
		int64_t rows = min64(KEYS, w->n - j0), from = w->causal ? j0 / PANEL * PANEL : 0;
		int64_t last = w->window > 0 ? min64(w->n - 1, j0 + KEYS - 1 + w->window - 1) : w->n - 1;
		fill_keys(w, kv, j0);
		memset(w->dk_acc, 0, (size_t)(KEYS * up(w->dk, PANEL)) * 4);
		memset(w->dv_acc, 0, (size_t)(KEYS * up(w->dv, PANEL)) * 4);
		for (int64_t i0 = from; i0 <= last; i0 += PANEL) pair(w, j0, i0);
		for (int64_t j = 0; j < rows; j++) {
			float *dk = row_f32(w->dkv, w->first + j0 + j) + kv * w->dk, *dv = row_f32(w->dkv, w->first + j0 + j) + w->kv_heads * w->dk + kv * w->dv;
			add_or_set(dk, w->dk_acc + j * up(w->dk, PANEL), w->dk, first);
			add_or_set(dv, w->dv_acc + j * up(w->dv, PANEL), w->dv, first);
		}
	}
	store_dq(w, h);
}

static void take(float **at, side *s, int64_t n) {
	s->by_dim = *at, *at += panels(n) * s->dim_floats;
	s->by_query = *at, *at += panels(n) * s->query_floats;
}

void NAME(attention_dx)(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	work *w = scratch;
	int64_t kv = task % in->i[1], s = task / in->i[1], group = in->i[0] / in->i[1];
	w->q = view_of(c, in->in[0]), w->k = view_of(c, in->in[1]), w->v = view_of(c, in->in[2]), w->y = view_of(c, in->in[3]);
	w->dy = view_of(c, in->in[4]), w->lse = view_of(c, in->in[5]), w->dq = view_of(c, in->out[0]), w->dkv = view_of(c, in->out[1]);
	w->first = c->batch->row_start[s], w->n = c->batch->row_start[s + 1] - w->first;
	w->heads = in->i[0], w->kv_heads = in->i[1], w->dk = in->i[2], w->dv = in->i[3], w->window = in->i[4];
	w->causal = in->i[5], w->rounded = in->i[6], w->scale = in->f[0], w->cap = in->f[1];
	float *at = (float *)(void *)((uint8_t *)scratch + up(sizeof *w, 64));
	w->qs = side_of(w->dk), w->dys = side_of(w->dv);
	take(&at, &w->qs, w->n);
	take(&at, &w->dys, w->n);
	w->dq_t = at;
	w->stats = at + panels(w->n) * w->dk * PANEL;
	for (int64_t h = 0; h < group; h++) head(w, kv * group + h, kv, h == 0);
}

#if defined(PAIRS)
/* A cache of f32 has f32 factors. */
void attention_dx_avx512(const ctx *c, const ingot_instr *in, int64_t task, void *scratch);
static void run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	(in->i[6] ? NAME(attention_dx) : attention_dx_avx512)(c, in, task, scratch);
}
const op NAME(op_attention_dx) = {tasks, run};
#else
const op NAME(op_attention_dx) = {tasks, NAME(attention_dx)};
#endif
