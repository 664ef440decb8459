// Charts in SVG, drawn at the width that there is, so that their letters are never scaled.
const DASHES = ["", "7 3", "2 3", "9 3 2 3", "12 4", "4 2", "1 3"]; // lines differ in more than colour
const lineSwatch = (k) => s("line", { x1: 1, x2: 25, y1: 7, y2: 7, "stroke-dasharray": dashOf(k) });
const dashOf = (k) => DASHES[(k + Math.floor(k / 7)) % 7]; // the eighth line has the first one's colour, not its dashes
const seriesClass = (k) => `series s${k % 7}`;

/** A figure that draws itself again when its room changes; its height is kept from the start. */
function figure(title, height, draw, { legend = [], swatch = lineSwatch, numbers = null, name = "chart" } = {}) {
  const box = h("div", { class: "plot" });
  box.style.height = `${height}px`;
  const redraw = (width) => box.replaceChildren(draw(Math.max(220, Math.floor(width)), height));
  new ResizeObserver((entries) => redraw(entries[0].contentRect.width)).observe(box);
  return h("figure", {}, h("figcaption", {}, title), box,
    legend.length > 0 && h("ul", { class: "legend" }, legend.map((text, k) => h("li", {},
      s("svg", { width: 26, height: 14, "aria-hidden": "true", class: seriesClass(k) }, swatch(k)), text))),
    h("div", { class: "tools" },
      numbers && h("details", {}, h("summary", {}, "Numbers"), numbers()),
      h("button", { type: "button", click: () => download(`${name}.svg`, svgText(box.firstChild), "image/svg+xml") }, "SVG"),
      h("button", { type: "button", click: () => png(box.firstChild, name) }, "PNG")));
}

/** A drawing that stands alone: what the page's style gives its elements is written into them. */
function svgText(drawing) {
  const copy = drawing.cloneNode(true);
  const pairs = [[drawing, copy], ...[...drawing.querySelectorAll("*")].map((element, k) => [element, copy.querySelectorAll("*")[k]])];
  for (const [element, twin] of pairs) {
    const style = getComputedStyle(element);
    for (const name of ["fill", "fill-opacity", "stroke", "stroke-width", "font-size", "font-family", "text-anchor"]) twin.setAttribute(name, style.getPropertyValue(name));
  }
  const paper = s("rect", { width: "100%", height: "100%", fill: getComputedStyle(document.body).backgroundColor });
  copy.prepend(paper);
  copy.setAttribute("xmlns", SVG);
  return new XMLSerializer().serializeToString(copy);
}

function png(drawing, name) {
  const image = new Image(), { width, height } = drawing.viewBox.baseVal;
  const address = URL.createObjectURL(new Blob([svgText(drawing)], { type: "image/svg+xml" }));
  image.addEventListener("load", () => {
    const canvas = h("canvas", { width: 3 * width, height: 3 * height });
    canvas.getContext("2d").drawImage(image, 0, 0, 3 * width, 3 * height);
    canvas.toBlob((content) => download(`${name}.png`, content, "image/png"));
    URL.revokeObjectURL(address);
  });
  image.src = address;
}

/** Round numbers from low to high. */
function ticks(low, high, wanted) {
  const rough = (high - low) / wanted || 1, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) found.push(Number((k * step).toPrecision(12)));
  return found;
}

function logTicks(low, high) {
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const factor of [1, 2, 5]) if (factor * 10 ** power >= low * 0.999 && factor * 10 ** power <= high * 1.001) found.push(factor * 10 ** power);
  }
  if (found.length < 2) return ticks(low, high, 4).filter((value) => value > 0); // less than a factor of two or so
  return found.length > 7 ? found.filter((value) => Math.abs(Math.log10(value) % 1) < 1e-9) : found;
}

/** From a value to its place. */
function scale(values, from, until, { log = false, room = 0.05, wanted = 5, ends = null } = {}) {
  let [low, high] = ends ?? [Math.min(...values), Math.max(...values)];
  if (low === high) [low, high] = log ? [low / 2, high * 2] : [low - 1, high + 1];
  else if (log) [low, high] = [low / (high / low) ** room, high * (high / low) ** room];
  else if (!ends) [low, high] = [low - room * (high - low), high + room * (high - low)];
  const t = log ? Math.log : (value) => value;
  const place = (value) => from + (until - from) * (t(value) - t(low)) / (t(high) - t(low));
  place.ticks = log ? logTicks(low, high) : ticks(low, high, wanted);
  return place;
}

/** Axes with their words around whatever `inside` draws with the two scales: a group, not a picture, where that has links. */
function axes(width, height, label, x, y, words, written, inside) {
  const [left, right, top, bottom] = frameOf(width, height);
  return s("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: words.role ?? "img", "aria-label": label },
    y.ticks.map((value) => [
      s("line", { class: "grid", x1: left, x2: right, y1: y(value), y2: y(value) }),
      s("text", { x: left - 6, y: y(value) + 4, class: "end" }, written.y(value))]),
    x.ticks.map((value) => [
      s("line", { class: "axis", x1: x(value), x2: x(value), y1: bottom, y2: bottom + 4 }),
      s("text", { x: x(value), y: bottom + 17, class: "middle" }, written.x(value))]),
    s("line", { class: "axis", x1: left, x2: right, y1: bottom, y2: bottom }),
    s("text", { x: (left + right) / 2, y: height - 4, class: "middle" }, words.x),
    s("text", { x: 2, y: 12 }, words.y),
    inside);
}
const frameOf = (width, height) => [54, width - 22, 24, height - 40]; // left, right, top, bottom

const plainNumber = (value) => (value !== 0 && Math.abs(value) < 0.01 ? value.toExponential(0).replace("-", MINUS) : Math.abs(value) >= 10000 ? short(value) : String(Number(value.toPrecision(4))).replace("-", MINUS));

/** Lines over steps, each in a band of one deviation over seeds. */
function lineChart(chart, title) {
  const all = chart.curves.flatMap((curve) => curve.points);
  const isLog = chart.log && all.length > 1;
  const draw = (width, height) => {
    const [left, right, top, bottom] = frameOf(width, height);
    const x = scale(all.map(([at]) => at), left, right, { room: 0.01, wanted: width / 90 });
    const y = scale(all.flatMap(([, value, deviation]) => (isLog ? [value] : [value - (deviation ?? 0), value + (deviation ?? 0)])), bottom, top, { log: isLog });
    return axes(width, height, title, x, y, chart, { x: plainNumber, y: plainNumber }, chart.curves.map((curve, k) => {
      const line = curve.points.map(([at, value]) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`);
      const side = (sign) => curve.points.map(([at, value, deviation]) => `${x(at).toFixed(1)},${y(value + sign * (deviation ?? 0)).toFixed(1)}`);
      return s("g", { class: seriesClass(k) }, s("title", {}, curve.label),
        !isLog && curve.points.some(([, , deviation]) => deviation) && s("polygon", { points: [...side(1), ...side(-1).reverse()].join(" ") }),
        line.length > 1 ? s("polyline", { points: line.join(" "), "stroke-dasharray": dashOf(k) }) : s("circle", { cx: line[0].split(",")[0], cy: line[0].split(",")[1], r: 3 }));
    }));
  };
  const numbers = () => tabled(title, [chart.x, ...chart.curves.map((curve) => curve.label)],
    [...new Set(all.map(([at]) => at))].sort((a, b) => a - b).map((at) => [plainNumber(at), ...chart.curves.map((curve) => {
      const found = curve.points.find(([where]) => where === at);
      return found ? plainNumber(found[1]) + (found[2] === null ? "" : ` ${SIGMA}${plainNumber(found[2])}`) : DASH;
    })]), { numbers: chart.curves.map((_, k) => k + 1) });
  return figure(title, 260, draw, { legend: chart.curves.length > 1 ? chart.curves.map((curve) => curve.label) : [], numbers, name: title.replace(/\W+/g, "-") });
}

/** Shares against how often such answers are right; on the line both are the same. */
function reliabilityChart(bins, title) {
  const draw = (width, height) => {
    const [left, right, top, bottom] = frameOf(width, height);
    const x = scale([0, 1], left, right, { ends: [0, 1] }), y = scale([0, 1], bottom, top, { ends: [0, 1] });
    const most = Math.max(...bins.map(([, , n]) => n));
    return axes(width, height, title, x, y, { x: "share of probability", y: "part right" }, { x: percent, y: percent }, [
      s("line", { class: "even", x1: x(0), y1: y(0), x2: x(1), y2: y(1) }),
      s("g", { class: "series s0" }, s("polyline", { points: bins.map(([share, isRight]) => `${x(share)},${y(isRight)}`).join(" ") }),
        bins.map(([share, isRight, n]) => s("circle", { cx: x(share), cy: y(isRight), r: 3 + 6 * Math.sqrt(n / most) }, s("title", {}, `${percent(isRight)} right of ${counted(n)} answers with ${percent(share)}`))))]);
  };
  const numbers = () => tabled(title, ["share", "right", "answers"], bins.map(([share, isRight, n]) => [percent(share), percent(isRight), counted(n)]), { numbers: [1, 2] });
  return figure(title, 260, draw, { numbers, name: "calibration" });
}
