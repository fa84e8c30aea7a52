/* Sums in the order that the norms promise: lane l adds elements l, l+16, ...; then
 * lane l takes lane l+8, +4, +2, +1. */
#ifndef INGOT_LANES_H
#define INGOT_LANES_H
#include <stdint.h>

static inline float lanes_total(float *lane) {
	for (int half = 8; half > 0; half /= 2)
		for (int l = 0; l < half; l++) lane[l] += lane[l + half];
	return lane[0];
}

static inline float sum16(const float *restrict x, int64_t n) {
	float lane[16] = {0};
	int64_t i = 0;
	for (; i + 16 <= n; i += 16)
		for (int l = 0; l < 16; l++) lane[l] += x[i + l];
	for (int l = 0; i < n; i++, l++) lane[l] += x[i];
	return lanes_total(lane);
}

/* Sum of (x - mean)^2. */
static inline float squares16(const float *restrict x, int64_t n, float mean) {
	float lane[16] = {0};
	int64_t i = 0;
	for (; i + 16 <= n; i += 16)
		for (int l = 0; l < 16; l++) lane[l] += (x[i + l] - mean) * (x[i + l] - mean);
	for (int l = 0; i < n; i++, l++) lane[l] += (x[i] - mean) * (x[i] - mean);
	return lanes_total(lane);
}

/* Sum of x y. */
static inline float dot16(const float *restrict x, const float *restrict y, int64_t n) {
	float lane[16] = {0};
	int64_t i = 0;
	for (; i + 16 <= n; i += 16)
		for (int l = 0; l < 16; l++) lane[l] += x[i + l] * y[i + l];
	for (int l = 0; i < n; i++, l++) lane[l] += x[i] * y[i];
	return lanes_total(lane);
}
#endif
