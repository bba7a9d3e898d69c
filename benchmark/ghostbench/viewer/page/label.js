"use strict";
// Keys, frames and what is said of them. Every key is on the server's disk before the page shows it.

const TRUTHS = { 1: "normal", 2: "ghost_probing", 3: "cut_in" };
const SAID = { normal: "none", ghost_probing: "ghost probing", cut_in: "cut-in" };
const TIMES = { v: "first_visible_s", d: "danger_s", e: "event_s", r: "ego_reacts_s", c: "contact_s" };
const WORDS = { o: "occluder", a: "actor", n: "note" };
const TITLES = {
  truth: "1 none · 2 ghost probing · 3 cut-in", first_visible_s: "first visible", danger_s: "danger begins", event_s: "emerges",
  ego_reacts_s: "ego reacts", contact_s: "contact", occluder: "occluder", actor: "road user", doubt: "doubt", note: "note",
};
const KEYS = { truth: "1-3", doubt: "u", ...Object.fromEntries(Object.entries({ ...TIMES, ...WORDS }).map(([key, name]) => [name, key])) };
const $ = (id) => document.getElementById(id);

let summary, n = 0, item = null, frame = 0, playing = null, queue = Promise.resolve();
// The clip and frame whose picture is on the screen, and those of the one that is on its way.
let seen = null, coming = null;

async function ask(path, body) {
  const gone = () => { throw new Error("the server does not answer: start it again, and open the link that it prints"); };
  const answer = await fetch(path, body === undefined ? {} : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }).catch(gone);
  const value = await answer.json().catch(() => ({ error: answer.status === 403 ? "the server was started again: open the link that it printed" : "" }));
  if (!answer.ok) throw new Error(value.error || answer.statusText);
  return value;
}

function count() { return item ? item.clip.count : 0; }

function show(at) {
  frame = Math.max(0, Math.min(at, Math.max(count() - 1, 0)));
  picture();
  for (const ahead of [1, 2, 3, -1]) {
    if (frame + ahead >= 0 && frame + ahead < count()) new Image().src = `/api/label/${n}/frames/${frame + ahead}`;
  }
  $("bar").max = Math.max(count() - 1, 0);
  $("bar").value = frame;
  const time = item && item.clip.times.length ? ` · ${item.clip.times[frame].toFixed(3)} s` : "";
  $("at").textContent = `frame ${frame} of ${count()}${item && item.clip.done ? "" : " so far"}${time}`;
  $("bar").setAttribute("aria-valuetext", $("at").textContent);
}

// One picture at a time is on its way: a key that is held down would else take each back before it is there.
function picture() {
  if ((coming && coming.n === n) || (seen && seen.n === n && seen.frame === frame)) return;
  coming = { n, frame };
  $("frame").src = `/api/label/${n}/frames/${frame}`;
}

function came(there) {
  if (there) {
    seen = coming;
    $("frame").alt = `frame ${seen.frame}`;
  }
  const missed = coming;
  coming = null;
  if (there || missed.n !== n || missed.frame !== frame) picture();
}

function shown(name) {
  const value = item.values[name];
  if (value === undefined || value === null) return "";
  if (name in item.frames) return `frame ${item.frames[name]} · ${value.toFixed(3)} s`;
  return value === true ? "yes" : value === false ? "no" : String(value).replaceAll("_", " ");
}

// A line for each field, made once: what somebody types into, or has gone to by keys, stays where it is.
function makeFields() {
  $("fields").replaceChildren(...Object.keys(summary.fields).map((name) => {
    const row = document.createElement("div");
    row.className = "field";
    row.dataset.name = name;
    const key = document.createElement("kbd");
    key.textContent = KEYS[name] || "";
    const typed = summary.fields[name] === "words";
    const title = document.createElement("label");
    title.textContent = TITLES[name] || name;
    title.htmlFor = `value-${name}`;
    const value = document.createElement(typed ? "input" : "output");
    value.id = `value-${name}`;
    if (typed) {
      let pause;
      const say = () => {
        clearTimeout(pause);
        if (item && value.value.trim().replace(/\s+/g, " ") !== (item.values[name] || "")) send({ set: name, value: value.value || null }).catch(() => {});
      };
      value.maxLength = 200;
      value.addEventListener("change", say);
      // Also without an end to it: what is typed is on disk soon after the last key.
      value.addEventListener("input", (event) => { clearTimeout(pause); if (!event.isComposing) pause = setTimeout(say, 500); });
      value.addEventListener("compositionend", () => { clearTimeout(pause); pause = setTimeout(say, 500); });
    }
    const clear = document.createElement("button");
    clear.type = "button";
    clear.textContent = "×";
    clear.title = `take away: ${TITLES[name] || name}`;
    clear.setAttribute("aria-label", clear.title);
    clear.addEventListener("click", () => send({ set: name, value: null }).catch(() => {}));
    row.append(key, title, value, clear);
    return row;
  }));
}

function fields() {
  for (const row of $("fields").children) {
    const { name } = row.dataset;
    const value = $(`value-${name}`);
    row.classList.toggle("said", name in item.values);
    if (value.tagName === "OUTPUT") value.textContent = shown(name);
    else if (value !== document.activeElement) value.value = item.values[name] || "";
    row.lastChild.hidden = !(name in item.values);
  }
  const done = summary.done.filter(Boolean).length;
  $("where").textContent = `${summary.annotator} · clip ${n + 1} of ${summary.done.length}${item.again ? ", asked again" : ""} · ${done} done`;
  document.body.dataset.item = n;
}

// What the annotators said who differ: their times lead to the frames that they saw.
function others() {
  $("others").replaceChildren(...item.others.map((other) => {
    const card = document.createElement("div");
    card.className = "card";
    const who = document.createElement("strong");
    who.textContent = `${other.name}: `;
    card.append(who);
    for (const [name, value] of Object.entries(other.values)) {
      if (value === null) continue;
      const time = summary.fields[name] === "seconds";
      const part = document.createElement(time ? "button" : "span");
      const title = name === "truth" ? "" : `${TITLES[name] || name} `;
      part.textContent = title + (time ? `${value.toFixed(3)} s` : value === true ? "yes" : value === false ? "no" : name === "truth" ? SAID[value] : value);
      if (time) {
        part.type = "button";
        part.title = "go to this frame";
        part.addEventListener("click", () => { stop(); show(item.clip.times.findLastIndex((at) => at <= value + 1e-6)); });
      }
      card.append(part, " ");
    }
    return card;
  }));
}

function send(line) {
  const of = n;
  queue = queue.then(async () => {
    const body = typeof line === "function" ? line() : line;
    const found = await ask(`/api/label/${of}`, body);
    summary.done[of] = found.done;
    if (of === n && item) { item = found; fields(); }
    $("error").textContent = "";
    $("saved").textContent = `saved${body.set ? `: ${TITLES[body.set] || body.set} ${of === n && item ? shown(body.set) : ""}` : ""}`;
  }).catch((error) => { $("saved").textContent = "not saved"; $("error").textContent = error.message; throw error; });
  const sent = queue;
  queue = queue.catch(() => {});
  return sent;
}

const failed = (error) => { $("error").textContent = error.message; };

async function open(at) {
  if (at < 0 || at >= summary.done.length) return;
  stop();
  if (document.activeElement.matches("#fields input")) document.activeElement.blur();
  n = at;
  item = null;  // keys that come before the clip does are about nothing that is seen
  $("error").textContent = "";
  const found = await ask(`/api/label/${at}`);
  if (at !== n) return;
  item = found;
  history.replaceState(null, "", `#${n + 1}`);
  fields();
  others();
  show(0);
  await watch(n);
}

async function watch(of) {
  while (of === n && !item.clip.done) {
    await new Promise((next) => setTimeout(next, 150));
    const found = await ask(`/api/label/${of}`);
    if (of !== n || !item) return;
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
  playing = setInterval(() => {
    if (frame + 1 >= count()) stop();
    else if (!coming) show(frame + 1);  // not before the last one is seen
  }, step);
}

function second() {
  const times = item.clip.times;
  return times.length > 1 ? Math.max(1, Math.round((times.length - 1) / (times[times.length - 1] - times[0]))) : 25;
}

// A key by what it writes, else by its place: with an input method, or where another script, dead keys or accented letters
// stand in its place.
function keyOf(event) {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const [, letter, digit, bracket] = /^(?:Key([A-Z])|Digit([1-3])|Bracket(Left|Right))$/.exec(event.code || "") || [];
  if (digit && !event.shiftKey && !(key in TRUTHS)) return digit;
  if (!["Process", "Dead", "Unidentified"].includes(key) && !(key.length === 1 && key > "~")) return key;
  return letter ? letter.toLowerCase() : bracket ? { Left: "[", Right: "]" }[bracket] : digit || key;
}

document.addEventListener("keydown", async (event) => {
  const third = event.getModifierState("AltGraph");  // how many keyboards write brackets
  if (!item || event.metaKey || (event.altKey && !third)) return;
  if (event.target.matches("#fields input")) {
    if (!event.isComposing && (event.key === "Enter" || event.key === "Escape")) { event.target.blur(); event.preventDefault(); }
    return;
  }
  const key = keyOf(event);
  const steps = { ArrowLeft: event.ctrlKey ? -second() : event.shiftKey ? -10 : -1, ArrowRight: event.ctrlKey ? second() : event.shiftKey ? 10 : 1,
    ",": -second(), ".": second() };
  if (key in steps) {
    event.preventDefault();
    stop();
    show(frame + steps[key]);
    return;
  }
  if ((event.ctrlKey && !third) || event.repeat) return;
  if (event.target.matches("button") && (key === " " || key === "Enter")) return;
  const quiet = (sent) => sent.catch(() => {});
  if (key === " ") { event.preventDefault(); play(); }
  else if (key in TRUTHS) quiet(send({ set: "truth", value: TRUTHS[key] }));
  else if (key in TIMES && TIMES[key] in summary.fields) {
    // While it plays, the frame that is seen; else the one that was gone to, which is on its way if it is not there.
    const at = playing ? seen && seen.n === n ? seen.frame : null : frame;
    if (at !== null) quiet(send({ set: TIMES[key], frame: at }));
  } else if (key in WORDS) { event.preventDefault(); $(`value-${WORDS[key]}`).focus(); }
  else if (key === "u") quiet(send(() => ({ set: "doubt", value: item && item.values.doubt ? null : true })));
  else if (key === "z") quiet(send({ undo: true }));
  else if (key === "[") open(n - 1).catch(failed);
  else if (key === "]") open(n + 1).catch(failed);
  else if (key === "Enter") {
    event.preventDefault();
    try {
      await send({ done: true });
      const left = [...summary.done.keys()].filter((at) => !summary.done[at]);  // the next one, and not one that was left
      const next = left.find((at) => at > n) ?? left[0];
      if (next !== undefined) await open(next);
      else $("where").textContent = `${summary.annotator} · all ${summary.done.length} done`;
    } catch (error) { failed(error); }
  }
});
$("frame").addEventListener("load", () => came(true));
$("frame").addEventListener("error", () => came(false));
$("bar").addEventListener("input", () => { stop(); show(Number($("bar").value)); });
$("bar").addEventListener("change", () => $("bar").blur());

(async () => {
  summary = await ask("/api/label");
  makeFields();
  const asked = Number(location.hash.slice(1)) - 1;
  const first = summary.done.findIndex((done) => !done);
  await open(asked >= 0 && asked < summary.done.length ? asked : Math.max(first, 0));
})().catch(failed);
