// Two runs: their differences, and the examples that one of them has right and the other wrong.
const PAGE = 50;
const KINDS = { fixed: "A wrong, B right", broke: "A right, B wrong", both: "both wrong", right: "both right", wrong: "wrong" };
const LOSS_KINDS = { fixed: "B better", broke: "B worse", both: "equally wrong", right: "both right", wrong: "not exactly right" };
const RIGHT = 2, LOSS = 3; // places in an answer: text, meaning, right, loss, shares

/** As kind_of in report/errors.py: labels are right or wrong; of other answers the smaller loss is better. */
function kindOf(set, a, b) {
  if (!b) return a[RIGHT] ? "right" : "wrong";
  const first = set.labels.length ? a[RIGHT] : -a[LOSS], second = set.labels.length ? b[RIGHT] : -b[LOSS];
  if (first !== second) return second > first ? "fixed" : "broke";
  return a[RIGHT] && b[RIGHT] ? "right" : "both";
}

/** What is worth reading first: the largest change, or the largest loss. */
function weightOf(kind, a, b) {
  const loss = (answer) => answer[LOSS] ?? 1e9; // JSON has no number without end
  return kind === "fixed" || kind === "broke" ? Math.abs(loss(a) - loss(b)) : loss(a) + (b ? loss(b) : 0);
}

const cases = new Map(); // set, a, b -> every case, the worst first
async function casesOf(set, a, b) {
  const key = `${set.id} ${a} ${b}`;
  if (!cases.has(key)) {
    const rows = await examplesOf(set.id), [first, second] = [set.runs.indexOf(a), set.runs.indexOf(b)];
    cases.set(key, rows.map(([id, gold, target, fields, answers]) => {
      const given = second < 0 ? [answers[first]] : [answers[first], answers[second]], kind = kindOf(set, ...given);
      return { id, gold, target, fields, given, kind, weight: weightOf(kind, ...given), text: fields.map(([, value]) => value).join("\n").toLowerCase() };
    }).sort((one, other) => other.weight - one.weight));
  }
  return cases.get(key);
}

/** The runs whose answers are here, and what is chosen of them. */
function comparedRuns() {
  const detailed = facts.detailed.flat();
  const a = detailed.includes(state.a) ? state.a : detailed[0];
  const b = detailed.includes(state.b) && state.b !== a ? state.b : state.a ? "" : facts.detailed[1]?.[0] ?? "";
  const sets = facts.sets.filter((set) => set.runs.includes(a) && (!b || set.runs.includes(b)));
  return { detailed, a, b, sets, set: sets.find((one) => one.id === state.set) ?? sets[0] };
}

views.set("compare", {
  title: "Two runs",
  show() {
    const { detailed, a, b, sets, set } = comparedRuns();
    if (!a) return { heading: "Two runs", controls: [], results: () => remark("No run of this page has its answers: see the notes below.") };
    const names = detailed.map((id) => [id, title(id)]);
    const missing = [state.a, state.b].filter((id) => id && !detailed.includes(id));
    const anew = { page: "", example: "", kind: "", label: "", answer: "" };
    return {
      heading: b ? "Two runs" : "One run\u2019s answers",
      controls: [
        missing.map((id) => h("p", { class: "warning" }, `The answers of ${title(id)} are not in this page: glue report RUN RUN makes one of the runs that are named.`)),
        h("div", { class: "controls" },
          pick("a", "A", names, a, (id) => ({ a: id, b, set: set?.id, ...anew })),
          pick("b", "B", [["", "no other run"], ...names.filter(([id]) => id !== a)], b, (id) => ({ a, b: id, set: set?.id, ...anew })),
          b && h("button", { id: "swap", type: "button", click: () => change({ a: b, b: a, set: set?.id, ...anew }, true) }, "Swap A and B")),
        b && differences(a, b),
        sets.length === 0 ? remark("These runs have no examples in common.") : [
          h("h2", {}, "Examples"),
          h("div", { class: "controls" },
            pick("set", "Task", sets.map((one) => [one.id, one.title]), set.id, (id) => ({ a, b, set: id, ...anew })),
            exampleControls(set, b))],
      ],
      results: () => (set ? examples(set, a, b) : []),
    };
  },
});

function pick(key, label, options, chosen, changes) {
  return field(label, h("select", { id: `menu-${key}`, change: (event) => change(changes(event.target.value), true) },
    options.map(([value, text]) => h("option", { value, selected: value === chosen }, text))));
}

function exampleControls(set, b) {
  const words = set.labels.length ? KINDS : LOSS_KINDS;
  const kinds = b ? ["fixed", "broke", "both", "right"] : ["wrong", "right"];
  const first = (key, label, options) => field(label, h("select", { id: `menu-${key}`, change: (event) => change({ [key]: event.target.value, page: "", example: "" }) },
    options.map(([value, text]) => h("option", { value, selected: value === (state[key] ?? "") }, text))));
  const labels = [["", "any"], ...set.labels.map((label) => [label, label])];
  return [
    first("kind", "Kind", [["", "all that are not right"], ...kinds.map((kind) => [kind, words[kind]]), ["all", "all"]]),
    set.labels.length > 0 && [first("label", "Right answer", labels), first("answer", "Answered", [...labels, ["(invalid)", "not valid"]])],
    set.texts && searchBox("text", "Text", "in the example"),
  ];
}

const comparedWith = (id) => facts.detailed.find((ids) => ids.includes(id)); // the seeds that were tested as one

function differences(a, b) {
  const [first, second] = [a, b].map((id) => comparedWith(id)[0]);
  const found = facts.pairs.scores.flatMap((score) => {
    if (score.pair[0] === first && score.pair[1] === second) return [score];
    if (score.pair[0] !== second || score.pair[1] !== first) return [];
    const turned = { better: "worse", worse: "better" }, [value, low, high] = score.difference.map((one) => (isNumber(one) ? -one : one));
    return [{ ...score, first: score.second, second: score.first, difference: [value, high, low], verdict: turned[score.verdict] ?? score.verdict }];
  });
  const apart = settingsApart(runs.get(a), runs.get(b));
  const seeds = Math.min(comparedWith(a).length, comparedWith(b).length);
  const untested = [...new Set(found.map((score) => score.untested).filter(Boolean))];
  return [
    h("h2", {}, "Differences"),
    apart.length > 0 && tabled("Settings that differ", ["Setting", "A", "B"], apart),
    found.length > 0 && tabled(`B less A; p after Holm's correction over all ${facts.pairs.tests} tests of every pair in this page`, ["Task", "A", "B", "Change", "95 % interval", "p", "Verdict"],
      found.map((score) => {
        const [value, low, high] = score.difference, sure = isNumber(score.p) && score.p < 0.05;
        return [score.label, fixed(score.first[0]), fixed(score.second[0]), h("span", { class: sure ? (value > 0 ? "better" : "worse") : null }, signed(value)),
          isNumber(low) ? `${signed(low)} to ${signed(high)}` : DASH, probability(score.p), score.verdict || "not tested"];
      }), { numbers: [1, 2, 3, 4, 5], className: "unbroken" }),
    improvement(first, second),
    seeds === 1 && found.length > 0 && remark("One seed a side tells two models apart, not two recipes."),
    untested.map((why) => remark(`Not tested: ${why}`)),
    facts.pairs.notes.filter((note) => [a, b].every((id) => note.includes(comparedWith(id).length > 1 ? runs.get(id).digest : id))).map(remark),
    first === second && remark("Two seeds of one plan: what differs between them is luck."),
  ];
}

/** In words: how often a seed of B beats one of A on the same task. */
function improvement(first, second) {
  const found = facts.pairs.improvements.find(({ pair }) => pair.includes(first) && pair.includes(second));
  if (!found || first === second) return [];
  const [p, low, high] = found.pair[0] === first ? found.bounds : [1 - found.bounds[0], 1 - found.bounds[2], 1 - found.bounds[1]];
  return h("p", {}, `Probability of improvement: on the same task a seed of B scores more than one of A in ${percent(p)} of pairs (95 % interval over seeds: ${percent(low)} to ${percent(high)}; ${found.tasks} tasks, each counts as one).`);
}

/** Lines of TOML that one plan has and the other has otherwise. */
function settingsApart(first, second) {
  const read = (run) => new Map(run.plan.map(([line]) => [line.slice(0, line.indexOf(" = ")), line.slice(line.indexOf(" = ") + 3)]));
  const [a, b] = [read(first), read(second)];
  return [...new Set([...a.keys(), ...b.keys()])].filter((key) => a.get(key) !== b.get(key)).map((key) => [key, a.get(key) ?? DASH, b.get(key) ?? DASH]);
}

function examples(set, a, b) {
  const box = h("div", { "aria-busy": "true" }, remark("Unpacking the examples."));
  casesOf(set, a, b).then((all) => box.replaceChildren(...exampleList(set, a, b, all).flat(Infinity).filter(Boolean)),
    (error) => box.replaceChildren(remark(`The examples cannot be shown: ${error.message}`)))
    .finally(() => box.removeAttribute("aria-busy"));
  return box;
}

function exampleList(set, a, b, all) {
  const words = set.labels.length ? KINDS : LOSS_KINDS, text = (state.text ?? "").toLowerCase();
  const wanted = all.filter((one) => (state.example ? one.id === state.example
    : (!state.kind ? one.kind !== "right" : state.kind === "all" || one.kind === state.kind)
      && (!state.label || one.gold === state.label)
      && (!state.answer || one.given.some(([, meaning]) => (meaning ?? "(invalid)") === state.answer))
      && (!text || one.text.includes(text))));
  const pages = Math.max(1, Math.ceil(wanted.length / PAGE)), page = Math.min(Math.max(1, Math.floor(Number(state.page)) || 1), pages);
  return [
    kindCounts(set, a, b, words), set.notes.map(remark),
    h("p", { role: "status" }, state.example ? ["Example ", state.example, ". ", h("a", { href: link({ ...state, example: "" }) }, "All examples")]
      : `${counted(wanted.length)} of ${counted(all.length)} examples in this page` + (pages > 1 ? `, page ${page} of ${pages}` : "")),
    pager(page, pages, "top"),
    wanted.slice((page - 1) * PAGE, page * PAGE).map((one) => example(set, one, words, Boolean(b))),
    pager(page, pages, "end"),
  ];
}

/** Over all examples, also those that are not in the page. */
function kindCounts(set, a, b, words) {
  if (!b) return [];
  const found = set.kinds.find(([first, second]) => (first === a && second === b) || (first === b && second === a));
  if (!found) return [];
  let [first, , fixed, broke, both, right] = found;
  if (first === b) [fixed, broke] = [broke, fixed];
  const chips = Object.entries({ fixed, broke, both, right }).map(([kind, n]) => h("a", { class: `chip ${kind}`, href: link({ ...state, a, b, set: set.id, kind, page: "", example: "" }) }, `${counted(n)} ${words[kind]}`));
  return h("p", { class: "chips" }, chips, ` of ${counted(set.total)}`);
}

function pager(page, pages, where) {
  if (pages < 2) return [];
  const step = (to, label) => h("button", { id: `page-${where}-${label}`, type: "button", disabled: to < 1 || to > pages, click: () => { change({ page: to === 1 ? "" : String(to) }); if (where === "end") document.getElementById("results").scrollIntoView(); } }, label);
  return h("div", { class: "pages" }, step(page - 1, "Previous"), ` ${page} of ${pages} `, step(page + 1, "Next"));
}

function example(set, one, words, pair) {
  const names = pair ? ["A", "B"] : ["Answered"];
  return h("article", { class: `example ${one.kind}` },
    h("h3", {}, h("a", { href: link({ ...state, set: set.id, example: one.id }) }, `example ${one.id}`), h("span", { class: `badge ${one.kind}` }, words[one.kind])),
    h("dl", {}, one.fields.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
      h("dt", {}, "right answer"), h("dd", {}, h("strong", {}, one.gold), one.target !== one.gold && set.labels.length > 0 ? ` (${one.target})` : ""),
      one.given.map((answer, k) => [h("dt", {}, names[k]), h("dd", {}, given(set, answer))])));
}

function given(set, [text, meaning, isRight, loss, shares]) {
  const told = meaning === null ? `${text || "(no text)"} (not a valid answer)` : meaning && meaning !== text ? `${text} (${meaning})` : text || "(no text)";
  const off = set.labels.length || isRight ? "" : ` (off by ${fixed(loss)})`;
  return [h("span", { class: isRight ? "is-right" : "is-wrong" }, isRight ? "\u2713 " : "\u2717 ", told, off),
    h("span", { class: "shares" }, Object.entries(shares).sort(([, p], [, q]) => q - p).slice(0, 6).map(([choice, p]) => h("span", {}, bar(p), choice)))];
}
