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

  // A probe is meant to fail: its misses are looked at by choosing it.
  const contenders = data.models.filter((model) => !model.reference && !model.probe);
  const judged = contenders.length ? contenders : data.models;

  const place = (clip, repeat) => clip * data.repeats + repeat;
  const repeats = [...Array(data.repeats).keys()];

  const tests = {
    all: () => true,
    misses: (model, at, positive, yes) => positive && model.g[at] >= 0 && !yes.includes(model.g[at]),
    alarms: (model, at, positive, yes) => !positive && yes.includes(model.g[at]),
    silent: (model, at) => model.g[at] < 0,
  };

  const disagree = (models, clip, yes) => {
    const said = new Set();
    for (const model of models)
      for (const repeat of repeats) {
        const grade = model.g[place(clip, repeat)];
        said.add(grade < 0 ? "none" : yes.includes(grade));
      }
    return said.size > 1;
  };

  const matchesWords = (clip, words) => {
    if (!words) return true;
    const row = data.clips[clip];
    const texts = [row.id, row.remark || ""];
    for (const model of data.models) for (const repeat of repeats) texts.push(model.r[place(clip, repeat)] || "");
    return texts.some((text) => text.toLowerCase().includes(words));
  };

  const chosen = () => {
    const show = form.elements.show.value;
    const yes = YES[form.elements.view.value];
    const words = form.elements.words.value.trim().toLowerCase();
    const one = form.elements.model.value;
    const models = one === "" ? judged : [data.models[Number(one)]];
    const found = [];
    for (let clip = 0; clip < data.clips.length; clip++) {
      const positive = data.clips[clip].truth === "ghost_probing";
      let fits;
      if (show === "disagreements") {
        // One model disagrees with the others, or with itself when it saw the clip more than once.
        const all = disagree(judged, clip, yes);
        fits = one === "" ? all : all && judged.some((other) => repeats.some((repeat) =>
          yes.includes(other.g[place(clip, repeat)]) !== yes.includes(models[0].g[place(clip, repeat)])
          || (other.g[place(clip, repeat)] < 0) !== (models[0].g[place(clip, repeat)] < 0))) || disagree(models, clip, yes);
      } else {
        fits = models.some((model) => repeats.some((repeat) => tests[show](model, place(clip, repeat), positive, yes)));
      }
      if (fits && matchesWords(clip, words)) found.push(clip);
    }
    return found;
  };

  const verdict = (model, at, row) => {
    const grade = model.g[at];
    const positive = row.truth === "ghost_probing";
    if (grade < 0) return ["none", spaced(data.outcomes[model.o[at]] || "no answer")];
    if (grade === 1) return ["half", GRADE[1]];
    return [(grade === 0) === positive ? "right" : "wrong", GRADE[grade]];
  };

  // The answer's own fields, where it is plain JSON; the raw text is shown in any case.
  const fields = (raw) => {
    try {
      const found = JSON.parse(raw);
      return found && typeof found === "object" ? found : {};
    } catch {
      return {};
    }
  };

  const fill = (box, model, at) => {
    const raw = model.r[at];
    const found = raw ? fields(raw) : {};
    const facts = [
      ["evidence", found.evidence], ["actor", found.actor], ["occluder", found.occluder],
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
    if (raw !== null && raw !== undefined) box.append(make("pre", "", raw));
  };

  const answer = (model, clip, repeat) => {
    const at = place(clip, repeat);
    const [kind, words] = verdict(model, at, data.clips[clip]);
    const box = make("details", model.reference ? "reference" : "");
    const head = make("summary");
    head.append(make("span", "who", data.repeats > 1 ? `${model.name} · ${repeat + 1}` : model.name), make("span", `tag ${kind}`, words));
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

  const clipBox = (clip) => {
    const row = data.clips[clip];
    const box = make("article", "clip");
    box.dataset.clip = row.id;
    const head = make("h3", "", row.id);
    head.append(make("span", "truth", TRUTH[row.truth] + (row.time === null ? "" : ` at ${row.time} s`)));
    if (row.duration !== null) head.append(make("span", "", `${row.duration.toFixed(1)} s long`));
    if (row.category !== null) head.append(make("span", "", `category ${row.category}`));
    if (row.remark) head.append(make("span", "", `“${row.remark}”`));
    box.append(head);
    if (row.frames && row.times) box.append(strip(row));
    else if (row.times && row.duration) box.append(timeline(row));
    const answers = make("div", "answers");
    for (const model of data.models) for (const repeat of repeats) answers.append(answer(model, clip, repeat));
    box.append(answers);
    return box;
  };

  let found = [];
  let shown = 0;
  const page = () => {
    const next = found.slice(shown, shown + PAGE);
    list.append(...next.map(clipBox));
    shown += next.length;
    more.hidden = shown >= found.length;
    count.textContent = `${found.length} of ${data.clips.length} clips`;
  };
  const refresh = () => {
    found = chosen();
    shown = 0;
    list.replaceChildren();
    page();
  };

  data.models.forEach((model, index) => {
    const option = make("option", "", model.name);
    option.value = String(index);
    form.elements.model.append(option);
  });
  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", refresh);
  more.addEventListener("click", page);
  if (data.cut !== null) list.before(make("p", "note", `Raw answers are cut to ${data.cut} characters each; they are whole in attempts.jsonl.`));
  refresh();
})();
