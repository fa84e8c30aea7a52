"""Reads a run's events with TensorBoard (PyPI: tensorboard) and compares them with its log.

usage: events.py OUT

OUT is the --out of a training run. Of a step that was made again after a checkpoint the
last line of the log counts. Prints what differs and exits with 1.
"""

import json
import math
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

failed = False


def same(what, got, want):
    global failed
    close = [g[0] == w[0] and math.isclose(g[1], w[1], rel_tol=1e-6) for g, w in zip(got, want)]
    if len(got) != len(want) or not all(close):
        failed = True
        print(f"{what}: TensorBoard has {got!r}, the log {want!r}")


out, rate, log = sys.argv[1], 0, {}
for line in map(json.loads, open(f"{out}/log.jsonl", encoding="utf-8")):
    if "run" in line:
        rate, log = line["run"]["lr"], {k: v for k, v in log.items() if k[0] <= line["run"]["from"]}
    else:
        log[line["step"], "sample" in line] = line

events = EventAccumulator(f"{out}/tensorboard", size_guidance={"scalars": 0, "tensors": 0})
events.Reload()
for tag, name, factor in [("train/loss", "loss", 1), ("train/grad_norm", "grad_norm", 1), ("train/learning_rate", "lr_share", rate),
                          ("train/tokens_per_second", "tok_s", 1), ("train/mfu", "mfu", 1),
                          ("validation/loss", "valid_loss", 1), ("validation/bits_per_byte", "valid_bits_per_byte", 1)]:
    same(tag, [(e.step, e.value) for e in events.Scalars(tag)],
         [(line["step"], line[name] * factor) for line in log.values() if name in line])
texts = [(e.step, e.tensor_proto.string_val[0].decode()) for e in events.Tensors("sample")]
want = [(line["step"], line["sample"]) for line in log.values() if "sample" in line]
if texts != want or events.SummaryMetadata("sample").plugin_data.plugin_name != "text":
    failed = True
    print(f"samples: TensorBoard has {texts!r}, the log {want!r}")
sys.exit(failed)
