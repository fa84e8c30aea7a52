/* The pool. One word says which job is open and how many workers are inside it. A
 * worker enters an open job it has not seen by adding itself to the word; the caller
 * works too, closes the job when no task is left, and waits for those inside only: a
 * worker that the system has not scheduled yet costs nothing. Idle workers spin for a
 * while (a step is hundreds of jobs in a row), then sleep on a futex. */
#include "workers.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#if defined(__linux__)
#include <linux/futex.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#endif

#define OPEN 0x10000u       /* state: job number << 17 | OPEN | workers inside */
#define JOB_SHIFT 17
#define INSIDE 0xffffu
#define SPINS 20000         /* about 0.3 to 0.8 ms of pauses */

struct workers {
	_Alignas(64) atomic_uint_fast64_t state;
	_Alignas(64) atomic_int_fast64_t next;
	_Alignas(64) atomic_uint wake; /* futex: counts jobs; sleepers wait for a change */
	atomic_int sleeping;
	atomic_int stop;
	task_fn fn;
	const void *arg;
	int64_t tasks;
	int threads, nice, limit;
	int started;
	uint8_t *scratch;
	pthread_t *thread;
};

typedef struct {
	workers *w;
	int index;
} seat;

static inline void pause_cpu(void) {
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static void futex_wait(atomic_uint *word, unsigned value) {
#if defined(__linux__)
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
#else
	(void)word, (void)value;
	usleep(50);
#endif
}

static void futex_wake(atomic_uint *word) {
#if defined(__linux__)
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1 << 30, NULL, NULL, 0);
#else
	(void)word;
#endif
}

static void work(workers *w, int index) {
	void *scratch = w->scratch + (size_t)index * SCRATCH_BYTES;
	for (int64_t t; (t = atomic_fetch_add_explicit(&w->next, 1, memory_order_relaxed)) < w->tasks;) w->fn(w->arg, t, scratch);
}

/* Enters the open job if it is not the one last seen; returns its number or 0. */
static uint64_t enter(workers *w, uint64_t seen) {
	uint64_t s = atomic_load_explicit(&w->state, memory_order_relaxed);
	while ((s & OPEN) && s >> JOB_SHIFT != seen)
		if (atomic_compare_exchange_weak_explicit(&w->state, &s, s + 1, memory_order_acquire, memory_order_relaxed)) return s >> JOB_SHIFT;
	return 0;
}

static void sleep_until_job(workers *w, unsigned wake) {
	atomic_fetch_add(&w->sleeping, 1);
	if (atomic_load(&w->wake) == wake && !atomic_load(&w->stop)) futex_wait(&w->wake, wake);
	atomic_fetch_sub(&w->sleeping, 1);
}

static void *worker(void *arg) {
	seat s = *(seat *)arg;
	workers *w = s.w;
	free(arg);
#if defined(__linux__)
	if (w->nice) setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), getpriority(PRIO_PROCESS, 0) + w->nice);
#endif
	uint64_t seen = 0;
	while (!atomic_load_explicit(&w->stop, memory_order_relaxed)) {
		unsigned wake = atomic_load(&w->wake);
		uint64_t job = 0;
		for (int i = 0; i < SPINS && !(job = enter(w, seen)) && !atomic_load_explicit(&w->stop, memory_order_relaxed); i++) pause_cpu();
		if (!job) {
			sleep_until_job(w, wake);
			continue;
		}
		seen = job;
		if (s.index < w->limit) work(w, s.index);
		atomic_fetch_sub_explicit(&w->state, 1, memory_order_release);
	}
	return NULL;
}

/* Workers must never run the host's signal handlers: they start with all blocked. */
static int start(workers *w) {
	sigset_t all, old;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	for (int i = 1; i < w->threads; i++) {
		seat *s = malloc(sizeof *s);
		if (!s) break;
		*s = (seat){w, i};
		if (pthread_create(&w->thread[i], NULL, worker, s)) {
			free(s);
			break;
		}
		w->started = i;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return w->started == w->threads - 1;
}

workers *workers_new(int threads, int nice) {
	workers *w = NULL;
	if (posix_memalign((void **)&w, 64, sizeof *w)) return NULL;
	memset(w, 0, sizeof *w);
	w->threads = threads;
	w->nice = nice;
	w->thread = calloc((size_t)threads, sizeof *w->thread);
	w->scratch = mmap(NULL, (size_t)threads * SCRATCH_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (w->scratch == MAP_FAILED) w->scratch = NULL;
	if (w->scratch) madvise(w->scratch, (size_t)threads * SCRATCH_BYTES, MADV_HUGEPAGE);
	if (!w->thread || !w->scratch || !start(w)) {
		workers_free(w);
		return NULL;
	}
	return w;
}

void workers_free(workers *w) {
	atomic_store(&w->stop, 1);
	atomic_fetch_add(&w->wake, 1);
	futex_wake(&w->wake);
	for (int i = 1; i <= w->started; i++) pthread_join(w->thread[i], NULL);
	if (w->scratch) munmap(w->scratch, (size_t)w->threads * SCRATCH_BYTES);
	free(w->thread);
	free(w);
}

int workers_threads(const workers *w) { return w->threads; }

void workers_run(workers *w, task_fn fn, const void *arg, int64_t tasks, int threads) {
	w->fn = fn;
	w->arg = arg;
	w->tasks = tasks;
	atomic_store_explicit(&w->next, 0, memory_order_relaxed);
	if (tasks <= 1 || threads <= 1) {
		work(w, 0);
		return;
	}
	w->limit = threads;
	uint64_t job = (atomic_load_explicit(&w->state, memory_order_relaxed) >> JOB_SHIFT) + 1;
	atomic_store(&w->state, job << JOB_SHIFT | OPEN);
	atomic_fetch_add(&w->wake, 1);
	if (atomic_load(&w->sleeping)) futex_wake(&w->wake);
	work(w, 0);
	uint64_t s = atomic_fetch_and_explicit(&w->state, ~(uint64_t)OPEN, memory_order_acquire);
	for (int i = 0; s & INSIDE; i++) {
		if (i < SPINS) pause_cpu();
		else sched_yield();
		s = atomic_load_explicit(&w->state, memory_order_acquire);
	}
}
