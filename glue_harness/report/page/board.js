// The board: one suite on one kind of data. Real data and demo data are two boards and never share a table.
const SIZES = [["", "any"], ["0-1e6", "below 1M"], ["1e6-1e8", "1M to 100M"], ["1e8-1e9", "100M to 1B"], ["1e9-1e99", "1B and more"]];
const MOST_ROWS = 40; // that are drawn unasked: a filter of 200 rows is to be seen within a tenth of a second
const HIDDEN = ["family", "best", "without_luck", "trainable", "examples", "commit", "digest"]; // columns, unless they are asked for

const boardTitle = (board) => (board.demo ? `${board.name.replace(/-demo$/, "")}, demo data` : board.name);
const boardOf = () => facts.boards.find((board) => board.name === state.board) ?? facts.boards[0];

function columnsOf(board) {
  const stat = (id, label, get) => ({ id, label, stat: get, value: (row) => get(row)?.[0], number: true, highFirst: true });
  const plain = (id, label, get = (row) => row[id], more = {}) => ({ id, label, value: get, ...more });
  const number = (id, label, write, more = {}) => plain(id, label, undefined, { number: true, write, ...more });
  return [
    number("rank", "Rank", String),
    plain("name", "Run"),
    ...(board.rows.some((row) => row.average) ? [stat("average", "Average", (row) => row.average)] : []),
    ...board.columns.filter((column) => board.rows.some((row) => row.values[column.name]))
      .map((column) => stat(column.name, column.label, (row) => row.values[column.name])),
    number("best", "P(best)", (value) => value.toFixed(2), { highFirst: true }),
    number("without_luck", "Without luck", fixed, { highFirst: true }),
    plain("model", "Model"), plain("family", "Family"), plain("method", "Method"), plain("mixing", "Mixing"),
    plain("tags", "Tags", (row) => row.tags.join(" ")),
    number("steps", "Steps", counted), number("seeds", "Seeds", counted),
    number("parameters", "Parameters", short), number("trainable", "Trainable", short),
    number("examples", "Examples", short), number("seconds", "Time", seconds),
    number("invalid", "Invalid %", fixed), plain("data", "Data"), plain("date", "Date"),
    plain("commit", "Commit"), plain("digest", "Plan"),
  ].filter(({ value }) => board.rows.some((row) => !isMissing(value(row))));
}

const isMissing = (value) => value === null || value === undefined || value === "";

function shownColumns(board) {
  const all = columnsOf(board);
  const wanted = state.columns?.split(" ");
  return all.filter(({ id }) => id === "name" || (wanted ? wanted.includes(id) : !HIDDEN.includes(id)));
}

/** What words are looked for in, made once a row. */
const rowTexts = new Map();
function textOf(row) {
  if (!rowTexts.has(row)) rowTexts.set(row, [row.name, row.model, row.family, row.method, row.mixing, row.data, row.digest, ...row.tags, ...row.runs].join(" ").toLowerCase());
  return rowTexts.get(row);
}

function shownRows(board) {
  const words = (state.q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const [least, most] = (state.size ?? "0-1e99").split("-").map(Number);
  const rows = board.rows.filter((row) => {
    if (row.published && !state.published) return false;
    return words.every((word) => textOf(row).includes(word))
      && ["model", "family", "method", "mixing", "data"].every((key) => !state[key] || row[key] === state[key])
      && (!state.tag || row.tags.includes(state.tag))
      && (!state.seeds || row.seeds >= Number(state.seeds))
      && (!state.size || (isNumber(row.parameters) && row.parameters >= least && row.parameters < most))
      && (!state.since || row.date >= state.since);
  });
  return sorted(board, rows);
}

/** By any column, in either direction; what has no value comes last in both. Rows come ranked. */
function sorted(board, rows) {
  const column = columnsOf(board).find(({ id }) => id === state.sort);
  if (!column) return rows;
  const way = state.down ? -1 : 1;
  const compare = (a, b) => (typeof a === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true }));
  return rows.map((row) => [column.value(row), row]).sort(([a], [b]) =>
    isMissing(a) || isMissing(b) ? isMissing(a) - isMissing(b) : way * compare(a, b)).map(([, row]) => row);
}

function boardControls(board) {
  const distinct = (key) => [...new Set(board.rows.filter((row) => !row.published || state.published).map((row) => row[key]))].filter((value) => !isMissing(value)).sort();
  const filter = (key, label) => distinct(key).length > 1 && menu(key, label, [["", "any"], ...distinct(key).map((value) => [value, value])]);
  const tags = [...new Set(board.rows.flatMap((row) => row.tags))].sort();
  const seeds = [...new Set(board.rows.filter((row) => !row.published).map((row) => row.seeds))].sort((a, b) => a - b);
  const shown = new Set(shownColumns(board).map(({ id }) => id));
  const hide = (id, on) => {
    on ? shown.add(id) : shown.delete(id);
    change({ columns: columnsOf(board).filter((column) => shown.has(column.id)).map((column) => column.id).join(" ") });
  };
  return h("div", { class: "controls" },
    facts.boards.length > 1 && menu("board", "Board", facts.boards.map((one) => [one.name, boardTitle(one)]), { whole: true, fallback: facts.boards[0].name }),
    searchBox("q", "Find", "words in names, models, runs"),
    filter("model", "Model"), filter("family", "Family"), filter("method", "Method"), filter("mixing", "Mixing"), filter("data", "Data"),
    tags.length > 0 && menu("tag", "Tag", [["", "any"], ...tags.map((tag) => [tag, tag])]),
    new Set(board.rows.map((row) => row.parameters)).size > 2 && menu("size", "Parameters", SIZES),
    seeds.length > 1 && menu("seeds", "Seeds", [["", "any"], ...seeds.slice(1).map((n) => [String(n), `${n} or more`])]),
    distinct("date").length > 1 && field("Since", h("input", { id: "since", type: "date", value: state.since ?? "", change: (event) => change({ since: event.target.value }) })),
    h("div", { class: "switches" },
      switched("plain", "Without shading"),
      board.rows.some((row) => row.published) && switched("published", "Published rows")),
    h("details", { class: "columns" }, h("summary", {}, "Columns"),
      h("div", { class: "switches" }, columnsOf(board).filter(({ id }) => id !== "name").map(({ id, label }) =>
        h("label", { class: "switch" }, h("input", { id: `column-${id}`, type: "checkbox", checked: shown.has(id), change: (event) => hide(id, event.target.checked) }), label)))),
    h("button", { id: "csv", type: "button", click: () => download(`${board.name}.csv`, boardCsv(board), "text/csv") }, "CSV of this table"));
}

/** The table as it is shown: its rows in its order, its columns, and the bounds of every interval. */
function boardCsv(board) {
  const columns = shownColumns(board);
  const parts = (column) => (column.stat ? ["", " low", " high", " deviation"] : [""]);
  const head = columns.flatMap((column) => parts(column).map((part) => column.label + part));
  const body = shownRows(board).map((row) => columns.flatMap((column) => {
    if (!column.stat) return [column.value(row)];
    const [mean, deviation, low, high] = column.stat(row) ?? [];
    return [mean, low, high, deviation];
  }));
  return csv([head, ...body]);
}

/** The element of a row, made anew only if it would look otherwise: most of a filter's time is making elements. */
const rowElements = new Map(); // row -> [how it looks, its element]
function keptRow(row, look, build) {
  if (rowElements.get(row)?.[0] !== look) rowElements.set(row, [look, build()]);
  return rowElements.get(row)[1];
}

const pickedRuns = () => new Set((state.pick ?? "").split(" ").filter(Boolean));

function pickRow(key, on) {
  const picked = pickedRuns();
  on ? picked.add(key) : picked.delete(key);
  change({ pick: [...picked].join(" ") });
}

function boardTable(board) {
  const columns = shownColumns(board), rows = shownRows(board);
  const drawn = state.rows === "all" ? rows : rows.slice(0, MOST_ROWS);
  // of all rows, whichever are shown: a filter leaves each row as it was drawn
  const everything = board.rows.filter((row) => !row.published || state.published);
  const ranges = new Map(columns.filter(({ stat }) => stat).map((column) => {
    const values = everything.map(column.value).filter(isNumber);
    return [column.id, [Math.min(...values), Math.max(...values)]];
  }));
  const ranked = board.rows.filter((row) => row.rank).map((row) => row.rank);
  const groups = [...new Set(ranked)];
  const head = columns.map((column) => {
    const isSorted = state.sort ? state.sort === column.id : column.id === "rank";
    const down = isSorted ? !state.down : Boolean(column.highFirst);
    return h("th", { scope: "col", class: column.number ? "number" : null, "aria-sort": isSorted ? (state.down ? "descending" : "ascending") : null },
      h("button", { id: `sort-${column.id}`, type: "button", class: "sort", click: () => change({ sort: column.id, down: down ? "1" : "" }) },
        column.label, h("span", { "aria-hidden": "true", class: "arrow" }, isSorted ? (state.down ? "\u25be" : "\u25b4") : "")));
  });
  const picked = pickedRuns();
  const look = [columns.map(({ id }) => id), state.plain, state.published, state.theme].join(" ");
  const body = drawn.map((row) => keptRow(row, `${look} ${picked.has(row.key)}`, () => h("tr", { class: row.published ? "published" : row.rank && groups.indexOf(row.rank) % 2 ? "tie-odd" : row.rank ? "tie-even" : null },
    h("td", { class: "pick" }, !row.published && h("input", { id: `pick-${row.key}`, type: "checkbox", "aria-label": `choose ${row.name} to compare`, checked: picked.has(row.key), change: (event) => pickRow(row.key, event.target.checked) })),
    columns.map((column) => boardCell(row, column, ranges.get(column.id), ranked)))));
  return scrolled(`Board ${boardTitle(board)}`, h("table", { class: "board" },
    captioned(`${counted(rows.length)} of ${counted(board.rows.length)} rows` + (board.common ? `; all: ${board.common}` : "")),
    h("thead", {}, h("tr", {}, h("td", { class: "pick" }), head)), h("tbody", {}, body)),
    drawn.length < rows.length && h("button", { id: "all-rows", type: "button", click: () => change({ rows: "all" }) }, `The first ${counted(drawn.length)} rows: show all ${counted(rows.length)}`));
}

function boardCell(row, column, range, ranked) {
  if (column.id === "name") {
    return h("th", { scope: "row" }, row.published
      ? [row.name, h("span", { class: "badge" }, "published")]
      : h("a", { href: to("run", { run: row.runs[0] }) }, row.name || row.key));
  }
  if (column.id === "rank") {
    const shared = ranked.filter((rank) => rank === row.rank).length > 1;
    return h("td", { class: "number" }, row.rank === null ? h("span", { class: "quiet" }, DASH)
      : [String(row.rank), shared && h("span", { class: "tied", title: "shared: no test tells these rows apart" }, "=")]);
  }
  if (column.stat) {
    const stat = column.stat(row);
    if (!stat) return h("td", { class: "number quiet" }, row.undefined.includes(column.id) ? "undefined" : DASH);
    const [low, high] = range, warmth = !state.plain && high > low ? ` h${Math.round(11 * (stat[0] - low) / (high - low))}` : "";
    return h("td", { class: `number heat${warmth}`, title: intervalInWords(stat) }, fixed(stat[0]), h("span", { class: "spread" }, spread(stat)));
  }
  const value = column.value(row);
  return h("td", { class: column.number ? "number" : null }, isMissing(value) ? h("span", { class: "quiet" }, DASH) : column.write ? column.write(value) : String(value));
}

function compareBar() {
  const picked = (state.pick ?? "").split(" ").filter((key) => runs.has(key));
  return h("p", { class: "bar", role: "status" }, picked.length === 2
    ? h("a", { class: "button", href: to("compare", { a: picked[0], b: picked[1] }) }, "Compare the two chosen runs")
    : picked.length ? `${picked.length} chosen: choose two to compare them` : "Choose two rows to compare them; a name leads to its run.");
}

views.set("board", {
  title: "Board",
  show() {
    const board = boardOf();
    if (!board) return { heading: "No board", controls: [], results: () => remark("No finished run has a score of a suite: the runs are under Runs.") };
    return {
      heading: `Board: ${boardTitle(board)}`,
      controls: boardControls(board),
      results: () => [
        board.demo && h("p", { class: "warning" }, "Demo data: these scores say nothing about real language."),
        compareBar(), boardTable(board),
        board.below.map(remark),
        board.left_out.length > 0 && h("details", {}, h("summary", {}, `${board.left_out.length} left out`), h("ul", {}, board.left_out.map(([run, why]) =>
          h("li", {}, runs.has(run) ? h("a", { href: to("run", { run }) }, run) : run, `: ${why}`)))),
      ],
    };
  },
});
