/* What ingot_open makes. */
#ifndef INGOT_LIBRARY_H
#define INGOT_LIBRARY_H
#include "workers.h"

typedef struct {
	uint64_t features;
	uint32_t tables;
	void *shared;
	workers *workers;
} library;
#endif
