// Many runs: what a score costs. A row is on the front if no other costs no more and scores more.
const COSTS = { seconds: ["time", seconds], parameters: ["parameters", short], trainable: ["trainable parameters", short], examples: ["training examples", short],
  bytes: ["bytes on disk", (value) => `${short(value)}B`], nonzero: ["parameters that are not zero", short], milliseconds: ["ms of an example alone", milliseconds], examples_per_second: ["ms an example in batches", milliseconds] };
const MEASURED = ["bytes", "nonzero", "milliseconds", "examples_per_second"];

function milliseconds(value) {
  return `${plainNumber(value)} ms`;
}

/** Rows that no other row beats: at no greater cost a higher score, or the same for less. */
function paretoFront(points) {
  return points.filter((one) => !points.some((other) => other.cost <= one.cost && other.score >= one.score && (other.cost < one.cost || other.score > one.score)));
}

views.set("many", {
  title: "Many runs",
  show() {
    const board = boardOf();
    if (!board) return { heading: "Many runs", controls: [], results: () => remark("No finished run has a score of a suite.") };
    const values = columnsOf(board).filter(({ stat }) => stat);
    const usual = values.find(({ value }) => board.rows.some((row) => row.runs.length && isNumber(value(row)))) ?? values[0]; // runs of few tasks have no average
    const costs = Object.keys(COSTS).filter((key) => board.rows.some((row) => isNumber(row[key])));
    return {
      heading: `Many runs: ${boardTitle(board)}`,
      controls: h("div", { class: "controls" },
        facts.boards.length > 1 && menu("board", "Board", facts.boards.map((one) => [one.name, boardTitle(one)]), { whole: true, fallback: facts.boards[0].name }),
        values.length > 0 && menu("score", "Score", values.map(({ id, label }) => [id, label]), { fallback: usual.id }),
        costs.length > 0 && menu("cost", "Against", costs.map((key) => [key, COSTS[key][0]]), { fallback: costs[0] }),
        menu("colour", "Colour by", [["", "method"], ["model", "model"], ["mixing", "mixing"]]),
        searchBox("q", "Find", "words in names, models, runs")),
      results: () => [costs.length && values.length ? costChart(board, values.find(({ id }) => id === state.score) ?? usual, costs.includes(state.cost) ? state.cost : costs[0]) : remark("Nothing here tells what it cost."), overTasks(board), profilesChart(board)],
    };
  },
});

function costChart(board, column, cost) {
  const [word, write] = COSTS[cost];
  const points = shownRows(board).filter((row) => isNumber(row[cost]) && row[cost] > 0 && isNumber(column.value(row)))
    .map((row) => ({ row, cost: row[cost], score: column.value(row), stat: column.stat(row) })).sort((a, b) => a.cost - b.cost);
  if (!points.length) return remark("No row has both.");
  const front = paretoFront(points), by = state.colour ?? "method";
  const groups = [...new Set(points.map(({ row }) => row[by] || DASH))];
  const caption = `${column.label} against ${word}`;
  const draw = (width, height) => {
    const [left, right, top, bottom] = frameOf(width, height);
    const x = scale(points.map((point) => point.cost), left, right, { log: true });
    const y = scale(points.flatMap(({ score, stat: [, , low, high] }) => [score, ...[low, high].filter(isNumber)]), bottom, top);
    const steps = front.flatMap((point, k) => (k ? [[point.cost, front[k - 1].score], [point.cost, point.score]] : [[point.cost, point.score]]));
    return axes(width, height, caption, x, y, { x: `${word}, by ratios`, y: column.label, role: "group" }, { x: write, y: plainNumber }, [
      s("polyline", { class: "front", points: steps.map(([at, score]) => `${x(at)},${y(score)}`).join(" ") }),
      points.map((point) => {
        const [, , low, high] = point.stat, k = groups.indexOf(point.row[by] || DASH), at = x(point.cost);
        return s("a", { href: to("run", { run: point.row.runs[0] }), "aria-label": `${point.row.name}: ${fixed(point.score)}` }, s("g", { class: seriesClass(k) },
          s("title", {}, `${point.row.name}: ${fixed(point.score)}, ${write(point.cost)}`),
          isNumber(low) && s("line", { class: "whisker", x1: at, x2: at, y1: y(low), y2: y(high) }),
          mark(k, at, y(point.score), front.includes(point) ? 7 : 5, front.includes(point))));
      })]);
  };
  const numbers = () => tabled(caption, ["Run", word, column.label, "On the front"], points.map((point) => [point.row.name, write(point.cost), `${fixed(point.score)} ${spread(point.stat)}`, front.includes(point) ? "yes" : ""]), { numbers: [1, 2] });
  return [figure(caption, 420, draw, { legend: groups.length > 1 ? groups : [], swatch: (k) => mark(k, 13, 7, 5, false), numbers, name: `${board.name}-${cost}` }),
    remark("Each point is a row of the board with its 95 % interval; the larger, ringed ones on the broken line are beaten by none: no other row scores more at no greater cost."),
    MEASURED.includes(cost) && board.measured.map((text) => remark(text))];
}

/** Groups differ in their shape as well as in colour. */
function mark(k, x, y, r, onFront) {
  const className = onFront ? "on-front" : null;
  if (k % 3 === 1) return s("rect", { x: x - r, y: y - r, width: 2 * r, height: 2 * r, class: className });
  if (k % 3 === 2) return s("rect", { x: x - r, y: y - r, width: 2 * r, height: 2 * r, transform: `rotate(45 ${x} ${y})`, class: className });
  return s("circle", { cx: x, cy: y, r, class: className });
}

const clipped = (text, most) => (text.length <= most ? text : `${text.slice(0, Math.max(1, most - 1))}\u2026`);

/** Mean ranks over tasks; a bar joins rows that no test tells apart. */
function overTasks(board) {
  const found = board.over_tasks;
  if (!found) return section("Ranks over tasks", remark("Three ranked rows and three tasks are needed to rank rows over tasks."));
  const rows = [...found.means].sort(([, a], [, b]) => a - b), place = new Map(rows.map(([key], k) => [key, k]));
  const step = 36, groups = found.groups.filter((group) => group.length > 1);
  const draw = (width, height) => {
    const left = 14, right = width - 24 - 10 * groups.length, x = scale([1, rows.length], left, right, { ends: [1, rows.length] });
    const at = (k) => 40 + step * k;
    return s("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": "Mean ranks over tasks" },
      rows.map((_, k) => [s("text", { x: x(k + 1), y: 12, class: "middle" }, String(k + 1)), s("line", { class: "grid", x1: x(k + 1), x2: x(k + 1), y1: 18, y2: height })]),
      rows.map(([key, mean], k) => s("g", { class: "series s0" }, s("text", { x: left, y: at(k) }, clipped(nameOf(key), (right - left) / 6.5)),
        s("circle", { cx: x(mean), cy: at(k) + 10, r: 5 }, s("title", {}, `${nameOf(key)}: ${fixed(mean)}`)))),
      groups.map((group, k) => {
        const places = group.map((key) => place.get(key)), bar = width - 12 - 10 * k;
        return s("line", { class: "joined", x1: bar, x2: bar, y1: at(Math.min(...places)) + 2, y2: at(Math.max(...places)) + 16 });
      }));
  };
  const numbers = () => tabled("Mean ranks over tasks", ["Run", "Mean rank", "Groups"], rows.map(([key, mean]) => [nameOf(key), fixed(mean),
    found.groups.map((group, k) => (group.includes(key) ? String(k + 1) : "")).filter(Boolean).join(", ")]), { numbers: [1] });
  return section("Ranks over tasks",
    figure(`Mean rank over ${found.tasks} tasks: 1 is best`, 40 + step * rows.length, draw, { numbers, name: `${board.name}-ranks` }),
    remark(`Friedman's test: p ${found.p < 0.001 ? "" : "= "}${probability(found.p)}. Rows beside one bar are not told apart (mean ranks, Holm's correction over all pairs, 0.05). Tasks are few, and each counts as one: the board's own ranks, which test the examples, find more.`),
    found.left_out > 0 && remark(`Of the ranked rows the best ${rows.length} are here; ${found.left_out} are not.`));
}

/** Which part of all tasks and seeds scores more than a bound: a line above another everywhere is better everywhere. */
function profilesChart(board) {
  const found = board.profiles;
  if (!found) return remark("Performance profiles need two rows with three scores each, over the tasks and seeds that they share.");
  const rows = new Map(board.rows.map((row) => [row.key, row])), [first, last] = [found.bounds[0], found.bounds.at(-1)];
  const names = found.curves.map(([key]) => rows.get(key)?.name ?? key);
  const caption = `Performance profiles over ${counted(found.tasks.length)} tasks and all seeds`;
  const draw = (width, height) => {
    const [left, right, top, bottom] = frameOf(width, height);
    const x = scale([first, last], left, right, { ends: [first, last], wanted: width / 90 }), y = scale([0, 1], bottom, top, { ends: [0, 1] });
    const line = (values) => values.map((value, k) => `${x(found.bounds[k]).toFixed(1)},${y(value).toFixed(1)}`);
    return axes(width, height, caption, x, y, { x: "score more than", y: "part of tasks and seeds" }, { x: plainNumber, y: percent },
      found.curves.map(([, parts, low, high], k) => s("g", { class: seriesClass(k) }, s("title", {}, names[k]),
        low && s("polygon", { points: [...line(high), ...line(low).reverse()].join(" ") }),
        s("polyline", { points: line(parts).join(" "), "stroke-dasharray": dashOf(k) }))));
  };
  const every = found.bounds.map((_, k) => k).filter((k) => k % 6 === 0);
  const numbers = () => tabled(caption, ["score more than", ...names], every.map((k) => [fixed(found.bounds[k], 1), ...found.curves.map(([, parts]) => percent(parts[k]))]), { numbers: names.map((_, k) => k + 1) });
  return [figure(caption, 320, draw, { legend: names, numbers, name: `${board.name}-profiles` }),
    remark(`At each bound the mean over tasks of the part of seeds that score more, with 95 % intervals over seeds where there are several (Agarwal et al. 2021); ${found.tasks.join(", ")}` + (found.left_out ? `. The best ${found.curves.length} rows; ${counted(found.left_out)} more could be drawn` : "") + ".")];
}
