"""Repeats runs of ours with PyTorch, transformers and PEFT (PyPI: torch, transformers, peft).

usage: pytorch.py < job.json

Trains what the job's runs start from on the same batches, and compares the losses of the
steps; loads what they ended in, and compares the log-probabilities of held-out rows.
Prints the largest differences, and exits with 1 if one is beyond 1e-3.
"""

import json
import sys

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

LIMIT = 1e-3
failed = False


def check(what, difference):
    global failed
    failed |= not difference <= LIMIT
    print(f"{what}: {difference:.2e}", flush=True)


def load(run, folder, trainable=False):
    if not run["adapter"]:
        return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    base = AutoModelForCausalLM.from_pretrained(job["model"], dtype=torch.float32)
    return PeftModel.from_pretrained(base, folder, is_trainable=trainable)


def logprobs(model, rows):
    """Of every token but the rows' first, in float32: [rows, tokens - 1]."""
    rows = torch.tensor(rows)
    logits = model(input_ids=rows[:, :-1]).logits
    return torch.log_softmax(logits, -1).gather(-1, rows[:, 1:, None]).squeeze(-1)


def train(run):
    model = load(run, run["start"], trainable=True).train()
    learned = [p for p in model.parameters() if p.requires_grad]
    groups = [{"params": [p for p in learned if (p.dim() > 1) == matrix], "weight_decay": job["decay"] * matrix} for matrix in (True, False)]
    optimizer = torch.optim.AdamW([g for g in groups if g["params"]], lr=run["rate"], betas=(0.9, 0.95), eps=1e-8)
    for rows, share in zip(job["batches"], run["shares"], strict=True):
        loss = -logprobs(model, rows).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learned, job["clip"])
        for g in optimizer.param_groups:
            g["lr"] = run["rate"] * share
        optimizer.step()
        optimizer.zero_grad()
        yield loss.item()


job = json.load(sys.stdin)
torch.set_num_threads(2)
for run in job["runs"]:
    kind = "adapter" if run["adapter"] else "model"
    theirs = list(train(run))
    print(f"{kind}: loss {theirs[0]:.5f} at first, {theirs[-1]:.5f} after {len(theirs)} steps; ours {run['losses'][0]:.5f}, {run['losses'][-1]:.5f}")
    check(f"{kind}: losses differ relatively by at most", max(abs(a / b - 1) for a, b in zip(run["losses"], theirs, strict=True)))
    with torch.no_grad():
        want = logprobs(load(run, run["end"]).eval(), job["held_out"]).flatten()
    check(f"{kind}: log-probabilities differ by at most", (want - torch.tensor(run["logprobs"])).abs().max().item())
sys.exit(failed)
