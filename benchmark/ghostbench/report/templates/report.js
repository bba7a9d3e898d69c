"use strict";
(() => {
  const PAGE = 40;
  const data = JSON.parse(document.getElementById("data").textContent);
  const form = document.getElementById("filters");
  const list = document.getElementById("list");
  const more = document.getElementById("more");
  const count = document.getElementById("count");
  const YES = { strict: [0], lenient: [0, 1] };
  const GRADE = ["ghost probing", "potential", "normal"];
  const TRUTH = { ghost_probing: "ghost probing", cut_in: "cut-in", normal: "normal" };
  const spaced = (name) => name.replaceAll("_", " ");

  // Text only ever enters the page through textContent: an answer that looks like markup stays an answer.
  const make = (tag, className, text) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  };

  // A probe is meant to fail: its misses are looked at by choosing it. Models go by their number.
  const numbers = [...data.models.keys()];
  const contenders = numbers.filter((model) => !data.models[model].reference && !data.models[model].probe);
  const judged = contenders.length ? contenders : numbers;

  // A small run's rows are in the page. A larger one's are in files beside it: `index` by which clips are chosen, and
  // parts with what is shown of them, a few of which are kept.
  const KEPT = 6;
  const LONG = 20000;
  const waiting = new Map();
  const parts = new Map();
  let index = null;

  window.ghostbenchRows = (key, name, value) => {
    const asked = waiting.get(name);
    if (!asked) return;
    if (key === data.key) asked.resolve(value);
    else asked.reject(new Error("belongs to another run"));
  };

  const load = (name, file) => new Promise((resolve, reject) => {
    const source = `${data.folder}/${file}.js`;
    const script = document.createElement("script");
    const fail = (error) => reject(new Error(`${source} ${error.message}`));
    waiting.set(name, { resolve, reject: fail });
    script.onerror = () => fail(new Error("cannot be loaded: keep this folder beside the page"));
    script.onload = () => fail(new Error("is not whole"));
    script.src = source;
    document.head.append(script);
  }).finally(() => waiting.delete(name));

  const part = (number) => {
    if (data.folder === null) return data.parts[number];
    if (!parts.has(number)) {
      const loading = load(String(number), String(number).padStart(6, "0"));
      loading.catch(() => parts.delete(number));
      parts.set(number, loading);
      if (parts.size > KEPT) parts.delete(parts.keys().next().value);
    }
    return parts.get(number);
  };

  // The part that holds a clip: the last that starts at or before it.
  const partOf = (clip) => {
    let low = 0;
    let high = index.starts.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (index.starts[middle] <= clip) low = middle;
      else high = middle - 1;
    }
    return low;
  };

  const clips = () => index.truths.length;
  const gradeOf = (model, at) => {
    const said = index.grades[model][at];
    return said === "-" ? -1 : Number(said);
  };

  const place = (clip, repeat) => clip * data.repeats + repeat;
  const repeats = [...Array(data.repeats).keys()];

  const tests = {
    all: () => true,
    misses: (grade, positive, yes) => positive && grade >= 0 && !yes.includes(grade),
    alarms: (grade, positive, yes) => !positive && yes.includes(grade),
    silent: (grade) => grade < 0,
  };

  const side = (model, at, yes) => {
    const grade = gradeOf(model, at);
    return grade < 0 ? "none" : yes.includes(grade);
  };

  // Only answers can disagree: that a model gave none is no opinion.
  const opinions = (models, clip, yes) => new Set(models
    .flatMap((model) => repeats.map((repeat) => side(model, place(clip, repeat), yes)))
    .filter((opinion) => opinion !== "none"));

  // Who saw the video disagrees with nobody who saw the frames: their evidence was not the same.
  const peers = (models, video) => models.filter((model) => data.models[model].video === video);
  const disagree = (models, clip, yes) => [false, true].some((video) => opinions(peers(models, video), clip, yes).size > 1);

  // One model disagrees with the others, or with itself when it saw the clip more than once.
  const disagrees = (one, clip, yes) => opinions([one], clip, yes).size > 0
    && (opinions([one], clip, yes).size > 1 || peers(judged, data.models[one].video).some((other) => [...opinions([other], clip, yes)].some((opinion) => !opinions([one], clip, yes).has(opinion))));

  const chosen = () => {
    const show = form.elements.show.value;
    const yes = YES[form.elements.view.value];
    const one = form.elements.model.value;
    const models = one === "" ? judged : [Number(one)];
    const fits = (clip) => {
      if (show === "disagreements") return one === "" ? disagree(judged, clip, yes) : disagrees(models[0], clip, yes);
      const positive = data.truths[Number(index.truths[clip])] === "ghost_probing";
      return models.some((model) => repeats.some((repeat) => tests[show](gradeOf(model, place(clip, repeat)), positive, yes)));
    };
    return [...Array(clips()).keys()].filter(fits);
  };

  const matchesWords = (held, clip, words) => {
    const row = held.clips[clip];
    const texts = [row.id, row.remark || ""];
    for (const model of held.models) for (const repeat of repeats) texts.push(model.r[place(clip, repeat)] || "");
    return texts.some((text) => text.toLowerCase().includes(words));
  };

  const verdict = (grade, outcome, truth) => {
    if (grade < 0) return ["none", spaced(data.outcomes[outcome] || "no answer")];
    if (grade === 1) return ["half", GRADE[1]];
    return [(grade === 0) === (truth === "ghost_probing") ? "right" : "wrong", GRADE[grade]];
  };

  const atMoments = (said) => said && said.map(([time, grade, outcome, score]) => {
    const words = grade === null ? spaced(data.outcomes[outcome]) : GRADE[grade];
    return `${time} s ${words}${score === null ? "" : ` (${score.toFixed(2)})`}`;
  }).join("; ");

  const fill = (box, model, at) => {
    const raw = model.r[at];
    const facts = [
      ["evidence", model.d[at]], ["actor", model.a[at]], ["occluder", model.c[at]],
      ["at", atMoments(model.m[at])],
      ["event at", model.t[at] === null ? null : `${model.t[at]} s`],
      ["P(ghost probing)", model.s[at]],
      ["outcome", spaced(data.outcomes[model.o[at]] || "")],
      ["attempts", model.n[at] > 1 ? model.n[at] : null],
      ["fallback level", model.l[at] || null],
      ["served by", model.v[at]],
      ["error", model.e[at]],
    ];
    for (const [title, value] of facts) {
      if (value === null || value === undefined || value === "") continue;
      const line = make("p");
      line.append(make("span", "", `${title}: `), String(value));
      box.append(line);
    }
    if (raw !== null && raw !== undefined) box.append(...lengthy(raw));
  };

  // A very long answer would make the page slow: its beginning, and the rest for whoever asks.
  const lengthy = (raw) => {
    if (raw.length <= LONG) return [make("pre", "", raw)];
    const text = make("pre", "", `${raw.slice(0, LONG)}…`);
    const whole = make("button", "", `Show all ${raw.length} characters`);
    whole.type = "button";
    whole.addEventListener("click", () => {
      text.textContent = raw;
      whole.remove();
    });
    return [text, whole];
  };

  // held: the part with the clip. local: the clip's place in it. number: the model's.
  const answer = (held, clip, local, number, repeat) => {
    const model = held.models[number];
    const { name, reference } = data.models[number];
    const at = place(local, repeat);
    const [kind, words] = verdict(gradeOf(number, place(clip, repeat)), model.o[at], held.clips[local].truth);
    const box = make("details", reference ? "reference" : "");
    const head = make("summary");
    head.append(make("span", "who", data.repeats > 1 ? `${name} · ${repeat + 1}` : name), make("span", `tag ${kind}`, words));
    box.append(head);
    box.addEventListener("toggle", () => { if (box.open && box.childElementCount === 1) fill(box, model, at); });
    return box;
  };

  const strip = (row) => {
    const box = make("div", "strip");
    row.frames.forEach((source, index) => {
      const figure = make("figure");
      const image = make("img");
      image.src = source;
      image.decoding = "async";
      const time = row.times[index];
      image.alt = `frame at ${time.toFixed(2)} s`;
      if (row.time !== null && time >= row.time && time <= row.time + 1) figure.className = "event";
      figure.append(image, make("figcaption", "", `${time.toFixed(2)} s`));
      box.append(figure);
    });
    return box;
  };

  for (const each of data.examples || []) {
    const box = make("article", "clip");
    box.append(make("h3", "", each.id));
    for (const [wording, told] of each.told) {
      const line = make("p");
      line.append(make("span", "", `the answer to it, in the wording ${wording}: `), told);
      box.append(line);
    }
    if (each.frames) box.append(strip({ ...each, time: null }));
    else box.append(make("p", "note", `frames at ${each.times.map((time) => `${time.toFixed(2)} s`).join(", ")}`));
    document.getElementById("examples").append(box);
  }

  const timeline = (row) => {
    const box = make("div", "timeline");
    box.title = "sampled frames, and the labelled event with the second after it";
    if (row.time !== null) {
      const event = make("b");
      event.style.left = `${(100 * row.time) / row.duration}%`;
      event.style.width = `${Math.max(0, Math.min(100 / row.duration, 100 - (100 * row.time) / row.duration))}%`;
      box.append(event);
    }
    for (const time of row.times) {
      const tick = make("i");
      tick.style.left = `${(100 * time) / row.duration}%`;
      box.append(tick);
    }
    return box;
  };

  // Every clip has a link: the page then shows those clips whose id, remark or answers hold the word.
  const linkTo = (id) => `#clip=${encodeURIComponent(id)}`;
  const linked = () => {
    const found = /^#clip=(.*)$/.exec(location.hash);
    if (!found) return false;
    try {
      form.elements.words.value = decodeURIComponent(found[1]);
    } catch {
      return false;
    }
    form.elements.show.value = "all";
    form.elements.model.value = "";
    return true;
  };
  window.addEventListener("hashchange", () => { if (linked()) { refresh(); form.scrollIntoView(); } });

  const clipBox = (held, clip, local) => {
    const row = held.clips[local];
    const box = make("article", "clip");
    box.dataset.clip = row.id;
    const head = make("h3");
    const link = make("a", "", row.id);
    link.href = linkTo(row.id);
    head.append(link);
    head.append(make("span", "truth", TRUTH[row.truth] + (row.time === null ? "" : ` at ${row.time} s`)));
    if (row.duration !== null) head.append(make("span", "", `${row.duration.toFixed(1)} s long`));
    if (row.category !== null) head.append(make("span", "", `category ${row.category}`));
    if (row.remark) head.append(make("span", "", `“${row.remark}”`));
    box.append(head);
    if (row.frames && row.times) box.append(strip(row));
    else if (row.times && row.duration) box.append(timeline(row));
    const answers = make("div", "answers");
    for (const number of numbers) for (const repeat of repeats) answers.append(answer(held, clip, local, number, repeat));
    box.append(answers);
    return box;
  };

  // What is shown: the clips that the form chooses, as far as they were looked through for its words. Each refresh is a
  // new `turn`; what an earlier one still loads is let go.
  let turn = 0;
  let found = [];
  let left = [];
  let wanted = 0;
  let shown = 0;
  let busy = false;

  const tell = () => {
    const whole = left.length ? `${found.length} so far, ${left.length} to look through` : found.length;
    count.textContent = `${whole} of ${clips()} clips`;
    more.hidden = shown >= found.length && !left.length;
  };

  // The next clips that hold the words, from the first part of those that are left.
  const look = async (words) => {
    const number = partOf(left[0]);
    const end = index.starts[number + 1] ?? clips();
    const mine = [];
    while (mine.length < left.length && left[mine.length] < end) mine.push(left[mine.length]);
    const held = await part(number);
    return [mine.length, mine.filter((clip) => matchesWords(held, clip - index.starts[number], words))];
  };

  const show = async () => {
    const mine = turn;
    const words = form.elements.words.value.trim().toLowerCase();
    while (mine === turn && shown < wanted) {
      if (shown < found.length) {
        const clip = found[shown];
        const number = partOf(clip);
        let held = part(number);
        if (held instanceof Promise) held = await held;
        if (mine !== turn) return;
        list.append(clipBox(held, clip, clip - index.starts[number]));
        shown += 1;
      } else if (left.length) {
        tell();
        const [looked, fit] = await look(words);
        if (mine !== turn) return;
        left = left.slice(looked);
        found.push(...fit);
      } else break;
    }
    if (mine !== turn) return;
    tell();
    list.setAttribute("aria-busy", "false");
  };

  const failed = (error) => {
    list.setAttribute("aria-busy", "false");
    list.append(make("p", "note failed", `The rows of this page are in files beside it; ${error.message}.`));
  };

  const page = () => {
    if (busy) return;
    busy = true;
    list.setAttribute("aria-busy", "true");
    wanted = shown + PAGE;
    const mine = turn;
    show().catch(failed).finally(() => { if (mine === turn) busy = false; });
  };

  const refresh = () => {
    turn += 1;
    busy = false;
    shown = 0;
    const all = chosen();
    const words = form.elements.words.value.trim();
    // Where all rows are at hand every clip is looked through at once, and the count is whole.
    found = words ? [] : all;
    left = words ? all : [];
    if (words && data.folder === null) {
      found = all.filter((clip) => matchesWords(data.parts[0], clip, words.toLowerCase()));
      left = [];
    }
    list.replaceChildren();
    page();
  };

  data.models.forEach((model, number) => {
    const option = make("option", "", model.name);
    option.value = String(number);
    form.elements.model.append(option);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", refresh);
  more.addEventListener("click", page);

  const begin = async () => {
    list.setAttribute("aria-busy", "true");
    index = data.folder === null ? data.index : await load("index", "index");
    form.hidden = false;
    const asked = linked();
    refresh();
    if (asked) form.scrollIntoView();
  };
  begin().catch(failed);
})();
