/* The optimizer's passes over memory: AdamW, and sums of squares. Elements are taken in
 * chunks of CHUNK, which are the tasks, so that no bit depends on the threads. */
#include <math.h>
#include "lanes.h"
#include "update.h"

/* One pass: the gradient times scale enters the moments, the master moves, its rounded
 * copy follows, the gradient becomes zero. */
void NAME(adamw)(const ingot_adamw_args *a, int64_t from, int64_t to) {
	float *restrict p = a->master, *restrict m = a->m, *restrict v = a->v, *restrict grad = a->grad;
	float b1 = a->beta1, b2 = a->beta2, keep = 1.0f - a->lr * a->decay, lr = a->lr, scale = a->scale, c1 = a->correct1, c2 = a->correct2, eps = a->eps;
	for (int64_t i = from; i < to; i++) {
		float g = grad[i] * scale;
		float mi = b1 * m[i] + (1.0f - b1) * g, vi = b2 * v[i] + (1.0f - b2) * (g * g);
		m[i] = mi, v[i] = vi, grad[i] = 0;
		p[i] = p[i] * keep - lr * ((mi * c1) / (sqrtf(vi * c2) + eps));
	}
	for (int64_t i = from; a->rounded && i < to; i++) a->rounded[i] = f32_bf16(p[i]);
}

double NAME(sum_squares)(const float *x, int64_t n) { return (double)squares16(x, n, 0.0f); }
