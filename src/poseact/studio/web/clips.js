// The page Clips: what is in the folder, action by action, beside the editor.
import { request } from "./client.js";
import { ask, attempt, fill, h, say } from "./dom.js";
import { editorCard } from "./editor.js";
import { actionName, known, t } from "./texts.js";

/** Clips that another page asks this one to show. */
export const wanted = { clips: null };

export function clipsPage(main, app) {
  const groups = h("div", { class: "groups" });
  const working = h("p", { class: "hint", role: "status" });
  const undoButton = h("button", { onclick: undo }, t("undo"));
  const trashButton = h("button", { hidden: true, onclick: emptyTrash });
  const editor = editorCard(app, select);
  let chosen = wanted.clips?.[0] ?? null;
  wanted.clips = null;

  async function undo() {
    if (await attempt(() => request("POST", "api/undo"))) say(t("undone"));
    await app.refresh();
  }

  async function emptyTrash() {
    const n = app.state.trash;
    const answer = await ask(t("trash_sure", { n }), "", [["", t("cancel")], ["yes", t("trash_remove"), "danger"]]);
    if (answer === "yes") await attempt(() => request("DELETE", "api/trash"));
    await app.refresh();
  }

  function select(name) {
    chosen = name;
    update(app.state);
  }

  function card(clip) {
    const seconds = clip.end === null ? "…" : (clip.end - clip.start).toFixed(1);
    const picture = clip.thumbnail
      ? h("img", { src: `api/thumbnail?${new URLSearchParams({ clip: clip.clip, v: clip.thumbnail })}`, alt: "", loading: "lazy" })
      : h("span", { class: "nothing" }, t("no_picture"));
    const isBad = clip.notes.some((note) => note.severity === "error");
    const notes = clip.notes.length
      ? h("span", { class: `note ${isBad ? "bad" : ""}`, title: clip.notes.map((note) => note.message).join("\n") }, `${isBad ? "✕" : "▲"} ${[...new Set(clip.notes.map((note) => known("note", note.kind)))].join(", ")}`) : null;
    return h("button", { class: "clip", "aria-pressed": String(clip.clip === chosen), "aria-label": `${t("clip_open", { clip: clip.clip })}${clip.notes.map((note) => `. ${note.message}`).join("")}`, title: clip.clip, onclick: () => select(clip.clip) },
      picture, h("span", { class: "facts" }, h("span", {}, t("seconds", { n: seconds })),
        clip.part ? h("span", { class: "part" }, t(`part_${clip.part}`)) : null, notes));
  }

  function group(action, clips) {
    return h("section", { class: "group" },
      h("h2", {}, h("span", { class: "swatch", vars: { "--colour": action.colour } }), actionName(action.label),
        h("span", { class: "hint" }, t("count_clips", { n: clips.length }))),
      action.wanted && !action.other ? h("p", { class: "hint" }, t("wanted", { n: action.wanted, action: actionName(action.label) })) : null,
      h("div", { class: "grid" }, clips.map(card)));
  }

  function loose(title, hint, rows, buttons) {
    return rows.length ? h("section", { class: "group" }, h("h2", {}, title), h("p", { class: "hint" }, hint),
      rows.map((row) => h("div", { class: "row loose" }, h("span", { class: "wrap" }, row.file), buttons(row)))) : null;
  }

  function newFile(row) {
    const choice = h("select", { "aria-label": t("editor_action") }, app.state.actions.map((action) =>
      h("option", { value: action.label, selected: action.label === row.label }, actionName(action.label))));
    const add = async () => {
      await attempt(() => request("POST", "api/clips", { json: { file: row.file, label: choice.value } }));
      await app.refresh();
    };
    return [choice, h("button", { onclick: add }, t("action_add_button")), discard(row, t("delete_clip"))];
  }

  function discard(row, text) {
    return h("button", { class: "danger", onclick: async () => {
      await attempt(() => request("DELETE", "api/files", { query: { file: row.file } }));
      await app.refresh();
    } }, text);
  }

  function update(state) {
    if (!state) return;
    const clip = state.clips.find((one) => one.clip === chosen) || null;
    const focused = document.activeElement?.classList.contains("clip") ? document.activeElement.title : null;
    const shown = state.actions.map((action) => [action, state.clips.filter((one) => one.label === action.label)]);
    fill(groups,
      state.notes.map((note) => h("p", { class: "hint" }, note)),
      loose(t("new_files"), t("new_files_hint"), state.unlisted, newFile),
      loose(t("missing"), t("missing_hint"), state.missing, (row) => discard(row, t("forget"))),
      shown.filter(([, clips]) => clips.length).map(([action, clips]) => group(action, clips)),
      state.clips.length ? null : h("p", { class: "empty" }, t("clips_none")));
    if (focused) [...groups.querySelectorAll(".clip")].find((one) => one.title === focused)?.focus();
    working.textContent = state.waiting ? t("working", { n: state.waiting }) : "";
    undoButton.disabled = !state.can_undo;
    trashButton.hidden = !state.trash;
    trashButton.textContent = t("trash", { n: state.trash });
    editor.show(clip, state);
  }

  main.append(h("div", { class: "two wide-aside" },
    h("div", { class: "column" }, h("div", { class: "row" }, undoButton, trashButton, working), groups),
    h("aside", { class: "column sticky" }, editor.element)));
  return { update, key: editor.key, leave: editor.leave };
}
