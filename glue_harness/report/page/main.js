// Begins: the views in the order of the menu are entered by the files before this one.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address holds the state
  document.getElementById("main").focus();
});
document.getElementById("theme").addEventListener("change", (event) => change({ theme: event.target.value === "as the system" ? "" : event.target.value }, true));
document.querySelector("footer").replaceChildren(
  ...facts.notes.map((note) => h("p", {}, `Left out: ${note}.`)),
  h("p", {}, `Written by glue ${facts.glue}, ${facts.made}. This page asks for nothing from anywhere.`));
addEventListener("hashchange", () => {
  const { view, run } = state, top = scrollY;
  state = fromAddress();
  render();
  if (state.view === view && state.run === run) requestAnimationFrame(() => scrollTo(0, top));
  else { document.getElementById("main").focus({ preventScroll: true }); scrollTo(0, 0); }
});
render();
document.documentElement.dataset.ready = "1";
