// A line of a video's time with the stretch of one clip, whose ends are dragged.
import { fill, h } from "./dom.js";
import { actionName, t } from "./texts.js";

const STEP_S = 1 / 30;

/** Calls onTrim(start, end), onSeek(time) and onSelect(clip). */
export function timeline({ onTrim, onSeek, onSelect }) {
  const others = h("div", { class: "others" });
  const stretch = h("div", { class: "stretch" });
  const cursor = h("div", { class: "cursor" });
  const handles = [0, 1].map((which) => h("div", {
    class: "handle", role: "slider", tabIndex: 0, "aria-label": t(which ? "editor_end" : "editor_start"),
    onpointerdown: (event) => grab(event, which), onkeydown: (event) => nudge(event, which),
  }));
  const element = h("div", { class: "timeline", role: "group", "aria-label": t("editor_timeline"), onpointerdown: (event) => grab(event, 2) }, others, stretch, cursor, handles);
  let length = 1, range = [0, 1];

  function share(time) {
    return `${100 * Math.min(Math.max(time / length, 0), 1)}%`;
  }

  function grab(event, which) {
    event.stopPropagation();
    event.preventDefault();
    if (which < 2) handles[which].focus();
    element.setPointerCapture(event.pointerId);
    const move = (moved) => {
      const box = element.getBoundingClientRect();
      const time = length * Math.min(Math.max((moved.clientX - box.left) / box.width, 0), 1);
      set(which, time);
    };
    const end = () => {
      element.removeEventListener("pointermove", move);
      element.removeEventListener("pointerup", end);
      element.removeEventListener("pointercancel", end);
    };
    element.addEventListener("pointermove", move);
    element.addEventListener("pointerup", end);
    element.addEventListener("pointercancel", end);
    if (which === 2) move(event);
  }

  function set(which, time) {
    if (which === 0) onTrim(Math.min(time, range[1] - 0.1), range[1]);
    if (which === 1) onTrim(range[0], Math.max(time, range[0] + 0.1));
    onSeek(time);
  }

  function nudge(event, which) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageDown: -10, PageUp: 10 }[event.key];
    if (!steps) return;
    event.preventDefault();
    event.stopPropagation();
    set(which, range[which] + steps * STEP_S);
  }

  return {
    element,
    show(facts) {
      ({ length, range } = facts);
      length = Math.max(length, 0.1);
      stretch.style.left = share(range[0]);
      stretch.style.right = `calc(100% - ${share(range[1])})`;
      stretch.style.setProperty("--colour", facts.colour || "currentColor");
      handles.forEach((handle, which) => {
        handle.style.left = share(range[which]);
        handle.setAttribute("aria-valuemin", "0");
        handle.setAttribute("aria-valuemax", length.toFixed(2));
        handle.setAttribute("aria-valuenow", range[which].toFixed(2));
        handle.setAttribute("aria-valuetext", t("seconds", { n: range[which].toFixed(2) }));
      });
      fill(others, facts.others.map((clip) => h("button", {
        class: "other", title: `${actionName(clip.label)}: ${clip.clip}`, "aria-label": t("clip_open", { clip: clip.clip }),
        vars: { "--colour": facts.colours[clip.label], left: share(clip.start), right: `calc(100% - ${share(clip.end ?? length)})` },
        onpointerdown: (event) => event.stopPropagation(), onclick: () => onSelect(clip.clip),
      })));
    },
    cursor(time) {
      cursor.style.left = share(time);
    },
  };
}
