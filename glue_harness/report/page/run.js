// All runs, and one of them: what was asked, what came of it, and the evidence.
const rowOf = (id) => facts.boards.flatMap((board) => board.rows).find((row) => row.runs.includes(id));
const seedsOf = (id) => facts.experiments.find((ids) => ids.includes(id)) ?? [id];

function nameOf(id) {
  const run = runs.get(id);
  return rowOf(id)?.name || (run ? `${run.tasks.join("+")}, ${run.model}, ${run.method}` : id);
}

const isShared = (name) => facts.experiments.filter((ids) => nameOf(ids[0]) === name).length > 1; // real and demo, say
const title = (id) => {
  const run = runs.get(id), name = nameOf(id);
  return name + (isShared(name) && run?.demo ? ", demo" : "") + (seedsOf(id).length > 1 && run ? `, seed ${run.seed}` : "");
};

function runsTable() {
  const words = (state.q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const shown = [...runs.values()].filter((run) => {
    const text = [run.id, run.model, run.method, run.status, run.digest, run.note, ...run.tags, ...run.tasks, nameOf(run.id)].join(" ").toLowerCase();
    return words.every((word) => text.includes(word)) && (!state.status || run.status === state.status) && (!state.tag || run.tags.includes(state.tag));
  });
  const rows = shown.map((run) => [
    h("a", { href: to("run", { run: run.id }) }, run.id), run.status, run.tasks.join(", "), run.model, run.method, run.demo ? "demo" : "real",
    String(run.seed), run.scores.length ? `${run.scores[0].label} ${fixed(run.scores[0].value)}` + (run.scores.length > 1 ? ` and ${run.scores.length - 1} more` : "") : DASH, seconds(run.seconds)]);
  return tabled(`${counted(shown.length)} of ${counted(runs.size)} runs, the newest plan first`, ["Run", "Status", "Tasks", "Model", "Method", "Data", "Seed", "Scores", "Time"], rows, { numbers: [6, 8] });
}

views.set("runs", {
  title: "Runs",
  show: () => ({
    heading: "Runs",
    controls: h("div", { class: "controls" }, searchBox("q", "Find", "words in ids, tasks, models"),
      menu("status", "Status", [["", "any"], ...[...new Set([...runs.values()].map((run) => run.status))].sort().map((one) => [one, one])]),
      [...runs.values()].some((run) => run.tags.length) && menu("tag", "Tag", [["", "any"], ...[...new Set([...runs.values()].flatMap((run) => run.tags))].sort().map((one) => [one, one])])),
    results: runsTable,
  }),
});

views.set("run", {
  home: "runs",
  show() {
    const run = runs.get(state.run);
    if (!run) return { heading: "No such run", controls: [], results: () => remark(`This page holds no run ${state.run ?? ""}.`) };
    const seeds = seedsOf(run.id);
    return {
      heading: title(run.id),
      controls: [
        run.demo && h("p", { class: "warning" }, "Demo data: these scores say nothing about real language."),
        h("p", { class: "quiet" }, `${run.id}, ${run.status}, plan ${run.digest}`),
        run.tags.length > 0 && h("p", {}, "Tags: ", run.tags.map((tag) => [h("a", { href: to("runs", { tag }) }, tag), " "])),
        run.note && h("p", {}, run.note),
        run.error && h("p", { class: "warning" }, run.error),
        seeds.length > 1 && h("p", {}, "Seeds of this plan: ", seeds.map((id) => [h("a", { href: to("run", { run: id }), "aria-current": id === run.id ? "true" : null }, String(runs.get(id)?.seed ?? id)), " "])),
      ],
      results: () => runSections(run),
    };
  },
});

function runSections(run) {
  const charts = facts.curves[seedsOf(run.id)[0]] ?? [];
  const sets = facts.sets.filter((set) => set.details[run.id]);
  return [
    run.scores.length > 0 && section("Scores", scoresTable(run)),
    sets.length > 0 && answersSection(run, sets),
    sets.length === 0 && run.scores.length > 0 && section("Answers", remark(`The answers of this run are not in this page: glue report ${run.id} makes one with them.`)),
    charts.length > 0 && section("Curves", seedsOf(run.id).length > 1 && remark("Means over the seeds of this plan, with one standard deviation up and down."),
      h("div", { class: "charts" }, charts.map((chart) => lineChart(chart, (chart.title ? `${chart.title}: ` : "") + chart.y)))),
    Object.keys(run.mix).length > 1 && section("Shares of the tasks", tabled("Planned and drawn", ["Task", "Planned", "Drawn", "Examples", "Epochs"],
      Object.entries(run.mix).map(([task, [planned, drawn, seen, epochs]]) => [task, bar(planned), bar(drawn), counted(seen), fixed(epochs)]), { numbers: [3, 4] })),
    planSection(run), provenance(run),
  ];
}

function bar(share) {
  const full = h("span", { class: "bar-full" });
  full.style.width = `${(100 * share).toFixed(1)}%`;
  return h("span", { class: "share" }, h("span", { class: "bar-room", "aria-hidden": "true" }, full), `${(100 * share).toFixed(1)} %`);
}

function scoresTable(run) {
  const has = (get) => run.scores.some((score) => isNumber(get(score)));
  const columns = [
    ["Task", (score) => score.label], ["Score", (score) => (isNumber(score.value) ? fixed(score.value) : "undefined")],
    ["95 % interval", ({ interval: [low, high] }) => (isNumber(low) ? `${fixed(low)} to ${fixed(high)}` : DASH)],
    ["One constant answer", (score) => fixed(score.baseline), has((score) => score.baseline)],
    ["Without luck", (score) => fixed(score.without_luck), has((score) => score.without_luck)],
    ["Without shared texts", (score) => fixed(score.clean), has((score) => score.clean)],
    ["Examples", (score) => counted(score.n)], ["Invalid", (score) => counted(score.invalid)], ["Step", (score) => counted(score.step)],
  ].filter(([, , shown = true]) => shown);
  const constant = [...new Map(run.scores.filter((score) => score.constant !== null).map((score) => [score.task, score.constant]))];
  return [tabled("Each at its best step; intervals are over examples", columns.map(([name]) => name), run.scores.map((score) => columns.map(([, get]) => get(score))), { numbers: columns.map((_, k) => k).slice(1) }),
    constant.map(([task, answer]) => h("p", { class: "warning" }, `${task}: every answer was ${answer || "empty"}`))];
}

function answersSection(run, sets) {
  const set = sets.find((one) => one.task === state.task) ?? sets[0];
  const found = set.details[run.id];
  const other = found.calibration.length ? `, ECE ${found.ece.toFixed(3)}` : "";
  return section("Answers",
    sets.length > 1 && h("div", { class: "controls" }, menu("task", "Task", sets.map((one) => [one.task, one.title]), { fallback: sets[0].task })),
    h("p", {}, set.labels.length ? `${counted(found.right)} of ${counted(found.n)} right${other}. ` : `${counted(found.right)} of ${counted(found.n)} exactly right. `,
      h("a", { href: to("compare", { a: run.id, set: set.id }) }, "The examples")),
    set.notes.map(remark),
    h("div", { class: "charts" },
      found.confusion.length > 0 && confusion(set, found),
      found.calibration.length > 0 && reliabilityChart(found.calibration, "Calibration: are answers as often right as their share says?")),
    h("div", { class: "charts" },
      found.confusion.length > 0 && byClass(set, found),
      found.lengths.length > 0 && tabled("By length of the input", ["Words", "Examples", set.labels.length ? "Right" : "Off by"],
        found.lengths.map(([low, high, n, value]) => [low === high ? counted(low) : `${counted(low)} to ${counted(high)}`, counted(n), set.labels.length ? percent(value) : fixed(value)]), { numbers: [1, 2] }),
      found.groups.map(([column, groups]) => tabled(`By ${column}`, [column, "Examples", set.labels.length ? "Right" : "Off by"],
        groups.map(([value, n, mean]) => [value || "(none)", counted(n), set.labels.length ? percent(mean) : fixed(mean)]), { numbers: [1, 2] })),
      found.invalid.length > 0 && tabled(`Answers that are none of the task's: ${counted(found.invalid_kinds)} kinds`, ["Answer", "Times"], found.invalid.map(([text, times]) => [text || "(empty)", counted(times)]), { numbers: [1] })));
}

function confusion(set, found) {
  const count = new Map(found.confusion.map(([gold, answer, n]) => [`${gold}\n${answer}`, n]));
  const golds = set.labels.filter((label) => found.confusion.some(([gold]) => gold === label));
  const answers = [...new Set([...set.labels, ...found.confusion.map(([, answer]) => answer)])];
  const most = Math.max(...count.values());
  return tabled("Right answers down, given answers across", ["right", ...answers], golds.map((gold) => [gold, ...answers.map((answer) => {
    const n = count.get(`${gold}\n${answer}`) ?? 0, cell = h("span", { class: `heat cell h${Math.round(11 * n / most)}` }, counted(n));
    return gold === answer ? h("strong", {}, cell) : cell;
  })]), { numbers: answers.map((_, k) => k + 1), className: "confusion" });
}

function byClass(set, found) {
  const sum = (wanted) => found.confusion.filter(wanted).reduce((total, [, , n]) => total + n, 0);
  const rows = set.labels.map((label) => {
    const hits = sum(([gold, answer]) => gold === label && answer === label);
    const golds = sum(([gold]) => gold === label), given = sum(([, answer]) => answer === label);
    return [label, counted(golds), percent(golds ? hits / golds : null), percent(given ? hits / given : null)];
  });
  return tabled("By class", ["Class", "Examples", "Recall", "Precision"], rows, { numbers: [1, 2, 3] });
}

function planSection(run) {
  const all = Boolean(state.whole_plan);
  const lines = run.plan.filter(([, differs]) => all || differs).map(([line, differs]) => [differs && all ? h("mark", {}, line) : line, "\n"]);
  return section("Plan", h("div", { class: "switches" }, switched("whole_plan", "Every setting, those that differ from the defaults marked")), h("pre", { tabindex: "0", "aria-label": "plan as TOML" }, lines));
}

function provenance(run) {
  const sizes = Object.entries(run.parameters).map(([name, n]) => [`parameters, ${name}`, counted(n)]);
  const times = Object.entries(run.timing).map(([phase, took]) => [`time, ${phase}`, seconds(took)]);
  const resumed = run.resumed.length ? [["resumed at steps", run.resumed.join(", ")]] : [];
  const asLink = (id) => (runs.has(id) ? h("a", { href: to("run", { run: id }) }, id) : id);
  const parents = run.parents.length ? [["started from", run.parents.map((id) => [asLink(id), " "])]] : [];
  if (run.teachers.length) parents.push(["taught by", run.teachers.map((id) => [asLink(id), " "])]);
  const children = [...runs.values()].filter((other) => other.parents.includes(run.id)).map(({ id }) => [asLink(id), " "]);
  if (children.length) parents.push(["starts for", children]);
  const pairs = [["run", run.id], ...parents, ["started", run.started], ["time", seconds(run.seconds)], ...(run.stage ? [["stage", run.stage]] : []), ...sizes, ...times, ...resumed, ...run.environment];
  return [
    section("Provenance", tabled("What made these numbers", ["", ""], pairs, {})),
    run.data.length > 0 && section("Data", tabled("Rows and what names their content", ["Task", "For", "Rows", "Official", "From", "Fingerprint"],
      run.data.map(([task, role, rows, official, fingerprint, origin]) => [task, role, counted(rows), counted(official), origin, h("code", {}, (fingerprint ?? DASH).slice(0, 16))]), { numbers: [2, 3] })),
    run.notes.length > 0 && section("Notes", h("ul", {}, run.notes.map((note) => h("li", {}, note)))),
  ];
}
