// Elements, numbers and files. Whatever comes from data becomes a text node or a plain attribute, never markup.
const SVG = "http://www.w3.org/2000/svg";

function built(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else if (name === "href" && !/^(#|blob:)/.test(value)) throw new Error("a link that leaves the page");
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat(Infinity)) {
    if (child !== undefined && child !== null && child !== false && child !== "") element.append(child);
  }
  return element;
}

const h = (tag, attributes, ...children) => built(document.createElement(tag), attributes, children);
const s = (tag, attributes, ...children) => built(document.createElementNS(SVG, tag), attributes, children);

const MINUS = "\u2212", DASH = "\u2013", PLUS_MINUS = "\u00b1", SIGMA = "\u03c3";
const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
const fixed = (value, digits = 2) => (isNumber(value) ? value.toFixed(digits).replace("-", MINUS) : DASH);
const signed = (value, digits = 2) => (isNumber(value) ? (value > 0 ? "+" : "") + fixed(value, digits) : DASH);
const whole = new Intl.NumberFormat("en"); // made once: it takes longer than all it writes
const counted = (value) => (isNumber(value) ? whole.format(value) : DASH);
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const short = (value) => (isNumber(value) ? compact.format(value) : DASH);
const percent = (value) => (isNumber(value) ? `${Math.round(value * 100)} %` : DASH);
const probability = (p) => (!isNumber(p) ? DASH : p < 0.001 ? "< 0.001" : p.toFixed(3));

function seconds(value) {
  if (!isNumber(value)) return DASH;
  if (value < 100) return `${value.toFixed(value < 10 ? 1 : 0)} s`;
  return value < 6000 ? `${Math.round(value / 60)} min` : `${(value / 3600).toFixed(1)} h`;
}

/** Half an interval, or the deviation over seeds, behind its sign. */
function spread(stat) {
  const [, deviation, low, high] = stat;
  if (isNumber(low) && isNumber(high)) return PLUS_MINUS + ((high - low) / 2).toFixed(2);
  return isNumber(deviation) ? SIGMA + deviation.toFixed(2) : "";
}

function intervalInWords(stat) {
  const [, , low, high, over] = stat;
  return isNumber(low) ? `95 % interval over ${over}: ${low.toFixed(2)} to ${high.toFixed(2)}` : null;
}

/** A table with a caption for those who hear it, in a box that scrolls so that the page need not. */
function tabled(caption, heads, rows, { numbers = [], className = "", heading = true } = {}) {
  const cell = (value, k) => (k === 0 && heading
    ? h("th", { scope: "row" }, value)
    : h("td", { class: numbers.includes(k) ? "number" : null }, value));
  return scrolled(caption, h("table", { class: className },
    captioned(caption),
    heads.some(Boolean) && h("thead", {}, h("tr", {}, heads.map((head, k) => h("th", { scope: "col", class: numbers.includes(k) ? "number" : null }, head)))),
    h("tbody", {}, rows.map((row) => h("tr", {}, row.map(cell))))));
}

const captioned = (text) => h("caption", { class: "quiet" }, h("span", {}, text));
const scrolled = (label, ...content) => h("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": label }, content);
const section = (title, ...content) => h("section", {}, h("h2", {}, title), content);
const remark = (text) => h("p", { class: "quiet" }, text);

function field(label, control) {
  return h("label", { class: "field" }, h("span", {}, label), control);
}

/** A menu of [value, text] pairs; what is chosen stands in the state. */
function menu(key, label, options, { whole = false, fallback = "" } = {}) {
  const chosen = state[key] ?? fallback;
  return field(label, h("select", { id: `menu-${key}`, change: (event) => change({ [key]: event.target.value === fallback ? "" : event.target.value }, whole) },
    options.map(([value, text]) => h("option", { value, selected: value === chosen }, text))));
}

function searchBox(key, label, placeholder) {
  return field(label, h("input", { id: `search-${key}`, type: "search", placeholder, value: state[key] ?? "",
    input: (event) => change({ [key]: event.target.value, page: "" }) }));
}

function switched(key, label) {
  return h("label", { class: "switch" }, h("input", { id: `switch-${key}`, type: "checkbox", checked: Boolean(state[key]),
    change: (event) => change({ [key]: event.target.checked ? "1" : "" }) }), label);
}

function download(name, content, type) {
  const address = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  const anchor = h("a", { href: address, download: name });
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
}

/** A cell of CSV that no spreadsheet takes for a formula: the rule of the harness's own CSV. */
function csvCell(value) {
  if (value === null || value === undefined) return "";
  let text = typeof value === "number" ? String(value) : String(value).replace(/[\s\p{Cc}]+/gu, " ").trim();
  if (typeof value !== "number" && text && facts.executed.includes(text[0])) text = `'${text}`;
  return /[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
const csv = (rows) => rows.map((row) => row.map(csvCell).join(",") + "\n").join("");
