// Trim a clip, move it, cut a long video into several clips.
import { request } from "./client.js";
import { attempt, fill, h, say } from "./dom.js";
import { actionName, t } from "./texts.js";
import { timeline } from "./timeline.js";

const FRAME_S = 1 / 30;
const END = 1e7;

/** The editor; select(name) is called when another clip is to be shown. */
export function editorCard(app, select) {
  const title = h("h2", {}, t("editor_choose"));
  const video = h("video", { class: "picture", playsInline: true, muted: true, preload: "auto", onloadedmetadata: measure, ondurationchange: measured, onseeked: drawCursor, ontimeupdate: drawCursor, onerror: () => { unplayable.hidden = false; } });
  const unplayable = h("p", { class: "hint", hidden: true }, t("unplayable"));
  const start = h("input", { type: "number", min: 0, step: 0.01, onchange: () => trim(Number(start.value) || 0, range[1]) });
  const end = h("input", { type: "number", min: 0, step: 0.01, onchange: () => trim(range[0], Number(end.value) || length) });
  const line = timeline({ onTrim: trim, onSeek: seek, onSelect: select });
  const move = h("select", { onchange: () => change({ label: move.value }, t("moved", { action: actionName(move.value) })) });
  const part = h("select", { onchange: () => change({ part: part.value }) },
    ["", "train", "test"].map((value) => h("option", { value }, t(value ? `part_${value}_long` : "part_auto"))));
  const cutAs = h("select", { "aria-label": t("editor_cut") });
  const notes = h("ul", { class: "notes" });
  const button = (text, run, style = "") => h("button", { class: style, onclick: run }, text);
  const player = h("div", { class: "column" },
    h("div", { class: "row" },
      h("button", { class: "icon", "aria-label": t("editor_back"), title: t("editor_back"), onclick: () => step(-1) }, "‹"),
      h("button", { class: "icon", "aria-label": t("editor_play"), title: t("editor_play"), onclick: play }, "▶"),
      h("button", { class: "icon", "aria-label": t("editor_on"), title: t("editor_on"), onclick: () => step(1) }, "›"),
      button(t("editor_here_start"), () => trim(video.currentTime, range[1])),
      button(t("editor_here_end"), () => trim(range[0], video.currentTime))),
    h("p", { class: "hint keys" }, t("editor_keys")));
  const tools = h("div", { class: "column" },
    video, unplayable, line.element, player,
    h("div", { class: "fields two-fields" }, h("label", {}, t("editor_start"), start), h("label", {}, t("editor_end"), end)),
    h("div", { class: "row" }, button(t("editor_trim"), saveTrim, "primary")),
    h("div", { class: "row" }, h("label", { class: "inline" }, t("editor_cut"), cutAs), button(t("editor_cut_button"), cut)),
    h("div", { class: "fields two-fields" }, h("label", {}, t("editor_action"), move), h("label", {}, t("editor_part"), part)),
    notes,
    h("div", { class: "row" }, button(t("delete_clip"), remove, "danger")));
  tools.hidden = true;
  // isOpen: the clip ends with its video, and nobody has set another end.
  let clip = null, shown = "", range = [0, 0], length = 0, isOpen = false, stopAt = Infinity, isMeasuring = false;

  function measure() {
    // Recordings of browsers do not say how long they are until they were read to the end.
    if (Number.isFinite(video.duration)) return measured();
    isMeasuring = true;
    video.currentTime = END;
    return undefined;
  }

  function measured() {
    if (!Number.isFinite(video.duration)) return;
    length = video.duration;
    if (isMeasuring) seek(range[0]);
    isMeasuring = false;
    // Files with broken time stamps play shorter than they are.
    length = Math.max(length, clip?.end ?? 0);
    if (isOpen) range[1] = length;
    draw();
  }

  function seek(time) {
    video.currentTime = Math.min(Math.max(time, 0), length || time);
  }

  function step(frames) {
    video.pause();
    seek(video.currentTime + frames * FRAME_S);
  }

  function play() {
    if (!video.paused) return video.pause();
    if (video.currentTime < range[0] || video.currentTime >= range[1] - FRAME_S) seek(range[0]);
    stopAt = range[1];
    return video.play().catch(() => {});
  }

  function drawCursor() {
    if (video.currentTime >= stopAt && !video.paused) {
      video.pause();
      stopAt = Infinity;
    }
    line.cursor(video.currentTime);
  }

  function trim(from, to) {
    if (to !== range[1]) isOpen = false;
    // Someone may type before it is known how long the video is.
    const last = isOpen && !length ? Infinity : to;
    range = [Math.max(Math.min(from, last - 0.1), 0), Math.max(to, from + 0.1)];
    draw();
  }

  function draw() {
    // Not where someone is typing.
    if (document.activeElement !== start) start.value = range[0].toFixed(2);
    if (document.activeElement !== end) end.value = range[1].toFixed(2);
    const others = app.state.clips.filter((one) => one.file === clip?.file && one.clip !== clip.clip);
    const colours = Object.fromEntries(app.state.actions.map((action) => [action.label, action.colour]));
    line.show({ length: Math.max(length, range[1]), range, colour: colours[clip?.label], others, colours });
  }

  async function change(json, said) {
    const made = await attempt(() => request("PATCH", "api/clips", { json: { clip: clip.clip, ...json } }));
    await app.refresh();
    if (made) select(made.clip);
    if (made && said) say(said);
  }

  function saveTrim() {
    return change({ start: range[0], ...(isOpen ? {} : { end: range[1] }) }, t("trim_saved"));
  }

  async function cut() {
    const label = cutAs.value;
    const made = await attempt(() => request("POST", "api/clips", { json: { file: clip.file, label, start: range[0], end: range[1] } }));
    await app.refresh();
    if (!made) return;
    // The message last: whoever acts on it means the new clip.
    select(made.clip);
    say(t("cut_done", { action: actionName(label) }));
  }

  async function remove() {
    if (await attempt(() => request("DELETE", "api/clips", { query: { clip: clip.clip } }))) say(t("deleted"));
    await app.refresh();
  }

  /** Show a clip of a state, or nothing. */
  function show(next, state) {
    const isNew = next?.clip !== clip?.clip;
    clip = next;
    tools.hidden = !clip;
    title.textContent = clip ? t("editor", { action: actionName(clip.label) }) : t("editor_choose");
    if (!clip) {
      shown = "";
      video.removeAttribute("src");
      return;
    }
    for (const choice of [move, cutAs]) {
      const kept = choice === move ? clip.label : choice.value || clip.label;
      fill(choice, state.actions.map((action) => h("option", { value: action.label, selected: action.label === kept }, actionName(action.label))));
    }
    part.value = clip.part;
    fill(notes, clip.notes.map((note) => h("li", {}, note.message)));
    video.hidden = player.hidden = state.skeleton_only;
    if (isNew) {
      range = [clip.start, clip.end ?? length];
      isOpen = clip.open_end;
    }
    if (clip.file !== shown && !state.skeleton_only) {
      shown = clip.file;
      unplayable.hidden = true;
      length = 0;
      video.src = `api/video?${new URLSearchParams({ file: clip.file })}`;
    } else if (isNew) seek(range[0]);
    draw();
  }

  return {
    element: h("section", { class: "card editor" }, title, tools),
    show,
    key(event) {
      if (!clip) return;
      const keys = {
        i: () => trim(video.currentTime, range[1]), o: () => trim(range[0], video.currentTime),
        ArrowLeft: () => step(event.shiftKey ? -10 : -1), ArrowRight: () => step(event.shiftKey ? 10 : 1), " ": play,
      };
      const run = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
      if (!run || event.target.getAttribute?.("role") === "slider") return;
      if (event.key === " " && event.target.tagName === "BUTTON" && !event.target.classList.contains("clip")) return;
      event.preventDefault();
      run();
    },
    leave() {
      video.removeAttribute("src");
    },
  };
}
