// The report of the last full training: accuracy, confusion, the worst clips.
import { fill, h } from "./dom.js";
import { wanted } from "./clips.js";
import { actionName, t } from "./texts.js";

const WORST = 6;
const percent = (share) => (100 * share).toFixed(0);

export function reportCard() {
  const content = h("div", {}, h("p", { class: "hint" }, t("report_none")));
  const chosen = h("div", { "aria-live": "polite" });
  let shown = "", hidden = false;

  function open(names) {
    wanted.clips = names;
    location.hash = "clips";
  }

  function choose(truth, answer, names) {
    fill(chosen, h("h3", {}, t("confusion_clips", { truth, answer })),
      h("ul", {}, names.map((name) => h("li", {}, h("button", { class: "link", onclick: () => open([name]) }, name)))));
  }

  function matrix(scores, answers) {
    const names = scores.labels.map(actionName);
    const clips = (row, column) => scores.clips.filter((_, k) => scores.targets[k] === row && answers[k] === column);
    const rows = names.map((truth, row) => {
      const total = scores.targets.filter((target) => target === row).length || 1;
      return h("tr", {}, h("th", { scope: "row" }, truth), names.map((answer, column) => {
        const found = clips(row, column), n = found.length;
        const text = t("confusion_cell", { n, truth, answer });
        return h("td", { class: row === column ? "right" : "wrong", vars: { "--share": n / total } },
          n ? h("button", { "aria-label": text, title: text, onclick: () => choose(truth, answer, found) }, String(n)) : "");
      }));
    });
    return h("div", { class: "scroll" }, h("table", { class: "confusion" },
      h("thead", {}, h("tr", {}, h("td", {}), names.map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, rows)));
  }

  function worst(scores, logs) {
    const order = scores.clips.map((_, k) => k).sort((a, b) => logs[a][scores.targets[a]] - logs[b][scores.targets[b]]).slice(0, WORST);
    return order.map((k, place) => h("figure", { class: "worst" },
      hidden ? null : h("img", { src: `api/report/worst/${place + 1}.png?v=${encodeURIComponent(shown.length + place)}`, alt: t("worst_alt", { clip: scores.clips[k] }), loading: "lazy", onerror: (event) => event.target.remove() }),
      h("figcaption", {}, h("button", { class: "link", onclick: () => open([scores.clips[k]]) },
        t("worst_line", { clip: scores.clips[k], truth: actionName(scores.labels[scores.targets[k]]), percent: percent(Math.exp(logs[k][scores.targets[k]])) })))));
  }

  return {
    element: h("section", { class: "card" }, h("h2", {}, t("report")), content),
    /** Show the content of scores.json; pictures of the videos may be hidden. */
    show(found, isHidden) {
      const text = JSON.stringify([found, isHidden]);
      if (!found || text === shown) return;
      shown = text;
      hidden = isHidden;
      const scores = Object.values(found.scores)[0];
      const logs = scores.log_probabilities.fused;
      const answers = logs.map((row) => row.indexOf(Math.max(...row)));
      const fused = scores.streams.fused ?? Object.values(scores.streams)[0];
      const [low, high] = fused.interval;
      fill(chosen);
      fill(content,
        h("p", { class: "accuracy" }, t("accuracy", { percent: percent(fused.accuracy), n: scores.clips.length })),
        h("p", { class: "hint" }, t("accuracy_interval", { low: percent(low), high: percent(high), majority: percent(scores.majority) })),
        h("h3", {}, t("confusion")), h("p", { class: "hint" }, t("confusion_hint")), matrix(scores, answers), chosen,
        h("h3", {}, t("worst")), worst(scores, logs),
        hidden ? null : h("a", { href: "api/report/report.html", download: "report.html" }, t("report_download")));
    },
  };
}
