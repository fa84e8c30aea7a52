"""Measures tiktoken and Hugging Face's tokenizers beside Ingot: same vocabulary and text.

    bench/peers/install.sh text
    ~/.cache/ingot/peers/text-venv/bin/python bench/peers/tokenizers.py --file TEXT \\
        [--ingot bin/ingot] [--data ../shared/data/tokenizers] [--rounds 5]

TEXT is some MB in UTF-8. The programs run in turns, each on one thread, on the whole text;
a figure is the median over the rounds, in 10^6 bytes a second. Where programs differ in
the number of tokens it says so and ends with 1.
"""
import argparse
import base64
import gzip
import json
import os
import statistics
import subprocess
import sys
import time

sys.path.pop(0)  # this file has the name of the package
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

import tiktoken  # noqa: E402
import tokenizers  # noqa: E402

GPT2 = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""
CL100K = (r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"""
          r"""|\s++$|\s*[\r\n]|\s+(?!\S)|\s""")


def flags():
    p = argparse.ArgumentParser()
    p.add_argument("--file", required=True)
    p.add_argument("--ingot", default="bin/ingot")
    p.add_argument("--data", default="../shared/data/tokenizers")
    p.add_argument("--rounds", type=int, default=5)
    return p.parse_args()


def from_tiktoken(path, pattern):
    with gzip.open(path) as f:
        pairs = (line.split() for line in f if line.strip())
        ranks = {base64.b64decode(token): int(rank) for token, rank in pairs}
    encoding = tiktoken.Encoding(path, pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    return lambda text: len(encoding.encode_ordinary(text))


def from_hugging_face(path):
    with gzip.open(path) as f:
        tok = tokenizers.Tokenizer.from_str(f.read().decode())
    return lambda text: len(tok.encode_batch_fast([text], add_special_tokens=False)[0].ids)


def timed(encode, text):
    start = time.perf_counter()
    tokens = encode(text)
    return len(text.encode()) / 1e6 / (time.perf_counter() - start), tokens


def ingot(f, path):
    out = subprocess.run([f.ingot, "bench", "tokenizer", "--model", path, "--file", f.file, "--repeat", "1", "--json"],
                         check=True, capture_output=True, env={**os.environ, "GOMAXPROCS": "1"}).stdout
    result = json.loads(out)
    return result["encode_mb_s"], result["tokens"]


def compare(name, f, programs):
    """programs maps a name to a function that returns MB/s and tokens."""
    runs = {p: [] for p in programs}
    for run in programs.values():
        run()  # warm
    for _ in range(f.rounds):
        for p, run in programs.items():
            runs[p].append(run())
    counts = {p: r[0][1] for p, r in runs.items()}
    for p, r in runs.items():
        rates = [rate for rate, _ in r]
        print(f"{name:8} {p:12} {statistics.median(rates):7.1f} MB/s  ({min(rates):.1f} to {max(rates):.1f})  {counts[p]} tokens")
    return len(set(counts.values())) == 1


def main():
    f = flags()
    with open(f.file, encoding="utf-8", newline="") as file:
        text = file.read()
    gpt2, cl100k = f.data + "/hf-json/gpt2-tokenizer.json.gz", f.data + "/tiktoken/cl100k_base.tiktoken.gz"
    r50k = from_tiktoken(f.data + "/tiktoken/r50k_base.tiktoken.gz", GPT2)
    hf, cl = from_hugging_face(gpt2), from_tiktoken(cl100k, CL100K)
    same = compare("gpt-2", f, {
        "ingot": lambda: ingot(f, gpt2),
        "tiktoken": lambda: timed(r50k, text),
        "tokenizers": lambda: timed(hf, text),
    })
    same &= compare("cl100k", f, {"ingot": lambda: ingot(f, cl100k), "tiktoken": lambda: timed(cl, text)})
    if not same:
        sys.exit("the programs differ in the number of tokens")


main()
