/* Reading rows of logits for sampling: ../strips.go is the specification. A product is
 * rounded before it is added, so that every instruction set gives the reference's bits. */
#include "internal.h"
#include "vec.h"
#include <float.h>

#define STRIP INGOT_STRIP

/* The last strip, filled up with -infinity, which is nothing to all that is asked here. */
static const float *part_of(const ingot_row *r, int64_t from, float *tail) {
	if (from + STRIP <= r->n) return r->x + from;
	for (int64_t i = 0; i < STRIP; i++) tail[i] = from + i < r->n ? r->x[from + i] : -INFINITY;
	return tail;
}

/* Without weights a NaN or +infinity has to be looked for; with them it makes total NaN. */
INLINE void maxima(ingot_row *r, int check) {
	float ALIGNED tail[STRIP];
	vf top = vf_set(-INFINITY), bad = vf_set(0);
	for (int64_t from = 0; from < r->n; from += STRIP) {
		const float *x = part_of(r, from, tail);
		vf high = vf_set(-INFINITY);
		for (int i = 0; i < STRIP; i += 16) {
			vf v = vf_load(x + i);
			high = vf_max(v, high);
			if (check) bad = vf_mla(vf_max(vf_set(-FLT_MAX), v), vf_set(0), bad);
		}
		r->high[from / STRIP] = vf_top(high);
		top = vf_max(high, top);
	}
	r->top = vf_top(top);
	r->bad = vf_total(bad) != 0;
}

/* 2 * 2^(i/16) */
static const float ALIGNED powers[16] = {
	0x1p+1f, 0x1.0b5586p+1f, 0x1.172b84p+1f, 0x1.2387a6p+1f, 0x1.306fep+1f, 0x1.3dea64p+1f, 0x1.4bfdaep+1f, 0x1.5ab07ep+1f,
	0x1.6a09e6p+1f, 0x1.7a1148p+1f, 0x1.8ace54p+1f, 0x1.9c4918p+1f, 0x1.ae89fap+1f, 0x1.c199bep+1f, 0x1.d5818ep+1f, 0x1.ea4afap+1f,
};

/* 2^y for -126 <= y <= 0: of y in sixteenths the last four bits pick from twice the powers,
 * the others are the exponent of half a power of two, which is 0 for -126; a polynomial has
 * what is left. A NaN stays. */
INLINE vf power(vf y) {
	const vf magic = vf_set(786558.0f); /* rounds to sixteenths, and leaves those from -126 up in the low bits */
	vf s = vf_add(y, magic), f = vf_sub(y, vf_sub(s, magic));
	vf p = vf_add(vf_mul(vf_set(0.240229f), f), vf_set(0.6931878f));
	p = vf_add(vf_mul(p, f), vf_set(1.0f));
	vi whole = vi_and(vi_sll(vi_bits(s), 19), vi_set(0x7f800000));
	return vf_mul(p, vf_mul(vf_pick(powers, vi_bits(s)), vf_bits(whole)));
}

INLINE void weights(ingot_row *r, const ingot_row *after, int moments) {
	float ALIGNED tail[STRIP];
	const vf top = vf_set(r->top), scale = vf_set(r->scale);
	for (int64_t from = 0; from < r->n; from += STRIP) {
		const float *x = part_of(r, from, tail);
		vf sum = vf_set(0), moment = vf_set(0);
		for (int i = 0; i < STRIP && from + i < after->n; i += 16) __builtin_prefetch(after->x + from + i, 0, 2);
#pragma GCC unroll 4
		for (int i = 0; i < STRIP; i += 16) {
			vf y = vf_max(vf_set(-126.0f), vf_mul(vf_sub(vf_load(x + i), top), scale)), w = power(y);
			sum = vf_add(sum, w);
			if (moments) moment = vf_add(moment, vf_mul(w, y));
		}
		float part = vf_total(sum);
		r->sums[from / STRIP] = part;
		r->total += (double)part;
		if (moments) r->moment += (double)vf_total(moment);
	}
}

void NAME(read_row)(ingot_row *r, const ingot_row *after) {
	r->total = r->moment = 0;
	if (r->scale != 0) maxima(r, 0);
	if (r->scale == 0 || r->top == -INFINITY) {
		maxima(r, 1);
		return;
	}
	if (r->moments)
		weights(r, after, 1);
	else
		weights(r, after, 0);
	r->bad = r->total != r->total;
}
