// The frame of all pages: navigation, theme, news from the server.
import { request } from "./client.js";
import { fill, h, isTyping, say } from "./dom.js";
import { t } from "./texts.js";
import { recordPage } from "./record.js";
import { clipsPage } from "./clips.js";
import { trainPage } from "./train.js";
import { livePage } from "./live.js";
import { usePage } from "./use.js";

const PAGES = { record: recordPage, clips: clipsPage, train: trainPage, live: livePage, use: usePage };
const THEME = "poseact-theme";

const main = h("main", { id: "main", tabIndex: -1 });
const banner = h("p", { class: "banner", role: "alert", hidden: true });
const links = Object.fromEntries(Object.keys(PAGES).map((name) =>
  [name, h("a", { href: `#${name}` }, t(`page_${name}`))]));

const app = { state: null, refresh, selected: sessionStorage.getItem("action") || "" };
let page = null;
let shown = "";

function frame() {
  const theme = h("button", { class: "quiet icon", "aria-label": t("theme"), title: t("theme"), onclick: switchTheme }, "◐");
  document.getElementById("app").append(
    h("a", { class: "skip", href: "#main", onclick: (event) => { event.preventDefault(); main.focus(); } }, t("skip")),
    h("header", {},
      h("span", { class: "brand" }, h("img", { src: "icon.svg", alt: "", width: 26, height: 26 }), h("b", {}, t("app"))),
      h("nav", { "aria-label": t("pages") }, Object.values(links)), theme),
    banner, main,
    h("div", { id: "messages", role: "status", "aria-live": "polite" }));
}

function setTheme(name) {
  if (name) document.documentElement.dataset.theme = name;
}

function switchTheme() {
  const dark = document.documentElement.dataset.theme
    ? document.documentElement.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  const name = dark ? "light" : "dark";
  localStorage.setItem(THEME, name);
  setTheme(name);
}

function show() {
  const name = location.hash.slice(1) in PAGES ? location.hash.slice(1) : "record";
  if (name === shown) return;
  page?.leave?.();
  shown = name;
  for (const [key, link] of Object.entries(links)) {
    if (key === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${t(`page_${name}`)} · ${t("app")}`;
  fill(main, h("h1", { class: "sr" }, t(`page_${name}`)));
  page = PAGES[name](main, app);
  if (app.state) page.update?.(app.state);
}

/** Fetch the folder's state and show it. */
async function refresh() {
  try {
    app.state = await request("GET", "api/state");
    banner.hidden = !app.state.problem;
    if (app.state.problem) banner.textContent = t("problem", { message: app.state.problem });
    page?.update?.(app.state);
  } catch (error) {
    banner.hidden = false;
    banner.textContent = error instanceof TypeError ? t("offline") : error.message;
  }
}

function listen() {
  const news = new EventSource("api/events");
  news.addEventListener("clips", refresh);
  news.addEventListener("training", () => page?.training?.());
  news.onopen = () => { refresh(); page?.training?.(); };
  news.onerror = () => { banner.hidden = false; banner.textContent = t("offline"); };
}

document.addEventListener("keydown", (event) => {
  if (!isTyping(event)) page?.key?.(event);
});
document.addEventListener("keyup", (event) => page?.keyUp?.(event));
// A file dropped beside its place must not replace the page.
for (const kind of ["dragover", "drop"]) document.addEventListener(kind, (event) => event.preventDefault());
addEventListener("hashchange", () => { show(); main.focus({ preventScroll: true }); });
addEventListener("unhandledrejection", (event) => say(event.reason?.message || String(event.reason), "error"));

setTheme(localStorage.getItem(THEME));
frame();
show();
listen();
