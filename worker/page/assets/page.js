// Keeps the page new: parts that have changed come as markup over one stream and are laid over the
// old ones, so that what is open, chosen or focused stays so. Without this script the page is whole,
// it only stands still.

const body = document.body;
const age = document.getElementById("age");
let heardAt = performance.now();
let takenAt = Number(body.dataset.at);
// How old what was heard was when it was heard, in ms: whoever gathers it may itself hear nothing.
let ageThen = Number(body.dataset.age ?? 0);
let source;

// --- parts ---

/** Makes `old` like `next`, with as few changes as there are differences. */
function morph(old, next) {
  if (old.nodeType !== next.nodeType || old.nodeName !== next.nodeName || old.id !== next.id) {
    old.replaceWith(next);
    return;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== next.data) old.data = next.data;
    return;
  }
  for (const { name, value } of next.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) {
    // What the reader has opened or typed is not the server's.
    if (!next.hasAttribute(name) && !(name === "open" && old.nodeName === "DETAILS")) old.removeAttribute(name);
  }
  children(old, next);
}

function children(old, next) {
  const news = [...next.childNodes];
  const named = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
  let at = old.firstChild;
  for (const child of news) {
    const known = child.id && named.get(child.id);
    if (known && known !== at) old.insertBefore(known, at);
    const here = known || at;
    if (!here || (!known && child.id) || (!known && here.id)) {
      old.insertBefore(child, at);
      continue;
    }
    at = here.nextSibling;
    morph(here, child);
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

function show(parts) {
  for (const [id, html] of Object.entries(parts)) {
    const old = document.getElementById(id);
    if (!old) continue;
    // A template's contents would be of another document; markup of SVG inside of it is right here.
    const next = old.cloneNode(false);
    next.innerHTML = html;
    local(next);
    children(old, next);
  }
  filter();
}

// --- time ---

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });

/** Moments in the reader's own time; UTC on hover. */
function local(root) {
  for (const time of root.querySelectorAll("time[data-at]")) {
    const at = new Date(Number(time.dataset.at));
    const isToday = at.toDateString() === new Date().toDateString();
    time.textContent = (isToday ? "" : `${day.format(at)} `) + clock.format(at);
    time.title = `${at.toISOString().replace("T", " ").slice(0, 19)} UTC`;
  }
}

function lasted(seconds) {
  if (seconds < 9.95) return `${Math.max(0, seconds).toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

/** How old everything is: always said, and grey once it is too old to be believed. */
function tick() {
  const silent = (performance.now() - heardAt) / 1000;
  const old = silent + ageThen / 1000;
  const isStale = silent > 5 || old > 15;
  body.classList.toggle("stale", isStale);
  const since = clock.format(new Date(Date.now() - silent * 1000));
  const text = silent > 5 ? `no answer since ${since}` : `data ${lasted(old)} old`;
  if (age.textContent !== text) age.textContent = text;
  if (isStale) return;
  for (const element of document.querySelectorAll("[data-since]")) {
    const now = takenAt + old * 1000;
    element.textContent = lasted((now - Number(element.dataset.since)) / 1000);
  }
}

// --- stream ---

function listen() {
  source?.close();
  source = new EventSource(body.dataset.stream);
  source.addEventListener("fragments", (event) => {
    const { atMs, ageMs, parts } = JSON.parse(event.data);
    const since = performance.now() - heardAt;
    // Who does not say how old it is sends another time whenever it is new.
    ageThen = ageMs ?? (atMs && atMs === takenAt ? ageThen + since : 0);
    heardAt += since;
    takenAt = atMs || Date.now();
    show(parts);
    tick();
  });
  // A stream that was refused, as while the job starts anew, is not tried again by itself.
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
  });
}

/** Opens an operator beside the job; none closes it. */
function open(uid) {
  const url = new URL(body.dataset.stream, location.href);
  const page = new URL(location.href);
  for (const each of [url, page]) {
    if (uid) each.searchParams.set("operator", uid);
    else each.searchParams.delete("operator");
    // Rows are shown of the operator of which somebody wanted to see them.
    each.searchParams.delete("rows");
  }
  body.dataset.stream = url.pathname + url.search;
  history.replaceState(null, "", page);
  if (!uid) show({ drawer: "" });
  listen();
}

// One connection while the page is looked at: browsers have six for all tabs of a host.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) source?.close();
  else listen();
});

// --- hands ---

document.addEventListener("click", (event) => {
  const operator = event.target.closest("a[data-operator]");
  const plain = !(event.ctrlKey || event.metaKey || event.shiftKey);
  if (operator && plain && document.getElementById("drawer")) {
    event.preventDefault();
    open(operator.dataset.operator);
  } else if (event.target.closest("[data-close]") && document.getElementById("drawer")) {
    event.preventDefault();
    open(null);
  } else if (event.target.dataset?.copy) {
    navigator.clipboard?.writeText(event.target.dataset.copy);
    event.target.textContent = "copied";
  }
});

function turn() {
  const dark = document.documentElement.dataset.theme
    ? document.documentElement.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  theme(dark ? "light" : "dark");
}

function theme(name) {
  document.documentElement.dataset.theme = name;
  localStorage.setItem("weir-theme", name);
}

document.getElementById("theme").addEventListener("click", turn);
const places = { j: "/", c: "/checkpoints", p: "/program", l: "/log" };
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input")) return;
  if (event.key === "t") turn();
  else if (event.key === "Escape" && document.getElementById("drawer")?.childNodes.length) open(null);
  else if (places[event.key] && document.querySelector("nav")) location.assign(places[event.key]);
});

function filter() {
  const wanted = document.getElementById("filter")?.value.toLowerCase();
  if (wanted === undefined) return;
  for (const line of document.querySelectorAll(".log span, .fleet tbody tr")) {
    line.hidden = wanted !== "" && !line.textContent.toLowerCase().includes(wanted);
  }
}
document.addEventListener("input", filter);

// --- charts ---

const units = {
  rate: (v) => `${short(v)}/s`,
  seconds: lasted,
  share: (v) => `${Math.round(v * 100)} %`,
  millis: (v) => (v < 1000 ? `${Math.round(v)} ms` : `${(v / 1000).toFixed(2)} s`),
  bytes: (v) => `${short(v)}B`,
  rows: short,
};

function short(value) {
  if (value < 10) return value.toFixed(1).replace(".0", "");
  if (value < 1e4) return String(Math.round(value));
  if (value < 1e6) return `${Math.round(value / 1e3)} k`;
  if (value < 1e9) return `${(value / 1e6).toFixed(1)} M`;
  return `${(value / 1e9).toFixed(1)} G`;
}

/** What every chart shows at the moment under the pointer. */
function read(share) {
  for (const chart of document.querySelectorAll("svg.chart")) {
    const output = chart.closest("figure").querySelector("output");
    chart.querySelector(".cross")?.remove();
    output.textContent = "";
    if (share === null) continue;
    const { width, height } = chart.viewBox.baseVal;
    const x = share * width;
    const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
    for (const [name, value] of Object.entries({ class: "cross", x1: x, x2: x, y1: 0, y2: height })) line.setAttribute(name, value);
    chart.append(line);
    const { from, to, top, unit } = chart.dataset;
    const values = [...chart.querySelectorAll("polyline")].map((curve) => {
      let nearest = null;
      for (const point of curve.points) {
        if (!nearest || Math.abs(point.x - x) < Math.abs(nearest.x - x)) nearest = point;
      }
      return nearest && `${curve.dataset.name} ${units[unit](((height - nearest.y) / (height - 6)) * Number(top))}`;
    });
    const at = new Date(Number(from) + share * (Number(to) - Number(from)));
    output.textContent = [clock.format(at), ...values.filter(Boolean)].join("  ");
  }
}
let pointed = null;
document.addEventListener("pointermove", (event) => {
  const chart = event.target.closest?.("svg.chart");
  const box = chart?.getBoundingClientRect();
  const share = box ? Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)) : null;
  if (share !== pointed) read(share);
  pointed = share;
});

const chosen = localStorage.getItem("weir-theme");
if (chosen) theme(chosen);
local(document);
filter();
tick();
setInterval(tick, 250);
listen();
