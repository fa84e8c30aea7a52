"use strict";
// The chat page. Model text reaches the document through textContent only, never as HTML.

const $ = (id) => document.getElementById(id);
const samplingFields = ["temperature", "top_p", "top_k", "min_p", "repetition_penalty", "max_tokens", "seed"];

// messages is the conversation: {role, content, reasoning, note, fault}.
let messages = [];
let model = { id: "", chat: true, generates: true };
let running = null; // the AbortController of the answer in work

// ---- small things ----

function element(tag, className, text) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  if (text !== undefined) e.textContent = text;
  return e;
}

function button(label, action, act) {
  const b = element("button", "", label);
  b.type = "button";
  b.dataset.action = action;
  b.addEventListener("click", act);
  return b;
}

// store keeps a value for this tab (sessionStorage) or for good (localStorage); a browser
// may forbid both.
function store(area, name, value) {
  try { window[area].setItem("ingot." + name, value); } catch { /* then it is not kept */ }
}
function stored(area, name) {
  try { return window[area].getItem("ingot." + name); } catch { return null; }
}

function notice(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
}

// ---- Markdown, the part of it that models write ----

// renderMarkdown fills parent with the nodes of a text.
function renderMarkdown(parent, text) {
  parent.replaceChildren();
  const fence = /^[ \t]*(```+|~~~+)[ \t]*([\w+#.-]*)[^\n]*$/;
  const lines = text.split("\n");
  let block = [];
  const flush = () => { renderBlocks(parent, block); block = []; };
  for (let i = 0; i < lines.length; i++) {
    const open = fence.exec(lines[i]);
    if (!open) { block.push(lines[i]); continue; }
    flush();
    const code = [];
    for (i++; i < lines.length && lines[i].trim() !== open[1]; i++) code.push(lines[i]);
    parent.append(codeBlock(code.join("\n"), open[2]));
  }
  flush();
}

function codeBlock(code, language) {
  const box = element("div", "code");
  const bar = element("div", "bar");
  bar.append(element("span", "", language || "code"), button("Copy", "copy-code", () => copy(code)));
  const pre = element("pre");
  pre.tabIndex = 0;
  pre.append(element("code", "", code));
  box.append(bar, pre);
  return box;
}

// renderBlocks makes paragraphs, headings and lists of lines without code blocks.
function renderBlocks(parent, lines) {
  let paragraph = [], list = null;
  const end = () => {
    if (paragraph.length) {
      const p = element("p");
      renderInline(p, paragraph.join("\n"));
      parent.append(p);
    }
    paragraph = [];
  };
  for (const line of lines) {
    const item = /^\s*(?:([-*+])|(\d{1,9})[.)])\s+(.*)$/.exec(line);
    const heading = /^#{1,6}\s+(.*)$/.exec(line);
    if (item) {
      end();
      const tag = item[1] ? "UL" : "OL";
      if (!list || list.tagName !== tag) {
        list = element(tag);
        if (item[2]) list.start = Number(item[2]);
        parent.append(list);
      }
      const li = element("li");
      renderInline(li, item[3]);
      list.append(li);
      continue;
    }
    if (line.trim() === "") { end(); continue; }
    list = null;
    if (heading) {
      end();
      const h = element("h3");
      renderInline(h, heading[1]);
      parent.append(h);
    } else {
      paragraph.push(line);
    }
  }
  end();
}

// renderInline makes code, bold and italic of their marks.
function renderInline(parent, text) {
  const mark = /(`+)([^`]+?)\1|\*\*([^*\n]+?)\*\*|\*([^*\s][^*\n]*?)\*/g;
  let from = 0;
  for (const m of text.matchAll(mark)) {
    parent.append(text.slice(from, m.index));
    if (m[2] !== undefined) parent.append(element("code", "", m[2]));
    else if (m[3] !== undefined) parent.append(element("strong", "", m[3]));
    else parent.append(element("em", "", m[4]));
    from = m.index + m[0].length;
  }
  parent.append(text.slice(from));
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    $("spoken").textContent = "Copied";
  } catch {
    notice("The browser does not allow copying here: select the text instead.");
  }
}

// ---- the conversation on the screen ----

function messageNode(index) {
  const m = messages[index];
  const li = element("li", "message " + m.role);
  li.append(element("div", "who", m.role === "user" ? "You" : model.id || "Model"));
  if (m.reasoning) {
    const d = element("details");
    d.open = !m.content;
    d.append(element("summary", "", "Thoughts"), element("p", "", m.reasoning));
    li.append(d);
  }
  const text = element("div", "text");
  if (m.role === "user") text.textContent = m.content;
  else renderMarkdown(text, m.content);
  if (m.working) text.classList.add("working");
  li.append(text);
  if (m.fault) {
    const fault = element("p", "fault", m.fault);
    fault.setAttribute("role", "alert");
    li.append(fault);
  }
  const facts = element("div", "facts");
  if (m.note) facts.append(element("span", "speed", m.note));
  if (!running) {
    if (m.role === "user") facts.append(button("Edit", "edit", () => edit(index)));
    else facts.append(button("Retry", "retry", () => retry(index)));
    facts.append(button("Copy", "copy", () => copy(m.content)));
  }
  li.append(facts);
  return li;
}

function draw() {
  const follow = atEnd();
  $("messages").replaceChildren(...messages.map((_, i) => messageNode(i)));
  $("empty").hidden = messages.length > 0;
  $("send").hidden = Boolean(running);
  $("stop").hidden = !running;
  if (follow) toEnd();
  store("sessionStorage", "messages", JSON.stringify(messages.map((m) => ({ ...m, working: false }))));
}

// atEnd tells whether the reader is at the newest text, which the page then follows.
function atEnd() {
  const log = $("log");
  return log.scrollHeight - log.scrollTop - log.clientHeight < 80;
}

function toEnd() { $("log").scrollTop = $("log").scrollHeight; }

// redrawLast draws the answer in work, at most once a frame.
let drawing = false;
function redrawLast() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    const last = $("messages").lastElementChild;
    if (!last || !running) return;
    const follow = atEnd();
    last.replaceWith(messageNode(messages.length - 1));
    if (follow) toEnd();
  });
}

// ---- talking to the server ----

function headers() {
  const h = { "Content-Type": "application/json" };
  const key = $("key").value.trim();
  if (key) h.Authorization = "Bearer " + key;
  return h;
}

// fail makes an Error of an answer that is no success.
async function fail(response) {
  let text = response.status + " " + response.statusText;
  try { text = (await response.json()).error.message; } catch { /* not ours: the status says it */ }
  if (response.status === 401) {
    openSettings(true);
    $("key").focus();
  }
  return new Error(text);
}

async function connect() {
  try {
    const response = await fetch("v1/models", { headers: headers() });
    if (!response.ok) throw await fail(response);
    const card = (await response.json()).data[0];
    model = { id: card.id, chat: card.meta.chat, generates: card.meta.generates };
    $("model").textContent = card.id + " \u00b7 " + card.meta.type + " \u00b7 " + card.max_model_len.toLocaleString("en") + " tokens of context";
    $("input").disabled = $("send").disabled = !model.generates;
    if (!model.generates) notice("This model makes embeddings and cannot answer.");
    else if (!model.chat) notice("This model has no chat template, so it goes on with your text (/v1/completions) instead of answering it.");
    else notice("");
    draw();
  } catch (err) {
    $("model").textContent = "not connected";
    notice("The server does not answer as expected: " + err.message);
  }
}

// body is the request of the conversation before the answer in work.
function body() {
  const b = { model: model.id || undefined, stream: true, stream_options: { include_usage: true } };
  for (const name of samplingFields) {
    const v = $(name).value.trim();
    if (v !== "" && Number.isFinite(Number(v))) b[name] = Number(v);
  }
  const turns = messages.slice(0, -1).filter((m) => m.content && !m.fault);
  const system = $("system").value.trim();
  if (model.chat) {
    b.messages = turns.map((m) => ({ role: m.role, content: m.content }));
    if (system) b.messages.unshift({ role: "system", content: system });
  } else {
    b.prompt = (system ? system + "\n" : "") + turns.map((m) => m.content).join("");
    if (b.max_tokens === undefined) b.max_tokens = 256;
  }
  return b;
}

// events yields the JSON of each server-sent event.
async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (!line.startsWith("data: ")) continue;
      if (line === "data: [DONE]") return;
      yield JSON.parse(line.slice(6));
    }
  }
}

// speed says how fast an answer came.
function speed(tokens, start, first, last) {
  if (!first) return "";
  let note = tokens + (tokens === 1 ? " token" : " tokens");
  if (tokens > 1 && last - first >= 10) note += " \u00b7 " + ((tokens - 1) / ((last - first) / 1000)).toFixed(1) + " tokens/s";
  return note + " \u00b7 first after " + ((first - start) / 1000).toFixed(2) + " s";
}

// generate asks for an answer to the conversation.
async function generate() {
  const answer = { role: "assistant", content: "", reasoning: "", working: true };
  messages.push(answer);
  const control = running = new AbortController();
  draw();
  toEnd();
  const start = performance.now();
  let first = 0, last = 0, chunks = 0, tokens = 0;
  try {
    const response = await fetch(model.chat ? "v1/chat/completions" : "v1/completions",
      { method: "POST", headers: headers(), body: JSON.stringify(body()), signal: control.signal });
    if (!response.ok) throw await fail(response);
    const warning = response.headers.get("X-Ingot-Warning");
    if (warning) notice(warning);
    for await (const chunk of events(response)) {
      if (chunk.error) throw new Error(chunk.error.message);
      if (chunk.usage) tokens = chunk.usage.completion_tokens;
      const choice = chunk.choices[0];
      if (!choice) continue;
      const content = model.chat ? choice.delta.content : choice.text;
      const thought = model.chat ? choice.delta.reasoning_content : "";
      if (content || thought) {
        last = performance.now();
        first = first || last;
        chunks++;
        answer.content += content || "";
        answer.reasoning += thought || "";
        answer.note = speed(chunks, start, first, last);
      }
      if (choice.finish_reason === "length") answer.cut = true;
      redrawLast();
    }
    $("spoken").textContent = "Answer: " + answer.content.slice(0, 2000);
  } catch (err) {
    if (control.signal.aborted) answer.stopped = true;
    else answer.fault = err.message;
  }
  answer.working = false;
  answer.note = speed(tokens || chunks, start, first, last);
  if (answer.stopped) answer.note += (answer.note ? " \u00b7 " : "") + "stopped";
  if (answer.cut) answer.note += " \u00b7 cut at the length limit";
  running = null;
  draw();
}

function send() {
  const text = $("input").value;
  if (running || !text.trim() || !model.generates) return;
  $("input").value = "";
  fit($("input"));
  messages.push({ role: "user", content: model.chat ? text.trim() : text });
  generate();
}

function stop() {
  if (running) running.abort();
  $("input").focus();
}

function retry(index) {
  if (running) return;
  messages.length = index;
  generate();
}

// edit turns a message of the user into a text box; sending it drops what follows.
function edit(index) {
  if (running) return;
  const li = $("messages").children[index];
  const editor = element("form", "editor");
  const box = element("textarea");
  box.value = messages[index].content;
  box.setAttribute("aria-label", "Edit the message");
  box.dataset.action = "editor";
  const row = element("div", "row");
  const save = element("button", "primary", "Send again");
  save.type = "submit";
  save.dataset.action = "save";
  const cancel = () => { draw(); $("messages").children[index].querySelector("[data-action=edit]").focus(); };
  row.append(button("Cancel", "cancel", cancel), save);
  editor.append(box, row);
  editor.addEventListener("submit", (e) => {
    e.preventDefault();
    if (!box.value.trim()) return;
    messages.length = index;
    messages.push({ role: "user", content: box.value });
    generate();
    $("input").focus();
  });
  box.addEventListener("keydown", (e) => {
    if (e.key === "Escape") { e.stopPropagation(); cancel(); }
    if (e.key === "Enter" && !e.shiftKey && !e.isComposing) { e.preventDefault(); editor.requestSubmit(); }
  });
  li.querySelector(".text").replaceWith(editor);
  li.querySelector(".facts").remove();
  fit(box);
  box.focus();
}

function exportConversation() {
  const data = { model: model.id, system: $("system").value, messages: messages.map(({ role, content, reasoning }) => ({ role, content, reasoning })) };
  const link = element("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(data, null, 2)], { type: "application/json" }));
  link.download = "conversation.json";
  link.click();
  URL.revokeObjectURL(link.href);
}

// ---- controls ----

function fit(box) {
  box.style.height = "auto";
  box.style.height = box.scrollHeight + 2 + "px";
}

function openSettings(open) {
  $("settings").hidden = !open;
  $("settings-toggle").setAttribute("aria-expanded", String(open));
}

function switchTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  store("localStorage", "theme", root.dataset.theme);
}

function saveSettings() {
  const values = { system: $("system").value };
  for (const name of samplingFields) values[name] = $(name).value;
  store("localStorage", "settings", JSON.stringify(values));
}

function restore() {
  const theme = stored("localStorage", "theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  $("key").value = stored("sessionStorage", "key") || "";
  try {
    const values = JSON.parse(stored("localStorage", "settings")) || {};
    for (const name of ["system", ...samplingFields]) if (typeof values[name] === "string") $(name).value = values[name];
    const kept = JSON.parse(stored("sessionStorage", "messages")) || [];
    messages = kept.filter((m) => m && (m.role === "user" || m.role === "assistant") && typeof m.content === "string");
  } catch { messages = []; }
}

$("composer").addEventListener("submit", (e) => { e.preventDefault(); send(); });
$("input").addEventListener("keydown", (e) => {
  if (e.key === "Enter" && !e.shiftKey && !e.isComposing) { e.preventDefault(); send(); }
});
$("input").addEventListener("input", () => fit($("input")));
$("stop").addEventListener("click", stop);
$("new").addEventListener("click", () => { if (running) running.abort(); messages = []; draw(); $("input").focus(); });
$("export").addEventListener("click", exportConversation);
$("theme").addEventListener("click", switchTheme);
$("settings-toggle").addEventListener("click", () => { openSettings($("settings").hidden); if (!$("settings").hidden) $("system").focus(); });
$("settings-close").addEventListener("click", () => { openSettings(false); $("settings-toggle").focus(); });
$("settings").addEventListener("input", saveSettings);
$("key").addEventListener("change", () => { store("sessionStorage", "key", $("key").value.trim()); connect(); });
$("reset").addEventListener("click", () => { for (const name of samplingFields) $(name).value = ""; saveSettings(); });
document.addEventListener("keydown", (e) => {
  if (e.key !== "Escape") return;
  if (running) stop();
  else if (!$("settings").hidden) { openSettings(false); $("settings-toggle").focus(); }
});

restore();
draw();
connect();
$("input").focus();
