"use strict";
// Shows the values of charts at the mouse or finger. A chart's lines carry them in
// data-values, x and y in turns, one pair for each place of their paths.
{ // nothing of it is seen by the page's own script

const values = new WeakMap(); // of a path: [{px, py, x, y}]

function points(path) {
  let all = values.get(path);
  if (!all) {
    const places = path.getAttribute("d").slice(1).split("L").map((p) => p.split(" ").map(Number));
    const v = path.dataset.values.split(" ").map(Number);
    all = places.map(([px, py], i) => ({ px, py, x: v[2 * i], y: v[2 * i + 1] }));
    values.set(path, all);
  }
  return all;
}

// nearest is the point of a line that lies closest to a place, which rises with the points.
function nearest(all, px) {
  let low = 0, high = all.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (all[middle].px < px) low = middle; else high = middle;
  }
  return px - all[low].px < all[high].px - px ? all[low] : all[high];
}

const near = 12; // how far beyond its ends a line still tells its value

const tip = document.createElement("div");
tip.className = "tip";
tip.hidden = true;
const cursor = document.createElementNS("http://www.w3.org/2000/svg", "line");
cursor.setAttribute("class", "cursor");

function hide() {
  tip.hidden = true;
  cursor.remove();
}

function show(svg, event) {
  const box = svg.getBoundingClientRect(), view = svg.viewBox.baseVal;
  const px = (event.clientX - box.left) / box.width * view.width;
  const rows = [];
  let at = null;
  for (const path of svg.querySelectorAll("path[data-values]")) {
    const all = points(path);
    if (px < all[0].px - near || px > all[all.length - 1].px + near) continue;
    const p = nearest(all, px);
    if (!at || Math.abs(p.px - px) < Math.abs(at.px - px)) at = p;
    rows.push({ p, path });
  }
  if (!at) return hide();
  tip.replaceChildren(row("", svg.dataset.x + " " + at.x.toLocaleString("en")));
  for (const { p, path } of rows) tip.append(row(path.getAttribute("class"), path.querySelector("title").textContent + ": " + p.y));
  for (const [name, v] of [["x1", at.px], ["x2", at.px], ["y1", svg.dataset.top], ["y2", svg.dataset.bottom]]) cursor.setAttribute(name, v);
  svg.append(cursor);
  document.body.append(tip);
  tip.hidden = false;
  const left = Math.min(event.clientX + 14, document.documentElement.clientWidth - tip.offsetWidth - 8);
  const below = event.clientY + 14 + tip.offsetHeight < document.documentElement.clientHeight;
  tip.style.left = Math.max(8, left) + "px";
  tip.style.top = (below ? event.clientY + 14 : Math.max(8, event.clientY - 14 - tip.offsetHeight)) + "px";
}

function row(colour, text) {
  const e = document.createElement("div");
  if (colour) {
    const key = document.createElement("span");
    key.className = "key " + colour.replace("line", "");
    e.append(key);
  }
  e.append(text);
  return e;
}

for (const kind of ["pointermove", "pointerdown"]) {
  document.addEventListener(kind, (event) => {
    const svg = event.target.closest && event.target.closest("svg[data-x]");
    if (svg) show(svg, event); else hide();
  });
}
document.addEventListener("scroll", hide, { passive: true });

}
