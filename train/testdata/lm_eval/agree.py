#!/usr/bin/env python3
"""Compares ingot eval with EleutherAI's lm-evaluation-harness.

The harness (pip install 'lm-eval[api]==0.4.13' transformers) asks a running ingot serve
through /v1/completions with its own task definitions; only the rows come from the shared
files, put back into the form that the harness's data sets have. ingot eval answers the same
tasks in its own process and over the server's URL. Exits with 1 if an accuracy differs by
more than 1e-3, or a perplexity by more than 1e-3 of it.

    agree.py --ingot bin/ingot --model DIR --data shared/data [--tasks arc_easy,...] [--limit N]

DIR is a Hugging Face directory: the harness divides text with its tokenizer.json.
"""

import argparse
import json
import pathlib
import socket
import subprocess
import sys
import time
import urllib.request

import lm_eval
from lm_eval.tasks._yaml_loader import load_yaml

TASKS = pathlib.Path(lm_eval.__file__).parent / "tasks"
LETTERS = "ABCD"


def arc(row):
    return {
        "question": row["query"].removeprefix("Question: "),
        "choices": {"text": row["choices"], "label": list(LETTERS[: len(row["choices"])])},
        "answerKey": LETTERS[row["gold"]],
    }


def piqa(row):
    goal = row["query"].removeprefix("Question: ").removesuffix("\n")
    return {"goal": goal, "sol1": row["choices"][0], "sol2": row["choices"][1], "label": row["gold"]}


def boolq(row):
    passage, question = row["query"].removeprefix("Passage: ").rsplit("\nQuestion: ", 1)
    return {"passage": passage, "question": question.removesuffix("?"), "label": row["gold"]}


def copa(row):
    premise, connector = row["query"].rsplit(", ", 1)
    question = {"because": "cause", "therefore": "effect"}[connector]
    return {
        "premise": premise + ".", "question": question, "label": row["gold"],
        "choice1": row["choices"][0], "choice2": row["choices"][1],
    }


def openbookqa(row):
    return {"question_stem": row["query"], **{k: v for k, v in arc(row).items() if k != "question"}}


def lambada(row):
    return {"text": row["context"] + " " + row["continuation"]}


def same(row):
    return row


def subject(row):
    topic = row["subject"].replace("_", " ")
    return {**row, "description": f"The following are multiple choice questions (with answers) about {topic}.\n\n"}


# name: the harness's definition, the shared file, how a row of it becomes the harness's,
# what is set besides.
FORMS = {
    "arc_easy": ("arc/arc_easy.yaml", "eval/arc_easy.jsonl.gz", arc, {}),
    "piqa": ("piqa/piqa.yaml", "eval/piqa.jsonl.gz", piqa, {}),
    "boolq": ("super_glue/boolq/default.yaml", "eval/boolq.jsonl.gz", boolq, {}),
    "copa": ("super_glue/copa/default.yaml", "eval/copa.jsonl.gz", copa, {}),
    "openbookqa": ("openbookqa/openbookqa.yaml", "eval/openbook_qa.jsonl.gz", openbookqa, {}),
    "mmlu": ("mmlu/default/_default_template_yaml", "eval/mmlu.jsonl.gz", subject, {"description": "{{description}}"}),
    "lambada_openai": ("lambada/lambada_openai.yaml", "eval/lambada_openai.jsonl.gz", lambada, {}),
    "gsm8k": ("gsm8k/gsm8k.yaml", "eval/gsm8k.test-even.jsonl.gz", same, {}),
}


def harness_task(name, data, shots):
    """The harness's own definition over the shared rows, with the first ones as examples."""
    path, file, form, extra = FORMS[name]
    config = load_yaml(TASKS / path, resolve_func=True)
    files = {"test": str(data / file)}
    if name == "gsm8k":
        files["train"] = str(data / "sft/gsm8k.train.jsonl.gz")
    for key in ("tag", "dataset_name", "training_split", "validation_split", "num_fewshot", "fewshot_split"):
        config.pop(key, None)
    config.update(
        task="ours_" + name, dataset_path="json", dataset_kwargs={"data_files": files}, test_split="test",
        fewshot_split="train" if "train" in files else "test", fewshot_config={"sampler": "first_n"},
        process_docs=lambda docs: docs.map(form, remove_columns=docs.column_names if form not in (same, subject) else []),
        **extra,
    )
    if shots is not None:
        config["num_fewshot"] = shots
    return config


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def serve(ingot, model, listen):
    server = subprocess.Popen([ingot, "serve", "--model", model, "--listen", listen], stderr=subprocess.DEVNULL)
    for _ in range(200):
        time.sleep(0.1)
        try:
            urllib.request.urlopen(f"http://{listen}/readyz")
            return server
        except OSError:
            pass
    server.kill()
    sys.exit("ingot serve did not become ready")


def ours(ingot, where, o):
    args = [ingot, "eval", *where, "--tasks", o.tasks, "--data", str(o.data), "--limit", str(o.limit), "--json"]
    if o.shots is not None:
        args += ["--num-fewshot", str(o.shots)]
    out = subprocess.run(args, check=True, stdout=subprocess.PIPE, text=True).stdout
    return {(r["task"], m["name"]): (m["value"], m["stderr"]) for r in map(json.loads, out.splitlines()) for m in r["metrics"]}


def theirs(url, context, o):
    found = lm_eval.simple_evaluate(
        model="local-completions",
        model_args={
            "model": pathlib.Path(o.model).name, "base_url": url + "/v1/completions", "tokenizer": o.model,
            "tokenizer_backend": "huggingface", "num_concurrent": 8, "max_length": context,
        },
        tasks=[harness_task(name, o.data, o.shots) for name in o.tasks.split(",")],
        limit=o.limit or None, bootstrap_iters=100,
    )
    out = {}
    for name, metrics in found["results"].items():
        for key, value in metrics.items():
            metric, _, rule = key.partition(",")
            if isinstance(value, float) and not metric.endswith("_stderr"):
                out[name.removeprefix("ours_"), metric if rule == "none" else key] = value, metrics.get(f"{metric}_stderr,{rule}")
    return out


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--ingot", required=True)
    p.add_argument("--model", required=True)
    p.add_argument("--data", required=True, type=pathlib.Path)
    p.add_argument("--tasks", default="arc_easy")
    p.add_argument("--limit", default=0, type=int)
    p.add_argument("--shots", default=None, type=int)
    o = p.parse_args()
    listen = f"127.0.0.1:{free_port()}"
    server = serve(o.ingot, o.model, listen)
    try:
        url = "http://" + listen
        with urllib.request.urlopen(url + "/v1/models") as r:
            card = json.load(r)["data"][0]
        here, there = ours(o.ingot, [o.model], o), ours(o.ingot, ["--url", url], o)
        harness = theirs(url, card["max_model_len"], o)
    finally:
        server.terminate()
        server.wait()
    bad = 0
    for key, (want, want_err) in sorted(harness.items()):
        if key not in here:
            print(*key, "harness", want, "not ours")
            continue
        for what, (got, got_err) in (("engine", here[key]), ("url", there[key])):
            off = abs(got - want) / (want if key[1] == "perplexity" else 1)
            bad += off > 1e-3
            print(*key, what, got, got_err, "harness", want, want_err, "DIFFERS" if off > 1e-3 else "agrees")
    sys.exit(bad > 0)


main()
