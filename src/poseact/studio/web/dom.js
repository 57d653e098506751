// Elements without markup in strings: texts are always texts.
import { t } from "./texts.js";

const SVG = "http://www.w3.org/2000/svg";

/** An element with properties and children; names that begin with "on" are listeners. */
export function h(tag, properties = {}, ...children) {
  const element = tag.startsWith("svg:")
    ? document.createElementNS(SVG, tag.slice(4))
    : document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "vars") for (const [k, v] of Object.entries(value)) element.style.setProperty(k, v);
    else if (name in element && !tag.startsWith("svg:") && name !== "list") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Replace what an element holds. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat().filter(Boolean));
}

/** Say something at the lower edge, also to screen readers. */
export function say(text, kind = "") {
  const place = document.getElementById("messages");
  const message = h("p", { class: `message ${kind}` }, text);
  place.append(message);
  setTimeout(() => message.remove(), kind === "error" ? 9000 : 4500);
}

/** Run something that may fail, and say so if it does. */
export async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    say(t("failed", { message: error.message }), "error");
    return undefined;
  }
}

/** A dialog with content; resolves with the value of the button that closed it. */
export function ask(title, content, buttons) {
  return new Promise((resolve) => {
    const form = h("form", { method: "dialog" },
      h("h2", {}, title), content,
      h("div", { class: "row end" }, buttons.map(([value, text, style]) =>
        h("button", { value, class: style || "" , formNoValidate: value === "" }, text))));
    const dialog = h("dialog", { "aria-label": title, onclose: () => { dialog.remove(); resolve(dialog.returnValue); } }, form);
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Whether a key press belongs to a field that the user types in. */
export function isTyping(event) {
  const target = event.target;
  return event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")
    || target.isContentEditable || /^(SELECT|TEXTAREA)$/.test(target.tagName)
    || (target.tagName === "INPUT" && !/^(radio|checkbox|button)$/.test(target.type));
}

/** A moment as hours and minutes, with the date if it is another day. */
export function when(seconds) {
  const date = new Date(seconds * 1000);
  const today = date.toDateString() === new Date().toDateString();
  return date.toLocaleString([], today ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" });
}
