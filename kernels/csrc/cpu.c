#include "cpu.h"
#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#define XCR0_AVX 0x6u        /* SSE and AVX state enabled by the system */
#define XCR0_AVX512 0xe6u    /* and mask registers, upper halves, high registers */
#define XCR0_AMX 0x60000u    /* tile configuration and tile data */
#define ARCH_REQ_XCOMP_PERM 0x1023
#define XFEATURE_XTILEDATA 18

static uint64_t xcr0(void) {
	uint32_t lo, hi;
	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	return (uint64_t)hi << 32 | lo;
}

/* Linux enables tile data per process on request. */
static int amx_permitted(void) { return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0; }

static uint64_t bit(uint32_t word, int n, uint64_t feature) { return word >> n & 1 ? feature : 0; }

static uint64_t avx512_features(uint32_t b7, uint32_t c7, uint32_t d7, uint32_t a71) {
	uint64_t f = 0;
	if ((b7 >> 16 & 1) && (b7 >> 30 & 1) && (b7 >> 31 & 1) && (b7 >> 17 & 1)) f |= INGOT_FEATURE_AVX512;
	f |= bit(c7, 11, INGOT_FEATURE_VNNI) | bit(a71, 5, INGOT_FEATURE_BF16) | bit(d7, 23, INGOT_FEATURE_AVX512_FP16);
	return f & INGOT_FEATURE_AVX512 ? f : 0;
}

static uint64_t amx_features(uint32_t d7) {
	return bit(d7, 24, INGOT_FEATURE_AMX_TILE) | bit(d7, 22, INGOT_FEATURE_AMX_BF16) | bit(d7, 25, INGOT_FEATURE_AMX_INT8);
}

static uint64_t features(void) {
	uint32_t a, b, c, d, b7 = 0, c7 = 0, d7 = 0, a71 = 0;
	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 27 & 1)) return 0; /* no XGETBV */
	uint64_t state = xcr0(), f = 0;
	uint32_t c1 = c;
	if (__get_cpuid_count(7, 0, &a, &b7, &c7, &d7) && a >= 1) __get_cpuid_count(7, 1, &a71, &b, &c, &d);
	if ((state & XCR0_AVX) != XCR0_AVX) return 0;
	f |= bit(b7, 5, INGOT_FEATURE_AVX2) | bit(c1, 12, INGOT_FEATURE_FMA) | bit(c1, 29, INGOT_FEATURE_F16C);
	f |= bit(a71, 4, INGOT_FEATURE_AVX_VNNI);
	if ((state & XCR0_AVX512) == XCR0_AVX512) f |= avx512_features(b7, c7, d7, a71);
	if ((state & XCR0_AMX) == XCR0_AMX && (d7 >> 24 & 1) && amx_permitted()) f |= amx_features(d7);
	return f;
}
#else
static uint64_t features(void) { return 0; }
#endif

uint64_t ingot_cpu_features(void) {
	uint64_t f = features();
#if defined(AMX_EMULATE)
	f |= INGOT_FEATURE_AMX_TILE | INGOT_FEATURE_AMX_BF16 | INGOT_FEATURE_AMX_INT8;
#endif
	return f;
}

uint32_t ingot_cpu_tables(uint64_t f) {
	const uint64_t avx2 = INGOT_FEATURE_AVX2 | INGOT_FEATURE_FMA | INGOT_FEATURE_F16C, avx512 = avx2 | INGOT_FEATURE_AVX512;
	const uint64_t bf16 = avx512 | INGOT_FEATURE_VNNI | INGOT_FEATURE_BF16;
	const uint64_t amx = bf16 | INGOT_FEATURE_AMX_TILE | INGOT_FEATURE_AMX_BF16;
	uint32_t t = 1u << INGOT_TABLE_GENERIC;
	t |= (f & avx2) == avx2 ? 1u << INGOT_TABLE_AVX2 : 0;
	t |= (f & avx512) == avx512 ? 1u << INGOT_TABLE_AVX512 : 0;
	t |= (f & bf16) == bf16 ? 1u << INGOT_TABLE_AVX512_BF16 : 0;
	t |= (f & amx) == amx ? 1u << INGOT_TABLE_AMX : 0;
	return t;
}
