"""Measures llama.cpp, through its Python bindings, doing the work of `ingot bench model`.

It takes the same flags and prints the same JSON lines: a prompt of one sequence, then one
token at a time for each size of batch, after warm-ups, the median of each.

The settings are those with which llama.cpp was fastest on a 2-core Zen machine, of flash
attention on and off, one cache or one for each sequence, steps of 256 and 512 tokens, and
mapped or copied weights. Its repacking of weights for the processor is on, as by default.
"""
import argparse
import ctypes
import json
import os
import resource
import statistics
import sys
import time

import llama_cpp as lib


def flags():
    p = argparse.ArgumentParser()
    p.add_argument("--model", required=True)
    p.add_argument("--prompt", type=int, default=512)
    p.add_argument("--gen", type=int, default=64)
    p.add_argument("--batch", default="1", help="sizes of batches, a list")
    p.add_argument("--repeat", type=int, default=3)
    p.add_argument("--warmup", type=int, default=1)
    p.add_argument("--threads", type=int, default=0)
    p.add_argument("--json", action="store_true", help="for the sake of ingot's flag: it is always JSON")
    f = p.parse_args()
    f.batch = [int(n) for n in f.batch.split(",")]
    f.threads = f.threads or os.cpu_count()
    return f


def make_context(model, f):
    """A context with room for the largest batch, whose sequences share one cache."""
    p = lib.llama_context_default_params()
    p.n_ctx = max(f.batch) * (f.gen + f.warmup + 1) + f.prompt + 256
    p.n_batch = p.n_ubatch = 512
    p.n_seq_max = max(f.batch)
    p.n_threads = p.n_threads_batch = f.threads
    p.flash_attn_type = lib.LLAMA_FLASH_ATTN_TYPE_ENABLED
    p.kv_unified = True  # so that sequences can share the prompt's keys
    ctx = lib.llama_init_from_model(model, p)
    if not ctx:
        sys.exit("llama.cpp cannot make a context of %d tokens" % p.n_ctx)
    return ctx


class Work:
    """Steps of equal sequences on a context."""

    def __init__(self, ctx, vocab, size):
        self.ctx, self.vocab = ctx, vocab
        self.batch = lib.llama_batch_init(size, 0, 1)
        self.memory = lib.llama_get_memory(ctx)

    def step(self, seqs, first, n):
        """Runs positions first to first+n-1 of the first seqs sequences; seconds."""
        b, i = self.batch, 0
        for s in range(seqs):
            for p in range(first, first + n):
                b.token[i] = (p * 7919 + s) % self.vocab
                b.pos[i], b.n_seq_id[i], b.seq_id[i][0] = p, 1, s
                b.logits[i] = p == first + n - 1
                i += 1
        b.n_tokens = i
        start = time.perf_counter()
        if lib.llama_decode(self.ctx, b) != 0:
            sys.exit("llama_decode failed at position %d of %d sequences" % (first, seqs))
        lib.llama_synchronize(self.ctx)
        return time.perf_counter() - start

    def prefill(self, n):
        lib.llama_memory_clear(self.memory, True)
        return sum(self.step(1, at, min(512, n - at)) for at in range(0, n, 512))

    def decode(self, seqs, prompt, n):
        """Seconds of each step. Every sequence begins with the first one's prompt."""
        for s in range(max(seqs, 1)):
            lib.llama_memory_seq_rm(self.memory, s, prompt if s == 0 else 0, -1)
            if s > 0:
                lib.llama_memory_seq_cp(self.memory, 0, s, 0, prompt)
        return [self.step(seqs, prompt + i, 1) for i in range(n)]


def main():
    f = flags()
    silent = lib.llama_log_callback(lambda level, text, data: None)
    lib.llama_log_set(silent, ctypes.c_void_p(0))
    lib.llama_backend_init()
    params = lib.llama_model_default_params()
    params.n_gpu_layers = 0
    params.use_extra_bufts = True  # repacked weights
    params.load_mode = lib.LLAMA_LOAD_MODE_NONE  # copied, to large pages where malloc gives them (run.sh)
    model = lib.llama_model_load_from_file(f.model.encode(), params)
    if not model:
        sys.exit("llama.cpp cannot load " + f.model)
    name = ctypes.create_string_buffer(128)
    lib.llama_model_desc(model, name, 128)
    weights = "".join(name.value.decode().split()[2:])  # "llama 1B Q4_K - Medium"
    vocab = lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(model))
    work = Work(make_context(model, f), vocab, max(512, max(f.batch)))

    def report(kind, batch, tokens, seconds, **more):
        rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        line = dict(kind=kind, model=os.path.basename(f.model), type=weights, table="llama.cpp", kv_type="f16", threads=f.threads,
                    batch=batch, prompt=f.prompt, tokens=tokens, tok_s=(tokens if kind == "prefill" else batch) / seconds,
                    rss_bytes=rss, **more)
        print(json.dumps(line), flush=True)

    times = [work.prefill(f.prompt) for _ in range(f.warmup + f.repeat)]
    report("prefill", 1, f.prompt, statistics.median(times[f.warmup:]))
    for n in f.batch if f.gen > 0 else []:
        times = work.decode(n, f.prompt, f.warmup + f.gen)
        report("decode", n, n * f.gen, statistics.median(times[f.warmup:]), context=f.prompt)


main()
