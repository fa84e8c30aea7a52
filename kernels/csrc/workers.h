/* The library's threads: made once, woken for each instruction that has several tasks. */
#ifndef INGOT_WORKERS_H
#define INGOT_WORKERS_H
#include "internal.h"

typedef struct workers workers;

/* threads includes the caller; NULL when memory or threads run out. */
workers *workers_new(int threads, int nice);
void workers_free(workers *w);
int workers_threads(const workers *w);

/* Runs fn(arg, task, scratch) once for each task < tasks, on the caller and up to
 * threads-1 workers, and returns when all are done. One caller at a time. */
typedef void (*task_fn)(const void *arg, int64_t task, void *scratch);
void workers_run(workers *w, task_fn fn, const void *arg, int64_t tasks, int threads);
#endif
