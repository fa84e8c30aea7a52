/* exp, tanh, erf in f32, in plain C that a compiler vectorizes: no branches, no calls,
 * no fused multiply-add, so that every table gives the same bits. Errors in units of
 * the last place, measured over the floats by test_kernels: exp 0.96 (results below
 * 2^-126 are 0), tanh 1.31, erf 1.11. */
#ifndef INGOT_MATHF_H
#define INGOT_MATHF_H
#include "blocks.h"

/* The nearest integer of |x| < 2^22, half to even: 1.5 * 2^23 pushes the fraction out. */
static inline float round_even(float x) { return (x + 12582912.0f) - 12582912.0f; }

/* exp(x) = 2^n e^r, |r| <= ln 2 / 2; ln 2 in two parts, the first exact times n;
 * polynomial of Cephes' expf. 2^n in two factors, as n may be 128. */
static inline float exp_f32(float x) {
	float c = x < -104.0f ? -104.0f : x;
	c = c > 89.0f ? 89.0f : c;
	float n = round_even(c * 1.44269504088896341f);
	float r = c - n * 0.693359375f;
	r = r - n * -2.12194440e-4f;
	float p = 1.9875691500e-4f;
	p = p * r + 1.3981999507e-3f;
	p = p * r + 8.3334519073e-3f;
	p = p * r + 4.1665795894e-2f;
	p = p * r + 1.6666665459e-1f;
	p = p * r + 5.0000001201e-1f;
	p = p * (r * r) + r + 1.0f;
	int32_t e = (int32_t)n, half = e >> 1;
	float y = p * bits_f32((uint32_t)(half + 127) << 23) * bits_f32((uint32_t)(e - half + 127) << 23);
	y = x < -87.3365447f ? 0.0f : y; /* below the normal numbers, and -infinity */
	return x != x ? x : y;
}

static inline float tanh_f32(float x) {
	float a = x < 0 ? -x : x, s = x * x;
	float p = -5.70498872745e-3f; /* Cephes' tanhf, |x| < 0.625 */
	p = p * s + 2.06390887954e-2f;
	p = p * s - 5.37397155531e-2f;
	p = p * s + 1.33314422036e-1f;
	p = p * s - 3.33332819422e-1f;
	float small = p * s * x + x;
	float big = 1.0f - 2.0f / (exp_f32(2.0f * a) + 1.0f);
	big = x < 0 ? -big : big;
	return a < 0.625f ? small : big;
}

/* Two polynomials (N. Juffa's coefficients): erf x = x P(x^2), and 1 - exp(Q(|x|)). */
static inline float erf_f32(float x) {
	float a = x < 0 ? -x : x, s = x * x;
	float c = a > 4.0f ? 4.0f : a, cs = c * c;
	float q = (-1.72853470e-5f * c + 3.83197126e-4f) * cs + (-3.88396438e-3f * c + 2.42546219e-2f);
	q = q * c - 1.06777877e-1f;
	q = q * c - 6.34846687e-1f;
	q = q * c - 1.28717512e-1f;
	q = q * c - c;
	float big = 1.0f - exp_f32(q);
	big = x < 0 ? -big : big;
	float p = -5.96761703e-4f;
	p = p * s + 4.99119423e-3f;
	p = p * s - 2.67681349e-2f;
	p = p * s + 1.12819925e-1f;
	p = p * s - 3.76125336e-1f;
	p = p * s + 1.28379166e-1f;
	float small = p * x + x;
	small = x != x ? x : small;
	return a > 0.927734375f ? big : small;
}
#endif
