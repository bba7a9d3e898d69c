"use strict";
(() => {
  const main = document.getElementById("main");
  const trail = document.getElementById("trail");
  const TITLES = { ghost_probing: "ghost probing", potential_ghost_probing: "potential", normal: "normal", cut_in: "cut-in" };
  const YES = { strict: [0], lenient: [0, 1] };
  const LISTED = 300;

  // What comes from runs enters the page through textContent alone.
  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  };
  const spaced = (name) => String(name).replaceAll("_", " ");
  const seconds = (value) => (value === null || value === undefined ? "n/a" : `${Number(value).toFixed(2)} s`);
  const usd = (value) => (value === null || value === undefined ? "" : `$${value.toFixed(value < 1 ? 4 : 2)}`);
  const decimal = (value) => value.toFixed(3).replace(/^(-?)0\./, "$1.");
  const estimate = (value) => (value ? `${decimal(value[0])}${value[1] === null ? "" : ` [${decimal(value[1])}, ${decimal(value[2])}]`}` : "n/a");

  // A published folder has no server: what it would answer lies in files, by the runs' and clips' places.
  const published = document.documentElement.dataset.published === "yes";
  const places = new Map();
  const file = async (path) => {
    if (path === "/api/runs") return "data/runs.json";
    const [, name, rest, clip] = /^\/api\/runs\/([^/?]+)(?:\/([a-z]+)(?:\?clip=(.*))?)?$/.exec(path);
    if (!places.size) (await get("/api/runs")).runs.forEach((line) => places.set(line.name, line.place));
    const folder = `data/${places.get(decodeURIComponent(name))}`;
    if (rest === "frames") return "data/frames.json";
    if (rest !== "clip") return `${folder}/${rest || "run"}.json`;
    const index = await get(path.replace(/\/clip\?.*$/, "/index"));
    return `${folder}/clip-${index.clips.indexOf(decodeURIComponent(clip))}.json`;
  };
  const get = async (path) => {
    const answer = await fetch(published ? await file(path) : path, { headers: { accept: "application/json" } });
    const value = await answer.json().catch(() => ({ error: `the server answers ${answer.status}` }));
    if (!answer.ok) throw new Error(value.error || `the server answers ${answer.status}`);
    return value;
  };
  const of = (run, rest = "") => `/api/runs/${encodeURIComponent(run)}${rest}`;

  // Every state is in the address: #/run/NAME/clips?show=misses&clip=ID&frame=12
  const state = () => {
    const [path, query] = location.hash.replace(/^#/, "").split("?");
    const parts = path.split("/").filter(Boolean).map((word) => {
      try { return decodeURIComponent(word); } catch { return word; }  // a link that was cut in two
    });
    return { parts, query: new URLSearchParams(query || "") };
  };
  const link = (parts, query = {}) => {
    const words = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined));
    return `#/${parts.map(encodeURIComponent).join("/")}${[...words].length ? `?${words}` : ""}`;
  };
  const change = (more) => {
    const { parts, query } = state();
    history.replaceState(null, "", link(parts, { ...Object.fromEntries(query), ...more }));
  };

  // What is drawn again leaves whoever reads it where they are: in the place that they went to by keys, or scrolled to.
  const redraw = (place, ...parts) => {
    const told = (element) => element.getAttribute("href") || element.value || element.textContent;
    const had = place.contains(document.activeElement) ? document.activeElement : null;
    const aside = [...place.querySelectorAll(".scroll")].map((box) => box.scrollLeft);
    place.replaceChildren(...parts);
    [...place.querySelectorAll(".scroll")].forEach((box, at) => { box.scrollLeft = aside[at] || 0; });
    const again = had && [...place.querySelectorAll(had.tagName)].find((element) => told(element) === told(had));
    if (again) again.focus({ preventScroll: true });
  };

  let turn = 0;
  let timer = 0;
  let keys = {};
  const KEYS = [["/", "search clips"], ["j k", "next, previous clip"], ["← →", "one frame back, on (Shift: ten)"], [", .", "previous, next sampled frame"], ["Space", "play, pause"],
    ["a d m f n", "all, disagreements, misses, false alarms, no answer"], ["v", "strict or lenient view"], ["r", "runs"], ["?", "these keys"]];
  const help = document.getElementById("keys");
  for (const [key, words] of KEYS) help.querySelector("dl").append(make("dt", {}, key), make("dd", {}, words));
  document.getElementById("help").addEventListener("click", () => help.showModal());

  const table = (columns, rows) => make("div", { class: "scroll" }, make("table", {},
    make("thead", {}, make("tr", {}, ...columns.map((column) => make("th", { scope: "col", class: column.text ? null : "number" }, column.title)))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((cell, place) => make("td", { class: columns[place].text ? null : "number" }, ...(Array.isArray(cell) ? cell : [cell]))))))));

  // ---- runs
  const progressOf = (line) => {
    const rows = line.progress ? line.progress.rows : [];
    const asked = rows.reduce((sum, row) => sum + row.asked, 0);
    const total = rows.reduce((sum, row) => sum + row.of, 0);
    return [make("progress", { value: asked, max: Math.max(total, 1), "aria-label": "asked" }), ` ${asked}/${total} ${usd(line.progress && line.progress.cost_usd)}`];
  };
  const seen = (saw) => (saw ? ` (${saw})` : "");
  const best = (line) => {
    // Where moments are asked there is no F1 of whole clips: how often a model warned in time stands in its place.
    const figure = (row) => row.f1_lenient || row.warned;
    // The best of several wordings is no measure of a model, and frames that were made worse none at all.
    const rows = (line.rows || []).filter((row) => !row.baseline && !row.beside && figure(row)).sort((a, b) => figure(b)[0] - figure(a)[0]);
    // Who saw the video is no better than who saw the frames: their evidence was not the same.
    rows.sort((a, b) => Boolean(a.saw) - Boolean(b.saw));
    return rows.length ? `${rows[0].name}${seen(rows[0].saw)}: ${rows[0].warned ? "warned " : ""}${estimate(figure(rows[0]))}` : "";
  };
  const coverage = (line) => {
    const rows = (line.rows || []).filter((row) => !row.baseline);
    const of = rows.reduce((sum, row) => sum + row.of, 0);
    return of ? `${Math.round((1000 * rows.reduce((sum, row) => sum + row.answered, 0)) / of) / 10}%` : "";
  };
  const showRuns = async (mine) => {
    trail.replaceChildren();
    document.title = "Runs · ghostbench";
    const place = make("div");
    const title = make("h1", {}, "Runs");
    const count = make("output", { id: "count" });
    const search = make("input", { type: "search", placeholder: "run, model, #tag or note", "aria-label": "search",
      oninput: () => { change({ words: search.value }); clearTimeout(timer); draw().catch(fail); } });
    search.value = state().query.get("words") || "";
    keys = { ...keys, "/": () => search.focus() };
    main.replaceChildren(title, make("form", { class: "filters", onsubmit: (event) => event.preventDefault() }, search, count), place);
    let drawn = "";
    const draw = async () => {
      const found = await get("/api/runs");
      if (mine !== turn) return;
      clearTimeout(timer);
      timer = setTimeout(() => draw().catch(fail), found.runs.some((line) => line.state === "running") ? 2000 : 10000);
      const now = JSON.stringify([found, search.value]);
      if (now === drawn) return;
      drawn = now;
      const chosen = new Set([...main.querySelectorAll("input[name=pick]:checked")].map((box) => box.value));
      const columns = [["", 1], ["Run", 1], ["State", 1], ["Models", 1], ["Clips", 0], ["Coverage", 0], ["Best F1 lenient, or warned", 1], ["Task", 1], ["Started", 1], ["Tags and note", 1]].map(([title, text]) => ({ title, text }));
      const wanted = (state().query.get("words") || "").toLowerCase().split(/\s+/).filter(Boolean);
      const said = (line) => [line.name, line.state, line.task, line.dataset, line.note, ...(line.models || []), ...(line.tags || []).map((tag) => `#${tag}`)].join(" ").toLowerCase();
      const kept = found.runs.filter((line) => wanted.every((word) => said(line).includes(word)));
      const rows = kept.map((line) => [
        make("input", { type: "checkbox", name: "pick", value: line.name, "aria-label": `compare ${line.name}`, checked: chosen.has(line.name) }),
        make("a", { href: link(["run", line.name]) }, line.name),
        [make("span", { class: `state ${line.state}` }, line.state), ...(line.state === "complete" ? [] : line.reason ? [` ${line.reason}`] : [" ", ...progressOf(line)])],
        (line.models || []).slice(0, 4).join(", ") + ((line.models || []).length > 4 ? ` and ${line.models.length - 4} more` : ""),
        String(line.n ?? ""), coverage(line), best(line), `${line.task || ""} on ${line.dataset || ""}`, (line.started_at || "").replace("T", " ").slice(0, 16),
        [...(line.tags || []).map((tag) => make("span", { class: "label" }, `#${tag}`)), line.note || ""],
      ]);
      const both = make("button", { type: "button", onclick: () => {
        const picked = [...main.querySelectorAll("input[name=pick]:checked")].map((box) => box.value);
        if (picked.length === 2) location.hash = link(["compare", ...picked]);
      } }, "Compare the two that are ticked");
      count.textContent = `${kept.length} of ${found.runs.length} runs`;
      redraw(place, found.runs.length ? table(columns, rows) : make("p", {}, "No run is here so far."), make("p", {}, both));
      title.textContent = `Runs in ${found.results}`;
    };
    await draw();
  };

  // ---- one run
  const showRun = async (mine, run) => {
    document.title = `${run} · ghostbench`;
    trail.replaceChildren("› ", make("a", { href: link(["run", run]) }, run));
    let drawn = "";
    const draw = async () => {
      const found = await get(of(run));
      if (mine !== turn) return;
      if (found.state === "running") timer = setTimeout(() => draw().catch(fail), 2000);
      if (JSON.stringify(found) === drawn) return;
      drawn = JSON.stringify(found);
      const parts = [make("h1", {}, run), make("p", {}, make("span", { class: `state ${found.state}` }, found.state), ` · ${found.n} clips of ${found.dataset} · ${found.task} · ${found.repeats} × each`),
        (found.tags || []).length || found.note ? make("p", {}, ...(found.tags || []).map((tag) => make("span", { class: "label" }, `#${tag}`)), found.note || "") : null,
        make("p", {}, make("a", { href: link(["run", run, "clips"]) }, "Look at the clips")), make("p", { class: "soft small" }, found.command)];
      if (found.progress) {
        parts.push(make("h2", {}, `So far ${usd(found.progress.cost_usd)}`), table([{ title: "Model", text: 1 }, { title: "Asked", text: 0 }, { title: "Last outcomes", text: 1 }],
          found.progress.rows.map((row) => [row.name, `${row.asked}/${row.of}`, Object.entries(row.outcomes).map(([name, count]) => `${count} ${spaced(name)}`).join(", ")])));
        parts.push(make("h2", {}, "Newest answers"), table([{ title: "Model", text: 1 }, { title: "Clip", text: 1 }, { title: "Outcome", text: 1 }, { title: "Said", text: 1 }],
          found.progress.newest.map((line) => [line.model, make("a", { href: link(["run", run, "clips"], { clip: line.clip }) }, line.clip), spaced(line.outcome), line.said])));
      }
      for (const one of found.tables || []) parts.push(make("h2", {}, one.title), one.note ? make("p", { class: "soft small" }, one.note) : null, table(one.columns, one.rows));
      redraw(main, ...parts.filter(Boolean));
    };
    await draw();
  };

  // ---- clips of a run
  const gradeOf = (index, model, at) => (index.grades[model][at] === "-" ? -1 : Number(index.grades[model][at]));
  const chosen = (index, wanted) => {
    const numbers = [...index.models.keys()];
    const contenders = numbers.filter((model) => !index.models[model].reference && !index.models[model].probe);
    const named = [wanted.model, wanted.other].filter((number) => number !== "").map(Number);
    const judged = named.length ? named : contenders.length ? contenders : numbers;
    const yes = YES[wanted.view];
    const outcome = wanted.outcome === "" ? -2 : index.outcomes_of.indexOf(wanted.outcome);
    const words = wanted.words.toLowerCase();
    const found = [];
    for (let clip = 0; clip < index.clips.length; clip += 1) {
      if (words && !index.clips[clip].toLowerCase().includes(words) && !index.remarks[clip].toLowerCase().includes(words)) continue;
      if (wanted.truth !== "" && index.truths_of[Number(index.truths[clip])] !== wanted.truth) continue;
      if (wanted.category !== "" && String(index.categories[clip]) !== wanted.category) continue;
      if (wanted.slice !== "" && !inSlice(index, wanted.slice, clip)) continue;
      const positive = index.truths_of[Number(index.truths[clip])] === "ghost_probing";
      // Who saw the video disagrees with nobody who saw the frames: their evidence was not the same.
      const opinions = new Map();
      let fits = wanted.show === "all";
      let ended = outcome === -2;
      for (const model of judged) {
        const { saw } = index.models[model];
        for (let repeat = 0; repeat < index.repeats; repeat += 1) {
          const at = clip * index.repeats + repeat;
          const grade = gradeOf(index, model, at);
          if (grade >= 0) opinions.set(saw, (opinions.get(saw) || new Set()).add(yes.includes(grade)));
          if (index.outcomes[model][at] === outcome) ended = true;
          if (wanted.show === "misses") fits ||= positive && grade >= 0 && !yes.includes(grade);
          else if (wanted.show === "alarms") fits ||= !positive && yes.includes(grade);
          else if (wanted.show === "silent") fits ||= index.outcomes_of[index.outcomes[model][at]] !== "answered";
        }
      }
      // Only answers can disagree: that a model gave none is no opinion.
      if (wanted.show === "disagreements") fits = [...opinions.values()].some((each) => each.size > 1);
      if (fits && ended) found.push(clip);
    }
    return found;
  };
  // A slice is named as "light=night": a label or a parameter, and its value.
  const inSlice = (index, slice, clip) => {
    const name = Object.keys(index.facts || {}).find((each) => slice.startsWith(`${each}=`));
    return name !== undefined && index.facts[name][clip] === slice.slice(name.length + 1);
  };
  const verdict = (grade, outcome, truth) => {
    if (grade === null || grade === undefined) return ["none", spaced(outcome || "not asked so far")];
    if (grade === "potential_ghost_probing") return ["half", TITLES[grade]];
    return [(grade === "ghost_probing") === (truth === "ghost_probing") ? "right" : "wrong", TITLES[grade]];
  };

  const showClips = async (mine, run) => {
    document.title = `Clips of ${run} · ghostbench`;
    trail.replaceChildren("› ", make("a", { href: link(["run", run]) }, run), " › clips");
    const index = await get(of(run, "/index"));
    if (mine !== turn) return;
    const { query } = state();
    const wanted = {};
    for (const [name, standard] of [["show", "all"], ["view", "lenient"], ["model", ""], ["other", ""], ["outcome", ""], ["truth", ""], ["category", ""], ["slice", ""], ["words", ""]]) wanted[name] = query.get(name) ?? standard;
    const option = (value, title) => make("option", { value }, title);
    const select = (name, label, options) => {
      const box = make("select", { name, "aria-label": label, onchange: () => { wanted[name] = box.value; refresh(); } }, ...options);
      box.value = wanted[name];
      if (box.value !== wanted[name]) box.value = wanted[name] = box.options[0].value;  // a link of another run, or of none
      return box;
    };
    const models = index.models.map((model, number) => option(String(number), `${model.name}${seen(model.saw)}`));
    const happened = [...new Set(index.outcomes.flat())].filter((number) => number >= 0);
    const search = make("input", { type: "search", placeholder: "clip or remark", "aria-label": "search", oninput: () => { wanted.words = search.value; refresh(); } });
    search.value = wanted.words;
    const count = make("output", { id: "count" });
    const selects = {
      show: select("show", "show", [["all", "all clips"], ["disagreements", "disagreements"], ["misses", "misses"], ["alarms", "false alarms"], ["silent", "no answer"]].map(([value, title]) => option(value, title))),
      view: select("view", "view", [option("lenient", "lenient view"), option("strict", "strict view")]),
      model: select("model", "model", [option("", "any model"), ...models]),
      other: select("other", "and model", [option("", "no second model"), ...models.map((each) => each.cloneNode(true))]),
      outcome: select("outcome", "outcome", [option("", "any outcome"), ...happened.map((number) => option(index.outcomes_of[number], spaced(index.outcomes_of[number])))]),
      truth: select("truth", "label", [option("", "any label"), ...index.truths_of.map((truth) => option(truth, TITLES[truth]))]),
      category: select("category", "category", [option("", "any category"), ...[...new Set(index.categories)].filter((one) => one !== null).sort((a, b) => a - b).map((one) => option(String(one), `category ${one}`))]),
      slice: select("slice", "slice", [option("", "any slice"), ...Object.entries(index.facts || {}).map(([name, values]) => {
        const group = make("optgroup", { label: spaced(name) });
        const known = [...new Set(values)].filter((value) => value !== "");
        known.sort((a, b) => (Number.isNaN(Number(a) - Number(b)) ? String(a).localeCompare(String(b)) : Number(a) - Number(b)));
        group.append(...known.map((value) => option(`${name}=${value}`, `${spaced(name)}: ${spaced(value)}`)));
        return group;
      })]),
    };
    const list = make("nav", { class: "clips", "aria-label": "clips" });
    const stage = make("div", { id: "clip" });
    main.replaceChildren(make("form", { class: "filters", onsubmit: (event) => event.preventDefault() }, ...Object.values(selects), search, count), make("div", { class: "split" }, list, stage));
    let found = [];
    let current = query.get("clip");
    const refresh = () => {
      const before = performance.now();
      found = chosen(index, wanted);
      count.textContent = `${found.length} of ${index.clips.length} clips${index.state === "complete" ? "" : "; answers are read when the run has ended"}`;
      const rows = found.slice(0, LISTED).map((clip) => make("a", { href: link(["run", run, "clips"], { ...wanted, clip: index.clips[clip] }), "data-clip": index.clips[clip], "aria-current": index.clips[clip] === current ? "true" : null,
        onclick: (event) => { event.preventDefault(); open(index.clips[clip]); } }, index.clips[clip], make("div", { class: "soft small" }, TITLES[index.truths_of[Number(index.truths[clip])]])));
      list.replaceChildren(...rows, ...(found.length > LISTED ? [make("p", { class: "soft small" }, `and ${found.length - LISTED} more: narrow them down`)] : []));
      main.dataset.filteredIn = String(performance.now() - before);
      change({ ...wanted });
    };
    const open = (clip, frame = null) => {
      current = clip;
      change({ ...wanted, clip, frame: null });
      for (const row of list.querySelectorAll("a")) {
        if (row.dataset.clip === clip) { row.setAttribute("aria-current", "true"); row.scrollIntoView({ block: "nearest" }); } else row.removeAttribute("aria-current");
      }
      showClip(mine, run, clip, stage, frame).catch((error) => stage.replaceChildren(make("p", { class: "error" }, error.message)));
    };
    const step = (by) => {
      const at = found.findIndex((clip) => index.clips[clip] === current);
      const next = found[Math.min(Math.max(at + by, 0), found.length - 1)];
      if (next !== undefined) open(index.clips[next]);
    };
    const set = (name, value) => { wanted[name] = value; selects[name].value = value; refresh(); };
    keys = { ...keys, j: () => step(1), k: () => step(-1), "/": () => search.focus(), a: () => set("show", "all"), d: () => set("show", "disagreements"), m: () => set("show", "misses"),
      f: () => set("show", "alarms"), n: () => set("show", "silent"), v: () => set("view", wanted.view === "strict" ? "lenient" : "strict") };
    refresh();
    if (current !== null) open(current, query.get("frame"));
    else if (found.length) open(index.clips[found[0]]);
  };

  let shownClip = 0;
  const showClip = async (mine, run, clip, box, asked) => {
    const own = (shownClip += 1);
    const alive = () => mine === turn && own === shownClip;
    const found = await get(of(run, `/clip?clip=${encodeURIComponent(clip)}`));
    if (!alive()) return;
    const { clip: line, window: warning } = found;
    const image = make("img", { alt: "", id: "frame" });
    const words = make("output", { id: "at", "aria-live": "off" });
    const note = make("p", { class: "soft small" });
    const bar = make("div", { class: "bar", role: "slider", tabindex: "0", "aria-label": "frame", "aria-valuemin": "0" });
    const cursor = make("u");
    const play = make("button", { type: "button", onclick: () => toggle() }, "Play");
    const controls = make("div", { class: "controls" }, make("button", { type: "button", onclick: () => go(at - 1) }, "‹ frame"), play, make("button", { type: "button", onclick: () => go(at + 1) }, "frame ›"),
      make("button", { type: "button", onclick: () => sampledStep(-1) }, "‹ sampled"), make("button", { type: "button", onclick: () => sampledStep(1) }, "sampled ›"), words);
    let reel = { count: 0, done: false, times: [], error: null, same: null, sampled: line.frame_indices || [] };
    let at = 0;
    let playing = 0;
    const total = () => Math.max(reel.count, reel.done && !reel.error ? 1 : 1 + Math.max(0, ...reel.sampled));
    const timeOf = (index) => (reel.times.length > index ? reel.times[index] : line.duration_s && reel.count ? (index * line.duration_s) / reel.count : null);
    const source = (index) => of(run, `/frames/${index}?clip=${encodeURIComponent(clip)}`);
    const ahead = new Map();
    const fetchAhead = () => {
      for (let index = at; index < Math.min(at + 12, reel.count); index += 1) {
        if (ahead.has(index)) continue;
        const next = new Image();
        next.src = source(index);
        ahead.set(index, next);
      }
      if (ahead.size > 200) ahead.delete(ahead.keys().next().value);
    };
    const tell = () => {
      const sampled = reel.sampled.indexOf(at);
      words.textContent = `frame ${at} of ${reel.count}${reel.done ? "" : "…"} · ${seconds(timeOf(at))}${sampled >= 0 ? ` · sampled ${sampled + 1} of ${reel.sampled.length}` : ""}`;
      cursor.style.left = `${(100 * at) / total()}%`;
      bar.setAttribute("aria-valuenow", String(at));
      bar.setAttribute("aria-valuetext", words.textContent);
      bar.setAttribute("aria-valuemax", String(total() - 1));
    };
    const go = (index) => {
      if (published) return;
      at = Math.min(Math.max(index, 0), total() - 1);
      image.src = source(at);
      image.alt = `frame ${at} of ${clip}`;
      image.dataset.index = String(at);
      tell();
      fetchAhead();
      writeDown();
    };
    // The address follows a few times a second: browsers take no more of it, and then none at all.
    let written = 0;
    let writing = 0;
    const writeDown = () => {
      clearTimeout(writing);
      const wait = written + 400 - performance.now();
      if (wait > 0) { writing = setTimeout(() => { if (alive()) writeDown(); }, wait); return; }
      written = performance.now();
      change({ frame: String(at) });
    };
    const sampledStep = (by) => {
      const next = by > 0 ? reel.sampled.find((index) => index > at) : [...reel.sampled].reverse().find((index) => index < at);
      if (next !== undefined) go(next);
    };
    const toggle = () => {
      clearInterval(playing);
      if (playing) { playing = 0; play.textContent = "Play"; return; }
      play.textContent = "Pause";
      const rate = line.duration_s && reel.count ? reel.count / line.duration_s : 30;
      playing = setInterval(() => { if (!alive()) { clearInterval(playing); return; } if (at + 1 >= total()) toggle(); else if (image.complete) go(at + 1); }, 1000 / rate);
    };
    const marks = () => {
      const parts = reel.sampled.map((index) => { const mark = make("i", { title: `sampled frame ${index}` }); mark.style.left = `${(100 * index) / total()}%`; return mark; });
      if (line.truth_time_s !== null && line.duration_s) {
        const event = make("b", { title: "labelled event and the second after it" });
        event.style.left = `${Math.min(100, (100 * line.truth_time_s) / line.duration_s)}%`;
        event.style.width = `${Math.max(0, Math.min(100 / line.duration_s, 100 - (100 * line.truth_time_s) / line.duration_s))}%`;
        parts.push(event);
      }
      if (warning !== null && line.duration_s) {
        const open = make("s", { title: "the window in which an alarm is a warning" });
        open.style.left = `${Math.min(100, (100 * warning.start_s) / line.duration_s)}%`;
        open.style.width = `${Math.max(0, Math.min(100, (100 * warning.event_s) / line.duration_s) - (100 * warning.start_s) / line.duration_s)}%`;
        parts.push(open);
      }
      bar.replaceChildren(...parts, cursor);
    };
    const seek = (event) => { const place = bar.getBoundingClientRect(); go(Math.floor((total() * (event.clientX - place.left)) / place.width)); };
    bar.addEventListener("keydown", (event) => {
      const to = { Home: 0, End: total() - 1 }[event.key];
      if (to !== undefined) { event.preventDefault(); go(to); }
    });
    bar.addEventListener("pointerdown", seek);
    bar.addEventListener("pointermove", (event) => { if (event.buttons) seek(event); });
    keys = { ...keys, ArrowLeft: (event) => go(at - (event.shiftKey ? 10 : 1)), ArrowRight: (event) => go(at + (event.shiftKey ? 10 : 1)), ",": () => sampledStep(-1), ".": () => sampledStep(1), " ": () => toggle() };

    // What was said at each moment: an alarm is right in the window that the scores go by, both ends in it, and wrong before. A press goes to the last frame that the model had seen then.
    const atMoment = ({ grade, moment_s: at }) => {
      if (grade === null) return "none";
      if (grade !== "ghost_probing") return grade === "normal" ? "plain" : "half";
      if (line.truth !== "ghost_probing") return "wrong";
      if (warning === null || !warning.counts) return "half";
      return at > warning.event_s ? "plain" : at >= warning.start_s ? "right" : "wrong";
    };
    const moments = (said) => make("div", { class: "moments" }, ...said.map((each) => {
      const [, title] = verdict(each.grade, each.outcome, line.truth);
      const score = each.score === null || each.score === undefined ? "" : ` ${decimal(each.score)}`;
      return make("button", { type: "button", class: `tag ${atMoment(each)}`, title: `go to this moment${{ right: ": an alarm in time", wrong: ": an alarm too early, or of nothing" }[atMoment(each)] || ""}`,
        onclick: () => go(reel.times.length ? Math.max(0, reel.times.findLastIndex((time) => time <= each.moment_s)) : 0) }, `${seconds(each.moment_s)} ${title}${score}`);
    }));
    // Of an example the frames that were shown before this clip's, for whoever opens it.
    const example = (each) => {
      const box = make("details", { class: "example" }, make("summary", {}, `Shown as an example: ${each.clip}`), ...each.told.map(([wording, told]) => make("p", {}, make("span", { class: "soft" }, `the answer to it, in the wording ${wording}: `), told)));
      box.addEventListener("toggle", async () => {
        if (!box.open || box.dataset.filled) return;
        box.dataset.filled = "yes";
        const own = `clip=${encodeURIComponent(each.clip)}`;
        let state = published ? await get(of(run, `/frames?${own}`)) : { done: false };
        while (!state.done && alive()) { state = await get(of(run, `/frames?${own}`)); if (!state.done) await new Promise((then) => setTimeout(then, 150)); }
        if (state.error || state.same === false) { box.append(make("p", { class: "error small" }, state.error ? `No frames: ${state.error}` : "These are not the frames that were shown: the media has changed.")); return; }
        box.append(make("div", { class: "strip" }, ...each.frame_indices.map((index, place) => make("figure", {}, make("img", { src: of(run, `/frames/${index}?${own}`), alt: `frame at ${seconds(each.frame_times_s[place])}`, loading: "lazy" }), make("figcaption", {}, seconds(each.frame_times_s[place]))))));
      });
      return box;
    };
    const card = (prediction, attempts, name) => {
      const last = attempts[attempts.length - 1];
      const [kind, title] = verdict(prediction ? prediction.grade : null, prediction ? prediction.outcome : last && last.outcome, line.truth);
      const parts = [make("h3", {}, name, make("span", { class: `tag ${kind}` }, title))];
      const facts = prediction ? [["score", prediction.score === null ? null : decimal(prediction.score)], ["event at", prediction.event_time_s === null ? null : seconds(prediction.event_time_s)], ["actor", prediction.actor], ["occluder", prediction.occluder], ["evidence", prediction.evidence]] : [];
      for (const [title, value] of facts) if (value !== null && value !== undefined && value !== "") parts.push(make("p", {}, make("span", { class: "soft" }, `${title}: `), String(value)));
      if (prediction && prediction.alarm_time_s !== null && prediction.alarm_time_s !== undefined) parts.push(make("p", {}, make("span", { class: "soft" }, "first alarm: "), seconds(prediction.alarm_time_s)));
      if (prediction && prediction.moments) parts.push(moments(prediction.moments));
      else if (last && last.raw !== null) parts.push(make("pre", {}, last.raw));
      if (attempts.length) parts.push(make("details", {}, make("summary", {}, `${attempts.length} attempt${attempts.length === 1 ? "" : "s"}`), ...attempts.flatMap((each) => [make("p", { class: "small" },
        `${each.moment_s === null || each.moment_s === undefined ? "" : `At ${seconds(each.moment_s)}: `}${each.attempt}. ${spaced(each.outcome)}, level ${each.fallback_level}, ${seconds(each.wall_s)}${each.served_model ? `, served by ${each.served_model}` : ""}${each.error ? `: ${each.error.type}: ${each.error.message}` : ""}${each.notes.length ? ` (${each.notes.join("; ")})` : ""}`), ...(each.raw !== null && (each !== last || (prediction && prediction.moments)) ? [make("pre", {}, each.raw)] : [])])));
      return make("article", { class: "card" }, ...parts);
    };
    const names = [...new Set([...found.predictions, ...found.attempts].map((each) => `${each.model}\u0000${each.repeat}`))];
    const repeated = found.predictions.some((each) => each.repeat > 0) || found.attempts.some((each) => each.repeat > 0);
    const answers = names.map((key) => {
      const [model, repeat] = key.split("\u0000");
      const mineOnly = (each) => each.model === model && String(each.repeat) === repeat;
      return card(found.predictions.find(mineOnly), found.attempts.filter(mineOnly), `${model}${repeated ? ` · ${Number(repeat) + 1}` : ""}${seen((found.saw || {})[model])}`);
    });
    const label = `${TITLES[line.truth]}${line.truth_time_s === null ? "" : ` at ${seconds(line.truth_time_s)}`}${line.category === null ? "" : ` · category ${line.category}`}${line.remark ? ` · “${line.remark}”` : ""}`;
    const more = Object.entries({ ...(line.labels || {}), ...(line.parameters || {}) }).filter(([, value]) => value !== null && value !== "" && typeof value !== "object");
    box.replaceChildren(...[make("h1", {}, clip), make("p", {}, "Label: ", make("strong", {}, label)), more.length ? make("details", { class: "soft small" }, make("summary", {}, `${more.length} more of the clip`), more.map(([name, value]) => `${spaced(name)} ${spaced(value)}`).join(" · ")) : null, ...(published ? [] : [make("div", { class: "stage" }, image), bar, controls]), note,
      published ? null : make("p", { class: "soft small" }, "Blue: frames that the models were shown. Red: the labelled event and the second after it. Green: the window in which an alarm is a warning, where the labels state one."), make("section", { class: "answers" }, ...answers),
      found.prompt ? make("details", {}, make("summary", {}, "The prompt as it was sent"), make("pre", {}, found.prompt)) : null, ...(found.examples || []).map(example)].filter(Boolean));
    const watch = async () => {
      const next = await get(of(run, `/frames?clip=${encodeURIComponent(clip)}`));
      if (!alive()) return;
      const first = reel.count === 0 && next.count > 0;
      reel = next;
      marks();
      tell();
      if (first) go(asked === null ? (reel.sampled[0] ?? 0) < reel.count ? reel.sampled[0] ?? 0 : 0 : Number(asked));
      note.textContent = reel.error ? `No frames: ${reel.error}` : !reel.done ? "decoding…" : reel.same === false ? "These are not the frames that the run saw: the media has changed." : reel.same ? "The sampled frames are those of the run, by their digest." : "";
      note.className = reel.error || reel.same === false ? "error small" : "soft small";
      if (!reel.done) setTimeout(() => watch().catch(() => {}), 150);
    };
    marks();
    await watch();
  };

  // ---- two runs
  const showTwo = async (mine, one, other) => {
    document.title = `${one} and ${other} · ghostbench`;
    trail.replaceChildren(`› ${one} and ${other}`);
    const [first, second, ...heads] = await Promise.all([get(of(one, "/index")), get(of(other, "/index")), get(of(one)), get(of(other))]);
    if (mine !== turn) return;
    const places = new Map(second.clips.map((clip, number) => [clip, number]));
    const common = first.clips.map((clip, number) => [clip, number, places.get(clip)]).filter(([, , there]) => there !== undefined);
    const rows = [];
    const changes = [];
    const truth = (index, clip) => TITLES[index.truths_of[Number(index.truths[clip])]];
    const label = (a, b) => (truth(first, a) === truth(second, b) ? truth(first, a) : `${truth(first, a)}, then ${truth(second, b)}`);
    const relabelled = common.filter(([, a, b]) => truth(first, a) !== truth(second, b));
    // Answers that were not read yet are no other than those that were.
    const open = [[one, first], [other, second]].filter(([, index]) => index.state !== "complete").map(([name]) => name);
    if (!open.length) first.models.forEach((model, number) => {
      const there = second.models.findIndex((each) => each.name === model.name);
      if (there < 0) return;
      if (model.saw !== second.models[there].saw) { rows.push([`${model.name}: the one saw the video, the other the frames`, "", ""]); return; }
      let same = 0;
      let changed = 0;
      for (const [clip, a, b] of common) {
        const was = gradeOf(first, number, a * first.repeats);
        const is = gradeOf(second, there, b * second.repeats);
        if (was === is) { same += 1; continue; }
        changed += 1;
        const say = (index, grade, outcome) => (grade < 0 ? spaced(index.outcomes_of[outcome] ?? "not asked") : TITLES[index.grades_of[grade]]);
        if (changes.length < LISTED) changes.push([model.name, make("a", { href: link(["run", one, "clips"], { clip }) }, clip), label(a, b),
          say(first, was, first.outcomes[number][a * first.repeats]), make("a", { href: link(["run", other, "clips"], { clip }) }, say(second, is, second.outcomes[there][b * second.repeats]))]);
      }
      rows.push([model.name, String(same), String(changed)]);
    });
    main.replaceChildren(make("h1", {}, `${one} and ${other}`), make("p", {}, `${common.length} clips are in both (${first.clips.length} and ${second.clips.length}). The first repeat of each.`),
      relabelled.length ? make("p", { class: "error" }, `${relabelled.length} of them ${relabelled.length === 1 ? "has" : "have"} another label in the second run: what is right changed with it. `, relabelled.slice(0, LISTED).map(([clip, a, b]) => `${clip}: ${label(a, b)}`).join("; ")) : "",
      ...(open.length ? [make("p", {}, `What was answered cannot be compared yet: ${open.join(" and ")} ${open.length === 1 ? "has" : "have"} not ended.`)] : [
        table([{ title: "Model", text: 1 }, { title: "Same", text: 0 }, { title: "Changed", text: 0 }], rows), make("h2", {}, "What changed"),
        table([{ title: "Model", text: 1 }, { title: "Clip", text: 1 }, { title: "Label", text: 1 }, { title: one, text: 1 }, { title: other, text: 1 }], changes)]),
      make("h2", {}, "How the runs differ"), table([{ title: "", text: 1 }, { title: one, text: 1 }, { title: other, text: 1 }], differences(heads)));
  };

  // What two runs say of themselves, where it is not the same.
  const differences = ([one, other]) => [["state", "state"], ["task", "task"], ["dataset", "dataset"], ["clips", "n"], ["repeats", "repeats"], ["models", "models"], ["started", "started_at"], ["command", "command"], ["tags", "tags"], ["note", "note"]]
    .map(([title, name]) => [title, String(one[name] ?? ""), String(other[name] ?? "")]).filter(([, was, is]) => was !== is);

  const fail = (error) => main.replaceChildren(make("p", { class: "error" }, error.message));
  const route = () => {
    turn += 1;
    clearTimeout(timer);
    keys = { r: () => { location.hash = "#/"; }, "?": () => help.showModal() };
    const { parts } = state();
    const [page, ...rest] = parts;
    const shown = page === "run" && rest[1] === "clips" ? showClips(turn, rest[0]) : page === "run" && rest.length ? showRun(turn, rest[0]) : page === "compare" && rest.length === 2 ? showTwo(turn, ...rest) : showRuns(turn);
    return shown.catch(fail);
  };
  // Letters go by their place where an input method or another script writes something else.
  const actOf = (event) => {
    const [, letter] = /^Key([A-Z])$/.exec(event.code || "") || [];
    const own = event.key.length === 1 ? event.key <= "~" : event.key !== "Process" && event.key !== "Unidentified";
    return keys[event.key] || keys[event.key.toLowerCase()] || (letter && !own ? keys[letter.toLowerCase()] : undefined);
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
    if (event.target instanceof HTMLElement && event.target.closest("input[type=search], select")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const act = actOf(event);
    if (!act || (event.key === " " && event.target instanceof HTMLElement && event.target.closest("button, summary, input"))) return;
    event.preventDefault();
    act(event);
  });
  // Who goes on by keys, or is read to, begins at the top of what came.
  window.addEventListener("hashchange", () => route().then(() => main.focus({ preventScroll: true })));
  route();
})();
