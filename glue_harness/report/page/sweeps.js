// Sweeps: each setting that was varied against what chose between the trials.
if (facts.sweeps.length) {
  views.set("sweeps", {
    title: "Sweeps",
    show() {
      const sweep = facts.sweeps.find(({ name }) => name === state.sweep) ?? facts.sweeps[0];
      return {
        heading: `Sweep: ${sweep.title}`,
        controls: h("div", { class: "controls" },
          facts.sweeps.length > 1 && menu("sweep", "Sweep", facts.sweeps.map(({ name, title }) => [name, title]), { whole: true, fallback: facts.sweeps[0].name })),
        results: () => [
          sweep.settings.map((setting) => effectChart(sweep, setting)),
          remark("Each point is a setting that was tried, the mean over its seeds; the line joins the means of each value. The height is the best mean over tasks that was seen on the rows that chose: rows of train that are held out, unless the sweep was told otherwise. Hollow points were not trained to their end."),
          trialsTable(sweep)],
      };
    },
  });
}

const worded = (value) => (typeof value === "number" ? plainNumber(value) : value);

function effectChart(sweep, setting) {
  const points = sweep.points.map(([run, score, settings, whole]) => ({ run, score, value: settings[setting], whole }));
  const values = [...new Set(points.map(({ value }) => value))], numeric = values.every(isNumber);
  values.sort((a, b) => (numeric ? a - b : String(a).localeCompare(String(b))));
  const log = numeric && values[0] > 0 && values.at(-1) / values[0] >= 5;
  const caption = setting.replaceAll("_", " ");
  const mean = (value) => points.filter((point) => point.value === value).reduce((sum, { score }, _, of) => sum + score / of.length, 0);
  const draw = (width, height) => {
    const [left, right, top, bottom] = frameOf(width, height);
    const x = numeric ? scale(values, left, right, { log, wanted: width / 90 }) : placesOf(values, left, right);
    const y = scale(points.map(({ score }) => score), bottom, top, { room: 0.1 });
    return axes(width, height, `Effect of ${caption}`, x, y, { x: caption + (log ? ", by ratios" : ""), y: "score on rows that chose", role: "group" }, { x: worded, y: plainNumber }, [
      s("g", { class: seriesClass(0) }, s("polyline", { points: values.map((value) => `${x(value)},${y(mean(value))}`).join(" ") })),
      points.map(({ run, score, value, whole }) => s("a", { href: to("run", { run }), "aria-label": `${worded(value)}: ${fixed(score)}` },
        s("g", { class: seriesClass(0) }, s("title", {}, `${worded(value)}: ${fixed(score)}`),
          s("circle", { cx: x(value), cy: y(score), r: 5, class: whole ? null : "hollow" }))))]);
  };
  const numbers = () => tabled(caption, [caption, "trials", "mean", "best"], values.map((value) => {
    const scores = points.filter((point) => point.value === value).map(({ score }) => score);
    return [worded(value), String(scores.length), fixed(mean(value)), fixed(Math.max(...scores))];
  }), { numbers: [1, 2, 3] });
  return figure(`Effect of ${caption}`, 260, draw, { numbers, name: `sweep-${setting}` });
}

/** Words side by side. */
function placesOf(values, left, right) {
  const place = (value) => left + ((values.indexOf(value) + 0.5) * (right - left)) / values.length;
  place.ticks = values;
  return place;
}

function trialsTable(sweep) {
  const rows = [...sweep.points].sort(([, a], [, b]) => b - a);
  return section("Trials", tabled("Trials, the best first", ["Score", ...sweep.settings.map((name) => name.replaceAll("_", " ")), "Run"],
    rows.map(([run, score, settings]) => [fixed(score), ...sweep.settings.map((name) => worded(settings[name])), h("a", { href: to("run", { run }) }, run)]), { numbers: [0] }));
}
