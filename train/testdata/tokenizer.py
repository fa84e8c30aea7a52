"""Holds a tokenizer of ours to Hugging Face's libraries (PyPI: tokenizers, transformers).

usage: tokenizer.py DIR < job.json

DIR is what ingot train tokenizer made of the job's documents. The job says with which
options, and which ids and texts ingot gives. Prints what differs and exits with 1.
"""

import json
import sys

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer

failed = False


def same(what, got, want):
    global failed
    if got != want:
        failed = True
        print(f"{what}: theirs {got!r}, ours {want!r}")


def trained(job):
    """Their vocabulary for the same documents and options, as tokenizer.json."""
    t = Tokenizer(models.BPE())
    parts = [pre_tokenizers.Split(Regex(p), "isolated") for p in job["patterns"]]
    t.pre_tokenizer = pre_tokenizers.Sequence(parts + [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(job["documents"], trainers.BpeTrainer(
        vocab_size=job["vocab_size"], min_frequency=job["min_frequency"], special_tokens=job["special"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    return json.loads(t.to_str())["model"]


directory, job = sys.argv[1], json.load(sys.stdin)
ours = json.load(open(f"{directory}/tokenizer.json", encoding="utf-8"))["model"]
theirs = trained(job)
same("merges", theirs["merges"], ours["merges"])
same("vocabulary", theirs["vocab"], ours["vocab"])

fast = Tokenizer.from_file(f"{directory}/tokenizer.json")
auto = AutoTokenizer.from_pretrained(directory)
for row in job["rows"]:
    same(f"tokenizers, {row['text']!r}", fast.encode(row["text"]).ids, row["ids"])
    same(f"transformers, {row['text']!r}", auto(row["text"])["input_ids"], row["ids"])
    same(f"transformers, decoding {row['ids']}", auto.decode(row["ids"]), row["text"])
same("eos", auto.eos_token, job["special"][0])
same("specials", auto.convert_tokens_to_ids(job["special"]), list(range(len(job["special"]))))
same("special in text", auto("a" + job["special"][1] + "b")["input_ids"][1], 1)
same("without specials", auto.decode(auto("a" + job["special"][1] + "b")["input_ids"], skip_special_tokens=True), "ab")
chat = auto.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True)
same("chat", chat, "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")
sys.exit(failed)
