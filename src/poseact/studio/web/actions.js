// The list of actions: choose, add, rename, colour, remove.
import { request } from "./client.js";
import { ask, attempt, fill, h } from "./dom.js";
import { actionName, t } from "./texts.js";

/** A list that keeps the chosen action in app.selected; returns its element and update(state). */
export function actionList(app, onChoose) {
  const list = h("div", { class: "actions", role: "radiogroup", "aria-label": t("actions") });
  const name = h("input", { type: "text", maxLength: 60, required: true, autocomplete: "off", "aria-label": t("action_name"), placeholder: t("action_name") });
  const form = h("form", { class: "row", onsubmit: add },
    name, h("button", { class: "primary" }, t("action_add_button")));
  const hint = h("p", { class: "hint" }, t("actions_first"));
  let actions = [];

  async function add(event) {
    event.preventDefault();
    const made = await attempt(() => request("POST", "api/actions", { json: { name: name.value } }));
    if (!made) return;
    name.value = "";
    await app.refresh();
    choose(made.label);
  }

  function choose(label) {
    app.selected = label;
    sessionStorage.setItem("action", label);
    update({ actions });
    onChoose?.(label);
  }

  function item(action, index) {
    const number = index < 9 ? h("kbd", { title: t("action_key", { n: index + 1 }) }, String(index + 1)) : null;
    const radio = h("input", { type: "radio", name: "action", value: action.label, checked: action.label === app.selected, onchange: () => choose(action.label) });
    const hintText = action.other ? t("other_hint")
      : action.wanted ? t("wanted", { n: action.wanted, action: actionName(action.label) }) : t("enough");
    return h("div", { class: `action ${action.label === app.selected ? "chosen" : ""}` },
      h("label", {}, radio, h("span", { class: "swatch", vars: { "--colour": action.colour } }),
        h("span", { class: "name" }, actionName(action.label)), number,
        h("span", { class: "count", title: t("count_clips", { n: action.clips }) }, String(action.clips)),
        h("span", { class: "hint" }, hintText)),
      h("button", { class: "quiet icon", "aria-label": t("action_edit", { action: actionName(action.label) }), title: t("action_edit", { action: actionName(action.label) }), onclick: () => edit(action) }, "✎"));
  }

  async function edit(action) {
    const text = h("input", { type: "text", value: actionName(action.label), maxLength: 60, required: true, disabled: action.other });
    const colour = h("input", { type: "color", value: action.colour });
    const buttons = [["", t("cancel")], ["save", t("save"), "primary"]];
    if (!action.clips && !action.other) buttons.unshift(["remove", t("action_remove"), "danger"]);
    const answer = await ask(t("action_edit", { action: actionName(action.label) }),
      h("div", { class: "fields" }, h("label", {}, t("action_name"), text), h("label", {}, t("action_colour"), colour)), buttons);
    if (answer === "remove") {
      await attempt(() => request("DELETE", "api/actions", { query: { label: action.label } }));
      await app.refresh();
    }
    if (answer === "save") {
      const json = { label: action.label };
      if (colour.value !== action.colour) json.colour = colour.value;
      if (text.value.trim() !== actionName(action.label)) json.name = text.value;
      const made = await attempt(() => request("PATCH", "api/actions", { json }));
      await app.refresh();
      if (made) choose(made.label);
    }
  }

  function update(state) {
    // Other motion alone says nothing to somebody who begins.
    actions = state.actions.some((action) => !action.other || action.clips) ? state.actions : [];
    if (!actions.some((action) => action.label === app.selected)) app.selected = actions.find((action) => !action.other)?.label || "";
    const focused = document.activeElement?.name === "action" ? document.activeElement.value : null;
    fill(list, actions.map(item));
    hint.hidden = actions.length > 0;
    if (focused !== null) list.querySelector("input:checked")?.focus();
  }

  const element = h("section", { class: "card" }, h("h2", {}, t("actions")), hint, list, form);
  return {
    element, update,
    chosen: () => actions.find((action) => action.label === app.selected),
    /** Choose by the keys 1 to 9. */
    key(event) {
      const action = actions[Number(event.key) - 1];
      if (action) choose(action.label);
    },
  };
}
