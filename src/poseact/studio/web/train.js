// The page Train: the instant recogniser, the full training, its report.
import { request } from "./client.js";
import { attempt, fill, h, when } from "./dom.js";
import { reportCard } from "./report.js";
import { actionName, known, t } from "./texts.js";

const COLOURS = ["var(--accent)", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00"];

export function trainPage(main, app) {
  const instant = h("p", {});
  const status = h("p", { role: "status" });
  const stages = h("div", { class: "stages" });
  const chart = h("div", {});
  const curve = h("input", { type: "checkbox" });
  const start = h("button", { class: "primary", onclick: begin }, t("train_start"));
  const cancel = h("button", { onclick: () => attempt(() => request("DELETE", "api/training")) }, t("train_cancel"));
  const notes = h("details", { hidden: true });
  const report = reportCard();
  let isAsking = false, isStale = false;

  function begin() {
    start.disabled = true;
    return attempt(() => request("POST", "api/training", { json: { curve: curve.checked } })).then(training);
  }

  /** Fetch how far the training is; news that come meanwhile are asked for once more. */
  async function training() {
    isStale = true;
    if (isAsking) return;
    isAsking = true;
    while (isStale) {
      isStale = false;
      const found = await attempt(() => request("GET", "api/training"));
      if (found) show(found);
    }
    isAsking = false;
  }

  function show(found) {
    const isRunning = found.state === "running";
    start.hidden = isRunning;
    cancel.hidden = !isRunning;
    curve.disabled = isRunning;
    start.textContent = { none: t("train_start"), done: t("train_again") }[found.state] ?? t("train_resume");
    status.textContent = { none: "", running: t("train_running"), done: t("train_done"), cancelled: t("train_cancelled"), failed: t("train_failed", { message: found.message }) }[found.state];
    status.className = found.state === "failed" ? "bad" : "";
    const names = Object.keys(found.stages);
    fill(stages, names.map((name) => {
      const [done, total] = found.stages[name];
      const isLast = isRunning && name === names.at(-1) && done < total;
      const left = isLast && found.eta_s !== null ? t("stage_left", { seconds: Math.ceil(found.eta_s) }) : `${done} / ${total}`;
      return h("label", { class: "stage-row" }, h("span", {}, known("stage", name)), h("progress", { value: done, max: total || 1 }), h("span", { class: "hint" }, left));
    }));
    fill(chart, lossChart(found.curves));
    notes.hidden = !found.notes.length;
    fill(notes, h("summary", {}, t("notes")), h("ul", {}, found.notes.map((note) => h("li", {}, note))));
    report.show(found.scores, Boolean(app.state?.skeleton_only) && found.plan.pictures !== false);
    showState(app.state);
  }

  function showState(state) {
    if (!state) return;
    const labels = state.actions.filter((action) => action.recordings >= 2);
    start.disabled = labels.length < 2;
    if (start.disabled && !status.textContent) status.textContent = t("train_few");
    const written = state.recognisers.instant;
    const ready = written ? t("instant_ready", { when: when(written) }) : t("instant_none");
    instant.textContent = state.waiting ? `${t("working", { n: state.waiting })} ${ready}` : ready;
  }

  main.append(h("div", { class: "two narrow-first" },
    h("div", { class: "column" },
      h("section", { class: "card" }, h("h2", {}, t("instant")), instant),
      h("section", { class: "card" }, h("h2", {}, t("train")), h("p", { class: "hint" }, t("train_hint")),
        h("label", { class: "inline" }, curve, t("train_curve")),
        h("div", { class: "row" }, start, cancel), status, stages, chart, notes)),
    h("div", { class: "column" }, report.element)));
  training();
  return { update: showState, training };
}

/** The loss of each training by epoch, as a drawing with a text for each line. */
function lossChart(curves) {
  const names = Object.keys(curves).filter((name) => curves[name].length);
  if (!names.length) return null;
  const width = 320, height = 130, all = names.flatMap((name) => curves[name]);
  const high = Math.max(...all), low = Math.min(...all, 0), longest = Math.max(...names.map((name) => curves[name].length), 2);
  const point = (value, index) => `${(index / (longest - 1)) * width},${height - ((value - low) / (high - low || 1)) * (height - 6) - 3}`;
  const lines = names.map((name, k) => h("svg:polyline", { points: curves[name].map(point).join(" "), fill: "none", "stroke-width": 2, "vector-effect": "non-scaling-stroke", style: null, class: `line line-${k % COLOURS.length}` }));
  return h("figure", {}, h("figcaption", { class: "hint" }, t("loss")),
    h("svg:svg", { viewBox: `0 0 ${width} ${height}`, class: "chart", preserveAspectRatio: "none", role: "img", "aria-label": t("loss") }, lines),
    h("ul", { class: "legend" }, names.map((name, k) => h("li", {}, h("span", { class: "swatch", vars: { "--colour": COLOURS[k % COLOURS.length] } }), t("loss_now", { name: actionName(known("curve", name)), loss: curves[name].at(-1) })))));
}
