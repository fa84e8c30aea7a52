// Drives running ingot servers with the unmodified npm client. clients_test.go starts the
// servers and says in the environment where they are.
'use strict';
const assert = require('node:assert/strict');
const OpenAI = require('openai').OpenAI;
const {
  APIConnectionError, APIError, APIUserAbortError, AuthenticationError, BadRequestError, NotFoundError,
  PermissionDeniedError, RateLimitError,
} = require('openai');

const env = process.env;
const connect = (url, more) => new OpenAI({ baseURL: url + '/v1', apiKey: env.INGOT_KEY, maxRetries: 0, timeout: 60_000, ...more });
const chat = connect(env.INGOT_CHAT_URL);
const text = connect(env.INGOT_TEXT_URL);
const embed = connect(env.INGOT_EMBED_URL);
const busy = connect(env.INGOT_BUSY_URL);
const drain = connect(env.INGOT_DRAIN_URL);

const model = env.INGOT_CHAT_MODEL;
const story = env.INGOT_TEXT_MODEL;
const messages = [{ role: 'system', content: 'Be brief.' }, { role: 'user', content: 'Tell me of the sea.' }];
const greedy = { model, messages, temperature: 0, max_tokens: 24 };
const tale = { model: story, prompt: 'Once upon a time', temperature: 0, max_tokens: 32 };

async function all(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

// texts joins a stream's pieces for each choice.
function texts(chunks, piece) {
  const out = [];
  for (const choice of chunks.flatMap((c) => c.choices)) out[choice.index] = (out[choice.index] ?? '') + piece(choice);
  return out;
}
const delta = (choice) => choice.delta.content ?? '';
const plain = (choice) => choice.text;

async function metric(name) {
  const answer = await fetch(env.INGOT_TEXT_URL + '/metrics', { headers: { Authorization: 'Bearer ' + env.INGOT_KEY } });
  const line = (await answer.text()).split('\n').find((l) => l.startsWith(name + '{') || l.startsWith(name + ' '));
  return Number(line.slice(line.lastIndexOf(' ')));
}

async function raises(kind, status, call) {
  const err = await call().then(() => null, (e) => e);
  assert.ok(err instanceof kind, `want ${kind.name}, got ${err?.constructor.name}: ${err?.message}`);
  if (status) assert.equal(err.status, status);
  return err;
}

const checks = {
  async models() {
    const list = await all(await chat.models.list());
    assert.deepEqual(list.map((m) => m.id), [model]);
    const one = await chat.models.retrieve(model);
    assert.equal(one.object, 'model');
    assert.ok(one.created > 1.6e9);
  },

  async 'chat: answer and stream agree'() {
    const whole = await chat.chat.completions.create(greedy);
    assert.equal(whole.object, 'chat.completion');
    assert.equal(whole.model, model);
    assert.equal(whole.choices.length, 1);
    assert.equal(whole.choices[0].message.role, 'assistant');
    assert.ok(whole.choices[0].message.content.length > 0);
    assert.equal(whole.usage.total_tokens, whole.usage.prompt_tokens + whole.usage.completion_tokens);
    const chunks = await all(await chat.chat.completions.create({ ...greedy, stream: true }));
    assert.ok(chunks.every((c) => c.object === 'chat.completion.chunk' && c.id === chunks[0].id && c.created === chunks[0].created));
    assert.equal(chunks[0].choices[0].delta.role, 'assistant');
    assert.deepEqual(texts(chunks, delta), [whole.choices[0].message.content]);
    assert.equal(chunks.at(-1).choices[0].finish_reason, whole.choices[0].finish_reason);
    assert.ok(chunks.slice(0, -1).every((c) => c.choices[0].finish_reason === null));
    assert.ok(chunks.every((c) => !('usage' in c)));
  },

  async 'chat: usage in the stream'() {
    const whole = await chat.chat.completions.create(greedy);
    const chunks = await all(await chat.chat.completions.create({ ...greedy, stream: true, stream_options: { include_usage: true } }));
    const last = chunks.pop();
    assert.deepEqual(last.choices, []);
    assert.equal(last.usage.prompt_tokens, whole.usage.prompt_tokens);
    assert.equal(last.usage.completion_tokens, whole.usage.completion_tokens);
    assert.ok(last.usage.prompt_tokens_details.cached_tokens <= last.usage.prompt_tokens);
    assert.ok(chunks.every((c) => c.usage === null));
  },

  async 'chat: stream helper'() {
    const whole = await chat.chat.completions.create(greedy);
    const helper = chat.chat.completions.stream({ ...greedy, stream_options: { include_usage: true } });
    let told = '';
    helper.on('content', (piece) => (told += piece));
    const final = await helper.finalChatCompletion();
    assert.equal(final.choices[0].message.content, whole.choices[0].message.content);
    assert.equal(told, whole.choices[0].message.content);
    assert.equal(final.usage.completion_tokens, whole.usage.completion_tokens);
  },

  async 'chat: log-probabilities'() {
    const asked = { ...greedy, logprobs: true, top_logprobs: 5 };
    const whole = await chat.chat.completions.create(asked);
    const tokens = whole.choices[0].logprobs.content;
    assert.equal(tokens.length, whole.usage.completion_tokens);
    for (const t of tokens) {
      assert.equal(t.top_logprobs.length, 5);
      assert.ok(t.top_logprobs.every((alt, i) => alt.logprob <= (i ? t.top_logprobs[i - 1].logprob : 0)), 'sorted');
      assert.equal(t.top_logprobs[0].logprob, t.logprob, 'temperature 0 takes the likeliest');
      if (!t.token.startsWith('bytes:')) assert.equal(Buffer.from(t.bytes).toString(), t.token);
    }
    const chunks = await all(await chat.chat.completions.create({ ...asked, stream: true }));
    const streamed = chunks.flatMap((c) => c.choices[0].logprobs?.content ?? []);
    assert.deepEqual(streamed, tokens);
  },

  async 'chat: n, seed'() {
    const asked = { ...greedy, temperature: 1, seed: 7, n: 2 };
    const read = (answer) => answer.choices.map((c) => [c.index, c.message.content]);
    const first = read(await chat.chat.completions.create(asked));
    assert.deepEqual(first.map((c) => c[0]), [0, 1]);
    assert.notEqual(first[0][1], first[1][1]);
    assert.deepEqual(read(await chat.chat.completions.create(asked)), first);
    const streamed = texts(await all(await chat.chat.completions.create({ ...asked, stream: true })), delta);
    assert.deepEqual(streamed, first.map((c) => c[1]));
    assert.notDeepEqual(read(await chat.chat.completions.create({ ...asked, seed: 8 })), first);
  },

  async 'chat: stop, length'() {
    const whole = await text.completions.create(tale);
    const cut = await text.completions.create({ ...tale, stop: ['never in it', 'there was'] });
    const at = whole.choices[0].text.indexOf('there was');
    assert.ok(at > 0);
    assert.equal(cut.choices[0].text, whole.choices[0].text.slice(0, at));
    assert.equal(cut.choices[0].finish_reason, 'stop');
    const streamed = await all(await text.completions.create({ ...tale, stop: 'there was', stream: true }));
    assert.deepEqual(texts(streamed, plain), [cut.choices[0].text]);
    assert.equal(streamed.at(-1).choices[0].finish_reason, 'stop');
    for (const limit of [{ max_tokens: 5 }, { max_tokens: undefined, max_completion_tokens: 5 }]) {
      const short = await chat.chat.completions.create({ ...greedy, ...limit });
      assert.equal(short.choices[0].finish_reason, 'length');
      assert.equal(short.usage.completion_tokens, 5);
    }
  },

  async 'completions: string, array, token ids'() {
    const one = await text.completions.create(tale);
    assert.equal(one.object, 'text_completion');
    assert.match(one.choices[0].text, /there was/);
    const two = await text.completions.create({ ...tale, prompt: ['Once upon a time', 'Lily saw a dog'] });
    assert.deepEqual(two.choices.map((c) => c.index), [0, 1]);
    assert.equal(two.choices[0].text, one.choices[0].text);
    assert.notEqual(two.choices[1].text, one.choices[0].text);
    const ids = (await text.completions.create({ ...tale, return_token_ids: true })).choices[0].prompt_token_ids;
    for (const prompt of [ids, [ids, ids]]) {
      const answer = await text.completions.create({ ...tale, prompt });
      for (const choice of answer.choices) assert.equal(choice.text, one.choices[0].text);
    }
  },

  async 'completions: echo and log-probabilities'() {
    const scored = await text.completions.create({ ...tale, echo: true, logprobs: 2, max_tokens: 0 });
    const lp = scored.choices[0].logprobs;
    assert.equal(scored.choices[0].text, tale.prompt);
    assert.equal(lp.tokens.length, scored.usage.prompt_tokens);
    for (const list of [lp.token_logprobs, lp.top_logprobs, lp.text_offset]) assert.equal(list.length, lp.tokens.length);
    assert.equal(lp.token_logprobs[0], null);
    assert.ok(lp.token_logprobs.slice(1).every((x) => x <= 0));
    const more = (await text.completions.create({ ...tale, echo: true, logprobs: 2, max_tokens: 8 })).choices[0];
    assert.ok(more.text.startsWith(tale.prompt));
    assert.equal(more.logprobs.tokens.length, lp.tokens.length + 8);
    assert.deepEqual(more.logprobs.token_logprobs.slice(0, lp.tokens.length), lp.token_logprobs);
  },

  async 'completions: stream'() {
    const whole = await text.completions.create({ ...tale, n: 2, seed: 3, temperature: 0.8 });
    const chunks = await all(await text.completions.create({ ...tale, n: 2, seed: 3, temperature: 0.8, stream: true, stream_options: { include_usage: true } }));
    assert.deepEqual(chunks.at(-1).usage, { ...whole.usage, prompt_tokens_details: chunks.at(-1).usage.prompt_tokens_details });
    assert.deepEqual(texts(chunks, plain), whole.choices.map((c) => c.text));
  },

  async 'many at once answer as one alone'() {
    const alone = (await text.completions.create(tale)).choices[0].text;
    const together = await Promise.all(Array.from({ length: 16 }, () => text.completions.create(tale)));
    for (const answer of together) assert.equal(answer.choices[0].text, alone);
  },

  async embeddings() {
    const input = ['a cat sat', 'a dog ran away'];
    const coded = await embed.embeddings.create({ model: env.INGOT_EMBED_MODEL, input }); // the client asks for base64
    const floats = await embed.embeddings.create({ model: env.INGOT_EMBED_MODEL, input, encoding_format: 'float' });
    assert.deepEqual(coded.data.map((d) => d.index), [0, 1]);
    assert.ok(coded.data[0].embedding.length > 0);
    for (const i of [0, 1]) {
      assert.equal(coded.data[i].embedding.length, floats.data[i].embedding.length);
      coded.data[i].embedding.forEach((x, k) => assert.ok(Math.fround(floats.data[i].embedding[k]) === x));
    }
    assert.notDeepEqual(coded.data[0].embedding, coded.data[1].embedding);
    assert.equal(coded.usage.total_tokens, coded.usage.prompt_tokens);
    const one = await embed.embeddings.create({ model: env.INGOT_EMBED_MODEL, input: input[1] });
    assert.deepEqual(one.data[0].embedding, coded.data[1].embedding);
  },

  async 'errors by class'() {
    const ask = (more, client = chat) => () => client.chat.completions.create({ ...greedy, ...more });
    const bad = await raises(BadRequestError, 400, ask({ temperature: 3 }));
    assert.equal(bad.param, 'temperature');
    assert.equal(bad.type, 'invalid_request_error');
    assert.match(bad.message, /temperature/);
    assert.equal((await raises(BadRequestError, 400, ask({ messages: 'hello' }))).param, 'messages');
    assert.equal((await raises(BadRequestError, 400, ask({ response_format: { type: 'json_object' } }))).param, 'response_format');
    assert.equal((await raises(BadRequestError, 400, ask({ max_tokens: 4096 }))).code, 'context_length_exceeded');
    await raises(BadRequestError, 400, ask({ stream: true, n: 0 }));
    await raises(BadRequestError, 400, () => embed.chat.completions.create({ messages, model: env.INGOT_EMBED_MODEL }));
    await raises(BadRequestError, 400, () => text.embeddings.create({ input: 'a', model: story }));
    assert.equal((await raises(AuthenticationError, 401, ask({}, connect(env.INGOT_CHAT_URL, { apiKey: 'not-the-key' })))).code, 'invalid_api_key');
    assert.equal((await raises(NotFoundError, 404, ask({ model: 'gpt-0' }))).code, 'model_not_found');
    await raises(NotFoundError, 404, () => chat.models.retrieve('gpt-0'));
    await raises(NotFoundError, 404, () => chat.files.list());
    await raises(PermissionDeniedError, 403, () => chat.chat.completions.create(greedy, { headers: { Origin: 'https://elsewhere.example' } }));
    const large = [{ role: 'user', content: 'x'.repeat(Number(env.INGOT_TOO_LARGE)) }];
    assert.equal((await raises(APIError, 413, ask({ messages: large }))).code, 'body_too_large');
    await chat.models.list(); // the client goes on
  },

  async 'errors: overload, and its retry'() {
    const ask = (client) => client.completions.create({ ...tale, model: env.INGOT_BUSY_MODEL, max_tokens: 200, ignore_eos: true });
    const answers = await Promise.allSettled(Array.from({ length: 8 }, () => ask(busy)));
    const refused = answers.filter((a) => a.status === 'rejected').map((a) => a.reason);
    assert.ok(refused.length > 0 && refused.length < 8, `${refused.length} of 8 refused`);
    for (const err of refused) {
      assert.ok(err instanceof RateLimitError, String(err));
      assert.equal(err.code, 'overloaded');
      assert.equal(err.headers.get('retry-after'), '1');
    }
    const patient = connect(env.INGOT_BUSY_URL, { maxRetries: 20 });
    await Promise.all(Array.from({ length: 4 }, () => ask(patient)));
  },

  async 'abort ends the work'() {
    const before = await metric('vllm:generation_tokens_total');
    const stream = await text.completions.create({ ...tale, n: 16, temperature: 1, max_tokens: 480, ignore_eos: true, stream: true });
    let seen = 0;
    for await (const _ of stream) if (++seen === 3) break;
    assert.ok(stream.controller.signal.aborted);
    const deadline = Date.now() + 5000;
    while ((await metric('vllm:num_requests_running')) !== 0) assert.ok(Date.now() < deadline, 'still running');
    const made = (await metric('vllm:generation_tokens_total')) - before;
    assert.ok(made < 16 * 480, `all ${made} tokens were made`);
    const control = new AbortController();
    const call = text.completions.create({ ...tale, n: 16, temperature: 1, max_tokens: 480, ignore_eos: true }, { signal: control.signal });
    setTimeout(() => control.abort(), 20);
    await raises(APIUserAbortError, 0, () => call);
  },

  // Last, since it ends a server.
  async 'error in mid-stream'() {
    const stream = await drain.completions.create({ ...tale, n: 16, temperature: 1, max_tokens: 480, ignore_eos: true, stream: true });
    let seen = 0;
    const err = await raises(APIError, 0, async () => {
      for await (const _ of stream) if (++seen === 1) await fetch(env.INGOT_DRAIN_CONTROL, { method: 'POST' });
    });
    assert.ok(seen >= 1);
    assert.equal(err.code, 'shutting_down');
    await raises(APIConnectionError, 0, () => drain.models.list());
  },
};

async function main() {
  let failed = 0;
  for (const [name, check] of Object.entries(checks)) {
    try {
      await check();
      console.log('ok   ' + name);
    } catch (err) {
      failed++;
      console.log('FAIL ' + name + ': ' + err.stack);
    }
  }
  console.log(`npm openai, node ${process.version}: ${Object.keys(checks).length - failed} passed, ${failed} failed`);
  process.exitCode = failed ? 1 : 0;
}

main();
