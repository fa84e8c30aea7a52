"use strict";
// The live page: asks every few seconds for the sections that changed. They come as HTML
// in which the server has escaped every text.

const every = 2000; // ms
const $ = (id) => document.getElementById(id);
const off = new Set(); // numbers of the runs that are not drawn
let seen = "", timer = 0, asked = 0;

async function load() {
  clearTimeout(timer);
  const turn = ++asked;
  try {
    const query = new URLSearchParams({ seen, x: $("x").value, log: $("log").checked, off: [...off].join(",") });
    const answer = await fetch("view?" + query);
    if (turn !== asked) return; // a newer one is on its way
    if (answer.status === 200) show(await answer.json());
    else if (answer.status !== 204) throw new Error(await answer.text());
    notice("");
  } catch (error) {
    if (turn !== asked) return;
    notice("The dashboard does not answer: its training has ended, or was stopped. What is below was the last. (" + error.message + ")");
  }
  timer = setTimeout(load, document.hidden ? 10 * every : every);
}

function notice(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
}

const shown = {};
function show(view) {
  seen = view.version;
  const focused = document.activeElement && document.activeElement.dataset.run;
  const open = [...document.querySelectorAll("details[open]")].map((d) => d.dataset.name);
  for (const [id, html] of Object.entries(view.parts)) {
    if (shown[id] === html) continue;
    $(id).innerHTML = shown[id] = html;
  }
  if (focused) document.querySelector(`[data-run="${focused}"]`)?.focus();
  for (const d of document.querySelectorAll("details")) d.open = open.includes(d.dataset.name);
  document.title = document.querySelector("#summary [data-title]")?.dataset.title || "Training";
}

$("summary").addEventListener("click", (event) => {
  const run = event.target.closest("[data-run]")?.dataset.run;
  if (run === undefined) return;
  if (!off.delete(run)) off.add(run);
  load();
});
$("controls").addEventListener("change", load);
$("controls").addEventListener("submit", (event) => event.preventDefault());
document.addEventListener("visibilitychange", () => { if (!document.hidden) load(); });
load();
