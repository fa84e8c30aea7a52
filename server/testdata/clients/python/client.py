"""Drives running ingot servers with the unmodified Python client.

clients_test.go starts the servers and says in the environment where they are.
"""

import asyncio
import os
import platform
import sys
import time
import traceback
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import openai
from openai import AsyncOpenAI, OpenAI

env = os.environ


def options(url, **more):
    return {"base_url": url + "/v1", "api_key": env["INGOT_KEY"], "max_retries": 0, "timeout": 60, **more}


chat = OpenAI(**options(env["INGOT_CHAT_URL"]))
text = OpenAI(**options(env["INGOT_TEXT_URL"]))
embed = OpenAI(**options(env["INGOT_EMBED_URL"]))
busy = OpenAI(**options(env["INGOT_BUSY_URL"]))
drain = OpenAI(**options(env["INGOT_DRAIN_URL"]))

model = env["INGOT_CHAT_MODEL"]
story = env["INGOT_TEXT_MODEL"]
messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Tell me of the sea."}]
greedy = {"model": model, "messages": messages, "temperature": 0, "max_tokens": 24}
tale = {"model": story, "prompt": "Once upon a time", "temperature": 0, "max_tokens": 32}
flood = {"n": 16, "temperature": 1, "max_tokens": 480, "extra_body": {"ignore_eos": True}}
USAGE = {"include_usage": True}


def texts(chunks, piece):
    """Joins a stream's pieces for each choice."""
    out = {}
    for choice in (choice for chunk in chunks for choice in chunk.choices):
        out[choice.index] = out.get(choice.index, "") + piece(choice)
    return [out[i] for i in sorted(out)]


def delta(choice):
    return choice.delta.content or ""


def plain(choice):
    return choice.text


def metric(name):
    request = urllib.request.Request(env["INGOT_TEXT_URL"] + "/metrics", headers={"Authorization": "Bearer " + env["INGOT_KEY"]})
    with urllib.request.urlopen(request, timeout=10) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith((name + "{", name + " ")):
                return float(line.rsplit(" ", 1)[1])
    raise AssertionError(f"no metric {name}")


def raises(kind, call, status=None):
    try:
        call()
    except kind as err:
        assert type(err) is kind, f"want {kind.__name__}, got {type(err).__name__}"
        assert status is None or err.status_code == status, err
        return err
    raise AssertionError(f"no {kind.__name__} was raised")


def equal(got, want):
    assert got == want, f"got {got!r}, want {want!r}"


def models():
    equal([m.id for m in chat.models.list()], [model])
    one = chat.models.retrieve(model)
    equal(one.object, "model")
    assert one.created > 1.6e9


def chat_answer_and_stream_agree():
    whole = chat.chat.completions.create(**greedy)
    equal((whole.object, whole.model, len(whole.choices)), ("chat.completion", model, 1))
    equal(whole.choices[0].message.role, "assistant")
    assert whole.choices[0].message.content
    equal(whole.usage.total_tokens, whole.usage.prompt_tokens + whole.usage.completion_tokens)
    chunks = list(chat.chat.completions.create(**greedy, stream=True))
    assert all(c.object == "chat.completion.chunk" and (c.id, c.created) == (chunks[0].id, chunks[0].created) for c in chunks)
    equal(chunks[0].choices[0].delta.role, "assistant")
    equal(texts(chunks, delta), [whole.choices[0].message.content])
    equal(chunks[-1].choices[0].finish_reason, whole.choices[0].finish_reason)
    assert all(c.choices[0].finish_reason is None and c.usage is None for c in chunks[:-1])


def chat_usage_in_the_stream():
    whole = chat.chat.completions.create(**greedy)
    *chunks, last = chat.chat.completions.create(**greedy, stream=True, stream_options=USAGE)
    equal(last.choices, [])
    equal((last.usage.prompt_tokens, last.usage.completion_tokens), (whole.usage.prompt_tokens, whole.usage.completion_tokens))
    assert last.usage.prompt_tokens_details.cached_tokens <= last.usage.prompt_tokens
    assert all(c.usage is None for c in chunks)


def chat_stream_helper():
    full = chat.chat.completions.create(**greedy, extra_body={"return_token_ids": True})
    asked = {**greedy, "extra_body": {"stop_token_ids": [full.choices[0].token_ids[8]]}}
    whole = chat.chat.completions.create(**asked)
    equal(whole.choices[0].finish_reason, "stop")
    told = ""
    with chat.chat.completions.stream(**asked, stream_options=USAGE) as stream:
        for event in stream:
            if event.type == "content.delta":
                told += event.delta
        final = stream.get_final_completion()
    equal(final.choices[0].message.content, whole.choices[0].message.content)
    equal(told, whole.choices[0].message.content)
    equal(final.usage.completion_tokens, whole.usage.completion_tokens)
    with chat.chat.completions.stream(**greedy) as stream:
        raises(openai.LengthFinishReasonError, stream.get_final_completion)


def chat_log_probabilities():
    asked = {**greedy, "logprobs": True, "top_logprobs": 5}
    whole = chat.chat.completions.create(**asked)
    tokens = whole.choices[0].logprobs.content
    equal(len(tokens), whole.usage.completion_tokens)
    for t in tokens:
        ranked = [alt.logprob for alt in t.top_logprobs]
        equal(len(ranked), 5)
        equal(ranked, sorted(ranked, reverse=True))
        assert ranked[0] == t.logprob <= 0, "temperature 0 takes the likeliest"
        if not t.token.startswith("bytes:"):
            equal(bytes(t.bytes).decode(), t.token)
    chunks = chat.chat.completions.create(**asked, stream=True)
    equal([t for c in chunks if c.choices[0].logprobs for t in c.choices[0].logprobs.content], tokens)


def chat_n_seed():
    asked = {**greedy, "temperature": 1, "seed": 7, "n": 2}
    read = lambda answer: [(c.index, c.message.content) for c in answer.choices]
    first = read(chat.chat.completions.create(**asked))
    equal([index for index, _ in first], [0, 1])
    assert first[0][1] != first[1][1]
    equal(read(chat.chat.completions.create(**asked)), first)
    equal(texts(chat.chat.completions.create(**asked, stream=True), delta), [content for _, content in first])
    assert read(chat.chat.completions.create(**{**asked, "seed": 8})) != first


def stop_length():
    whole = text.completions.create(**tale).choices[0].text
    cut = text.completions.create(**tale, stop=["never in it", "there was"]).choices[0]
    assert whole.find("there was") > 0
    equal(cut.text, whole[: whole.find("there was")])
    equal(cut.finish_reason, "stop")
    streamed = list(text.completions.create(**tale, stop="there was", stream=True))
    equal(texts(streamed, plain), [cut.text])
    equal(streamed[-1].choices[0].finish_reason, "stop")
    for limit in ({"max_tokens": 5}, {"max_tokens": openai.omit, "max_completion_tokens": 5}):
        short = chat.chat.completions.create(**{**greedy, **limit})
        equal((short.choices[0].finish_reason, short.usage.completion_tokens), ("length", 5))


def completions_string_array_token_ids():
    one = text.completions.create(**tale)
    equal(one.object, "text_completion")
    assert "there was" in one.choices[0].text
    two = text.completions.create(**{**tale, "prompt": ["Once upon a time", "Lily saw a dog"]})
    equal([c.index for c in two.choices], [0, 1])
    equal(two.choices[0].text, one.choices[0].text)
    assert two.choices[1].text != one.choices[0].text
    ids = text.completions.create(**tale, extra_body={"return_token_ids": True}).choices[0].prompt_token_ids
    for prompt in (ids, [ids, ids]):
        for choice in text.completions.create(**{**tale, "prompt": prompt}).choices:
            equal(choice.text, one.choices[0].text)


def completions_echo_and_log_probabilities():
    asked = {**tale, "echo": True, "logprobs": 2}
    scored = text.completions.create(**{**asked, "max_tokens": 0})
    lp = scored.choices[0].logprobs
    equal(scored.choices[0].text, tale["prompt"])
    equal([len(x) for x in (lp.tokens, lp.token_logprobs, lp.top_logprobs, lp.text_offset)], [scored.usage.prompt_tokens] * 4)
    assert lp.token_logprobs[0] is None
    assert all(x <= 0 for x in lp.token_logprobs[1:])
    more = text.completions.create(**{**asked, "max_tokens": 8}).choices[0]
    assert more.text.startswith(tale["prompt"])
    equal(len(more.logprobs.tokens), len(lp.tokens) + 8)
    equal(more.logprobs.token_logprobs[: len(lp.tokens)], lp.token_logprobs)


def completions_stream():
    asked = {**tale, "n": 2, "seed": 3, "temperature": 0.8}
    whole = text.completions.create(**asked)
    chunks = list(text.completions.create(**asked, stream=True, stream_options=USAGE))
    equal(texts(chunks, plain), [c.text for c in whole.choices])
    equal(chunks[-1].usage.completion_tokens, whole.usage.completion_tokens)


def many_at_once_answer_as_one_alone():
    alone = text.completions.create(**tale).choices[0].text
    with ThreadPoolExecutor(16) as pool:
        for answer in pool.map(lambda _: text.completions.create(**tale), range(16)):
            equal(answer.choices[0].text, alone)


def async_client():
    async def run():
        async with AsyncOpenAI(**options(env["INGOT_CHAT_URL"])) as client:
            whole = await client.chat.completions.create(**greedy)
            chunks = [c async for c in await client.chat.completions.create(**greedy, stream=True)]
            equal(texts(chunks, delta), [whole.choices[0].message.content])

    asyncio.run(run())


def raw_response():
    raw = chat.chat.completions.with_raw_response.create(**greedy)
    assert raw.headers["x-request-id"]
    equal(raw.headers["content-type"], "application/json")
    equal(raw.parse()._request_id, raw.headers["x-request-id"])


def embeddings():
    asked = {"model": env["INGOT_EMBED_MODEL"], "input": ["a cat sat", "a dog ran away"]}
    coded = embed.embeddings.create(**asked)  # the client asks for base64
    floats = embed.embeddings.create(**asked, encoding_format="float")
    equal([d.index for d in coded.data], [0, 1])
    for a, b in zip(coded.data, floats.data):
        assert len(a.embedding) == len(b.embedding) > 0
        assert max(abs(x - y) for x, y in zip(a.embedding, b.embedding)) < 1e-6
    assert coded.data[0].embedding != coded.data[1].embedding
    equal(coded.usage.total_tokens, coded.usage.prompt_tokens)
    equal(embed.embeddings.create(model=asked["model"], input=asked["input"][1]).data[0].embedding, coded.data[1].embedding)


def errors_by_class():
    def ask(client=chat, **more):
        return lambda: client.chat.completions.create(**{**greedy, **more})

    bad = raises(openai.BadRequestError, ask(temperature=3), 400)
    equal((bad.param, bad.type), ("temperature", "invalid_request_error"))
    assert "temperature" in bad.message
    equal(raises(openai.BadRequestError, ask(messages="hello"), 400).param, "messages")
    equal(raises(openai.BadRequestError, ask(response_format={"type": "json_object"}), 400).param, "response_format")
    equal(raises(openai.BadRequestError, ask(max_tokens=4096), 400).code, "context_length_exceeded")
    raises(openai.BadRequestError, ask(stream=True, n=0), 400)
    raises(openai.BadRequestError, ask(embed, model=env["INGOT_EMBED_MODEL"]), 400)
    raises(openai.BadRequestError, lambda: text.embeddings.create(input="a", model=story), 400)
    stranger = OpenAI(**options(env["INGOT_CHAT_URL"], api_key="not-the-key"))
    equal(raises(openai.AuthenticationError, ask(stranger), 401).code, "invalid_api_key")
    equal(raises(openai.NotFoundError, ask(model="gpt-0"), 404).code, "model_not_found")
    raises(openai.NotFoundError, lambda: chat.models.retrieve("gpt-0"), 404)
    raises(openai.NotFoundError, lambda: chat.files.list(), 404)
    raises(openai.PermissionDeniedError, ask(extra_headers={"Origin": "https://elsewhere.example"}), 403)
    large = [{"role": "user", "content": "x" * int(env["INGOT_TOO_LARGE"])}]
    equal(raises(openai.APIStatusError, ask(messages=large), 413).code, "body_too_large")
    chat.models.list()  # the client goes on


def errors_overload_and_its_retry():
    def ask(client):
        asked = {**tale, "model": env["INGOT_BUSY_MODEL"], "max_tokens": 200, "extra_body": {"ignore_eos": True}}
        try:
            client.completions.create(**asked)
        except openai.APIError as err:
            return err

    with ThreadPoolExecutor(8) as pool:
        refused = [err for err in pool.map(ask, [busy] * 8) if err]
        assert 0 < len(refused) < 8, f"{len(refused)} of 8 refused"
        for err in refused:
            assert type(err) is openai.RateLimitError, err
            equal((err.code, err.response.headers["retry-after"]), ("overloaded", "1"))
        patient = OpenAI(**options(env["INGOT_BUSY_URL"], max_retries=20))
        equal(list(pool.map(ask, [patient] * 4)), [None] * 4)


def abort_ends_the_work():
    before = metric("vllm:generation_tokens_total")
    stream = text.completions.create(**{**tale, **flood}, stream=True)
    for _ in range(3):
        next(stream)
    stream.close()
    deadline = time.monotonic() + 5
    while metric("vllm:num_requests_running"):
        assert time.monotonic() < deadline, "still running"
    made = metric("vllm:generation_tokens_total") - before
    assert made < 16 * 480, f"all {made} tokens were made"
    raises(openai.APITimeoutError, lambda: text.completions.create(**{**tale, **flood}, timeout=0.02))


def error_in_mid_stream():
    """Last, since it ends a server."""
    stream = drain.completions.create(**{**tale, **flood}, stream=True)
    next(stream)
    urllib.request.urlopen(urllib.request.Request(env["INGOT_DRAIN_CONTROL"], method="POST"), timeout=10).close()
    equal(raises(openai.APIError, lambda: list(stream)).code, "shutting_down")
    raises(openai.APIConnectionError, lambda: drain.models.list())


CHECKS = [
    models,
    chat_answer_and_stream_agree,
    chat_usage_in_the_stream,
    chat_stream_helper,
    chat_log_probabilities,
    chat_n_seed,
    stop_length,
    completions_string_array_token_ids,
    completions_echo_and_log_probabilities,
    completions_stream,
    many_at_once_answer_as_one_alone,
    async_client,
    raw_response,
    embeddings,
    errors_by_class,
    errors_overload_and_its_retry,
    abort_ends_the_work,
    error_in_mid_stream,
]


def main():
    failed = 0
    for check in CHECKS:
        name = check.__name__.replace("_", " ")
        try:
            check()
            print("ok   " + name)
        except Exception:
            failed += 1
            print("FAIL " + name + ": " + traceback.format_exc())
    print(f"Python openai {openai.__version__}, Python {platform.python_version()}: {len(CHECKS) - failed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main())
