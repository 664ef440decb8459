// What the page shows stands in its address, so that a link shows what its sender saw.
const facts = JSON.parse(document.getElementById("facts").textContent);
const runs = new Map(Object.entries(facts.runs));
const views = new Map(); // name -> {title, show(state) -> {controls, results()}}
let state = fromAddress();
let current = null;

function fromAddress() {
  return Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
}

function link(wanted) {
  const given = Object.entries(wanted).filter(([, value]) => value !== "" && value !== undefined && value !== null);
  return "#" + new URLSearchParams(given);
}

/** What always goes along from view to view. */
const to = (view, wanted = {}) => link({ view, theme: state.theme, ...wanted });

/** Another setting of this view; `whole`: its controls depend on it too. */
function change(changes, whole = false) {
  state = { ...state, ...changes };
  for (const key of Object.keys(state)) if (state[key] === "") delete state[key];
  history.replaceState(null, "", link(state));
  whole ? render() : refresh();
}

/** What is built anew keeps the place of the keyboard: elements that can have it have an id. */
function keepingFocus(build) {
  const { activeElement: before } = document;
  const id = before?.id, caret = before?.selectionStart;
  build();
  const after = id && document.getElementById(id);
  if (after && after !== document.activeElement) {
    after.focus({ preventScroll: true });
    if (isNumber(caret) && after.setSelectionRange && after.type !== "number" && after.type !== "date") after.setSelectionRange(caret, caret);
  }
}

function refresh() {
  const box = document.getElementById("results");
  const { scrollLeft } = box.querySelector(".scroll") ?? {};
  keepingFocus(() => box.replaceChildren(...[current.results()].flat(Infinity).filter(Boolean)));
  const wide = box.querySelector(".scroll");
  if (scrollLeft && wide) wide.scrollLeft = scrollLeft;
  theme();
}

function render() {
  const name = views.has(state.view) ? state.view : "board";
  const view = views.get(name);
  const main = document.getElementById("main");
  document.querySelector("header nav").replaceChildren(...[...views].filter(([, { title }]) => title).map(([id, { title, home }]) =>
    h("a", { href: to(id), "aria-current": id === name || home === name ? "page" : null }, title)));
  keepingFocus(() => {
    current = view.show();
    main.replaceChildren(h("h1", {}, current.heading), ...[current.controls].flat(Infinity).filter(Boolean), h("div", { id: "results" }));
  });
  document.title = `${current.heading} ${DASH} glue report`;
  refresh();
}

function theme() {
  const wanted = state.theme ?? "";
  if (document.documentElement.dataset.theme !== wanted) document.documentElement.dataset.theme = wanted;
  document.getElementById("theme").value = wanted;
}

/** The examples of one set, unpacked when they are first wanted. */
const unpacked = new Map();
function examplesOf(id) {
  if (!unpacked.has(id)) unpacked.set(id, unpack(id));
  return unpacked.get(id);
}

async function unpack(id) {
  if (typeof DecompressionStream === "undefined") throw new Error("this browser cannot unpack the examples: a newer one can");
  const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}
