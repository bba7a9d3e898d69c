"use strict";
// Keys, frames and what is said of them. Every key is on the server's disk before the page shows it.

const TRUTHS = { 1: "normal", 2: "ghost_probing", 3: "cut_in" };
const TIMES = { v: "first_visible_s", d: "danger_s", e: "event_s", r: "ego_reacts_s", c: "contact_s" };
const WORDS = { o: "occluder", a: "actor", n: "note" };
const TITLES = {
  truth: "1 none · 2 ghost probing · 3 cut-in", first_visible_s: "first visible", danger_s: "danger begins", event_s: "emerges",
  ego_reacts_s: "ego reacts", contact_s: "contact", occluder: "occluder", actor: "road user", doubt: "doubt", note: "note",
};
const KEYS = { truth: "1-3", doubt: "u", ...Object.fromEntries(Object.entries({ ...TIMES, ...WORDS }).map(([key, name]) => [name, key])) };
const $ = (id) => document.getElementById(id);

let summary, n = 0, item = null, frame = 0, playing = null, queue = Promise.resolve();

async function ask(path, body) {
  const answer = await fetch(path, body === undefined ? {} : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  const value = await answer.json();
  if (!answer.ok) throw new Error(value.error || answer.statusText);
  return value;
}

function count() { return item ? item.clip.count : 0; }

function show(at) {
  frame = Math.max(0, Math.min(at, Math.max(count() - 1, 0)));
  $("frame").src = `/api/label/${n}/frames/${frame}`;
  for (const ahead of [1, 2, 3, -1]) {
    if (frame + ahead >= 0 && frame + ahead < count()) new Image().src = `/api/label/${n}/frames/${frame + ahead}`;
  }
  $("bar").max = Math.max(count() - 1, 0);
  $("bar").value = frame;
  const time = item && item.clip.times.length ? ` · ${item.clip.times[frame].toFixed(3)} s` : "";
  $("at").textContent = `frame ${frame} of ${count()}${item && item.clip.done ? "" : " so far"}${time}`;
}

function shown(name) {
  const value = item.values[name];
  if (value === undefined || value === null) return "";
  if (name in item.frames) return `frame ${item.frames[name]} · ${value.toFixed(3)} s`;
  return value === true ? "yes" : value === false ? "no" : String(value).replaceAll("_", " ");
}

function fields() {
  const rows = Object.keys(summary.fields).map((name) => {
    const row = document.createElement("div");
    row.className = "field";
    row.classList.toggle("said", name in item.values);
    row.dataset.name = name;
    const key = document.createElement("kbd");
    key.textContent = KEYS[name] || "";
    const title = document.createElement("span");
    title.textContent = TITLES[name] || name;
    let value;
    if (summary.fields[name] === "words") {
      value = document.createElement("input");
      value.id = `words-${name}`;
      value.maxLength = 200;
      value.value = item.values[name] || "";
      value.addEventListener("change", () => send({ set: name, value: value.value || null }));
    } else {
      value = document.createElement("output");
      value.textContent = shown(name);
    }
    const clear = document.createElement("button");
    clear.textContent = "×";
    clear.title = "take away";
    clear.hidden = !(name in item.values);
    clear.addEventListener("click", () => send({ set: name, value: null }));
    row.append(key, title, value, clear);
    return row;
  });
  const typing = document.activeElement && document.activeElement.matches("#fields input") ? document.activeElement : null;
  $("fields").replaceChildren(...rows);
  if (typing && $(typing.id)) {  // an answer that comes while somebody types takes nothing away
    const again = $(typing.id);
    again.value = typing.value;
    again.focus();
  }
  $("others").replaceChildren(...item.others.map((other) => {
    const card = document.createElement("div");
    card.className = "card";
    const said = Object.entries(other.values).filter(([, value]) => value !== null);
    card.textContent = `${other.name}: ${said.map(([name, value]) => `${TITLES[name] || name} ${value}`).join(" · ")}`;
    return card;
  }));
  const done = summary.done.filter(Boolean).length;
  $("where").textContent = `${summary.annotator} · clip ${n + 1} of ${summary.done.length}${item.again ? ", asked again" : ""} · ${done} done`;
  document.body.dataset.item = n;
}

function send(line) {
  const of = n;
  queue = queue.then(async () => {
    $("error").textContent = "";
    const found = await ask(`/api/label/${of}`, line);
    $("saved").textContent = "saved";
    if (line.done) summary.done[of] = true;
    if (of === n) { item = found; fields(); }
  }).catch((error) => { $("error").textContent = error.message; throw error; });
  const sent = queue;
  queue = queue.catch(() => {});
  return sent;
}

async function open(at) {
  stop();
  if (at < 0 || at >= summary.done.length) return;
  n = at;
  item = await ask(`/api/label/${n}`);
  history.replaceState(null, "", `#${n + 1}`);
  fields();
  show(0);
  await watch(n);
}

async function watch(of) {
  while (of === n && !item.clip.done) {
    await new Promise((next) => setTimeout(next, 150));
    const found = await ask(`/api/label/${of}`);
    if (of !== n) return;
    item.clip = found.clip;
    show(frame);
  }
  if (of === n && item.clip.error) $("error").textContent = item.clip.error;
}

function stop() { clearInterval(playing); playing = null; }

function play() {
  if (playing) return stop();
  const times = item.clip.times;
  const step = times.length > 1 ? (1000 * (times[times.length - 1] - times[0])) / (times.length - 1) : 40;
  playing = setInterval(() => (frame + 1 < count() ? show(frame + 1) : stop()), step);
}

function second() {
  const times = item.clip.times;
  return times.length > 1 ? Math.max(1, Math.round((times.length - 1) / (times[times.length - 1] - times[0]))) : 25;
}

document.addEventListener("keydown", async (event) => {
  if (!item || event.altKey || event.metaKey) return;
  if (event.target.matches("#fields input")) {
    if (event.key === "Enter" || event.key === "Escape") { event.target.blur(); event.preventDefault(); }
    return;
  }
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (key === "ArrowLeft" || key === "ArrowRight") {
    event.preventDefault();
    stop();
    show(frame + (key === "ArrowLeft" ? -1 : 1) * (event.ctrlKey ? second() : event.shiftKey ? 10 : 1));
    return;
  }
  if (event.ctrlKey) return;
  if (key === " ") { event.preventDefault(); play(); }
  else if (key in TRUTHS) send({ set: "truth", value: TRUTHS[key] });
  else if (key in TIMES && TIMES[key] in summary.fields) send({ set: TIMES[key], frame });
  else if (key in WORDS) { event.preventDefault(); $(`words-${WORDS[key]}`).focus(); }
  else if (key === "u") send({ set: "doubt", value: item.values.doubt ? null : true });
  else if (key === "z") send({ undo: true });
  else if (key === "[") open(n - 1);
  else if (key === "]") open(n + 1);
  else if (key === "Enter") {
    event.preventDefault();
    try { await send({ done: true }); } catch { return; }
    const next = summary.done.findIndex((done) => !done);
    if (next >= 0) await open(next);
    else $("where").textContent = `${summary.annotator} · all ${summary.done.length} done`;
  }
});
$("bar").addEventListener("input", () => { stop(); show(Number($("bar").value)); });
$("bar").addEventListener("change", () => $("bar").blur());

(async () => {
  summary = await ask("/api/label");
  const asked = Number(location.hash.slice(1)) - 1;
  const first = summary.done.findIndex((done) => !done);
  await open(asked >= 0 && asked < summary.done.length ? asked : Math.max(first, 0));
})().catch((error) => { $("error").textContent = error.message; });
