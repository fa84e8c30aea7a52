/* STORE_KV: new keys and values into their slots of the paged cache. Per block and head
 * K lies as [Dk][16 tokens], V as [16 tokens][Dv]; Q8_0 adds f16 scales behind. In BF16 the
 * elements that a product adds at a time lie side by side: K as [Dk/2][16 tokens][2], Dk
 * rounded up to even, V as [8 pairs of tokens][Dv][2]. */
#include "elementwise.h"
#include "mathf.h"

static int cache_type(view v) {
	return v.data && (v.dtype == INGOT_F32 || v.dtype == INGOT_BF16 || v.dtype == INGOT_Q8_0);
}

static int64_t tasks(const ctx *c, const ingot_instr *in) {
	view k = view_of(c, in->in[0]), v = view_of(c, in->in[1]), kc = view_of(c, in->in[2]), vc = view_of(c, in->in[3]);
	int64_t h = in->i[0], dk = in->i[1], dv = in->i[2];
	if (!is_f32(k) || !is_f32(v) || !cache_type(kc) || !cache_type(vc) || k.n != v.n) return -1;
	if (h <= 0 || dk <= 0 || dv <= 0 || k.cols != h * dk || v.cols != h * dv) return -1;
	if (kc.cols != k.cols * INGOT_BLOCK_TOKENS || vc.cols != v.cols * INGOT_BLOCK_TOKENS) return -1;
	return row_tasks(k.n, k.cols + v.cols);
}

/* Element i goes to index i * step of the payload, group g's scale to g * scale_step. */
static void store_q8(uint8_t *p, int64_t payload, const float *x, int64_t d, int64_t step, int64_t at, int64_t scale_step, int64_t scale_at) {
	int8_t *q = (int8_t *)p;
	for (int64_t g = 0; g * 32 < d; g++) {
		int64_t n = min64(32, d - g * 32);
		float amax = 0;
		for (int64_t i = 0; i < n; i++) {
			float a = bits_f32(f32_bits(x[g * 32 + i]) & 0x7fffffff);
			amax = a > amax ? a : amax;
		}
		uint16_t h = f32_f16(amax / 127.0f);
		float scale = f16_f32(h), inv = scale > 0 ? 1.0f / scale : 0.0f;
		memcpy(p + payload + (g * scale_step + scale_at) * 2, &h, 2);
		for (int64_t i = 0; i < n; i++) {
			float v = x[g * 32 + i] * inv;
			v = v >= -127.0f ? v : -127.0f; /* a NaN too */
			v = v <= 127.0f ? v : 127.0f;
			q[(g * 32 + i) * step + at] = (int8_t)round_even(v);
		}
	}
}

static void store(view cache, int64_t head, int64_t d, const float *x, int64_t slot, int transposed) {
	int64_t t = slot % INGOT_BLOCK_TOKENS, groups = ceil_div(d, 32);
	int64_t step = transposed ? INGOT_BLOCK_TOKENS : 1, at = transposed ? t : t * d;
	uint8_t *block = cache.data + slot / INGOT_BLOCK_TOKENS * cache.stride;
	if (cache.dtype == INGOT_F32) {
		float *p = (float *)(void *)block + head * d * INGOT_BLOCK_TOKENS + at;
		for (int64_t i = 0; i < d; i++) p[i * step] = x[i];
	} else if (cache.dtype == INGOT_BF16) {
		uint16_t *p = (uint16_t *)(void *)block + head * (d + d % 2) * INGOT_BLOCK_TOKENS;
		if (transposed)
			for (int64_t i = 0; i < d; i++) p[i / 2 * 2 * INGOT_BLOCK_TOKENS + 2 * t + i % 2] = f32_bf16(x[i]);
		else
			for (int64_t i = 0; i < d; i++) p[t / 2 * 2 * d + 2 * i + t % 2] = f32_bf16(x[i]);
	} else {
		int64_t payload = INGOT_BLOCK_TOKENS * d, bytes = payload + INGOT_BLOCK_TOKENS * groups * 2;
		store_q8(block + head * bytes, payload, x, d, step, at, step, transposed ? t : t * groups);
	}
}

static void run(const ctx *c, const ingot_instr *in, int64_t task, void *scratch) {
	(void)scratch;
	view k = view_of(c, in->in[0]), v = view_of(c, in->in[1]), kc = view_of(c, in->in[2]), vc = view_of(c, in->in[3]);
	int64_t lo, hi, dk = in->i[1], dv = in->i[2];
	task_rows(k.n, k.cols + v.cols, task, &lo, &hi);
	for (int64_t r = lo; r < hi; r++)
		for (int64_t h = 0; h < in->i[0]; h++) {
			store(kc, h, dk, row_f32(k, r) + h * dk, c->batch->slots[r], 1);
			store(vc, h, dv, row_f32(v, r) + h * dv, c->batch->slots[r], 0);
		}
}

const op NAME(op_store_kv) = {tasks, run};
