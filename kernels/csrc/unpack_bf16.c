/* Rows of weights as bf16: each value of the type rounded once, half to even. */
#include "bf16.h"
#include "blocks.h"

/* Any 32 elements or fewer. */
static void round_group(const float *restrict x, int64_t n, uint16_t *restrict out) {
	for (int64_t i = 0; i < n; i++) out[i] = f32_bf16(x[i]);
	for (int64_t i = n; i < 32; i++) out[i] = 0;
}

static void plain(uint32_t type, const uint8_t *p, int64_t n, uint16_t *restrict out, int64_t step) {
	float x[32];
	for (int64_t i = 0; i < n; i += 32, out += step) {
		int64_t m = min64(32, n - i);
		ingot_decode(type, p, i, m, x);
		round_group(x, m, out);
	}
}

static void integers(const int8_t *restrict q, float scale, float min, int n, uint16_t *restrict out) {
	for (int i = 0; i < n; i++) out[i] = f32_bf16(scale * (float)q[i] - min);
}

void NAME(unpack_bf16)(uint32_t type, const uint8_t *row, int64_t k0, int64_t n, uint16_t *restrict out, int64_t step) {
	const block_type *t = ingot_block_type(type);
	row += k0 / t->elems * t->bytes;
	if (!t->unpack) {
		plain(type, row, n, out, step);
		return;
	}
	int_block b;
	for (int64_t k = 0; k < n; k += t->elems, row += t->bytes) {
		t->unpack(&b, row);
		for (int e = 0; e < t->elems; e += t->group)
			integers(b.q + e, b.scale[e / t->group], t->has_min ? b.min[e / t->group] : 0.0f, t->group, out + (k + e) / 32 * step + e % 32);
	}
}
