// The page Record: camera, countdown, recording, retake.
import { request, send } from "./client.js";
import { actionList } from "./actions.js";
import { attempt, fill, h, say } from "./dom.js";
import { Sight, hasCameraRights, openCamera, stopCamera } from "./sight.js";
import { drawPeople, fit } from "./skeleton.js";
import { actionName, t } from "./texts.js";
import { phoneCard, uploadCard } from "./upload.js";

const KINDS = ["video/webm;codecs=vp8", "video/webm", "video/mp4"];
const LENGTHS = [2, 3, 4, 5, 6, 8, 10];
const LEAST_MS = 500;
const LONGEST_MS = 60000;

export function recordPage(main, app) {
  const video = h("video", { muted: true, playsInline: true, class: "picture" });
  const overlay = h("canvas", { class: "overlay", "aria-hidden": "true" });
  const big = h("div", { class: "big", "aria-live": "assertive" });
  const light = h("span", { class: "light", hidden: true });
  const start = h("button", { class: "primary", onclick: openIt }, t("camera_start"));
  const empty = h("div", { class: "empty" }, start, h("p", {}, t("camera_ask")));
  const stage = h("div", { class: "stage" }, video, overlay, big, light, empty);
  const button = h("button", { class: "record", disabled: true, onclick: press, onpointerdown: hold, onpointerup: release, onpointerleave: release }, t("record"));
  const retakeButton = h("button", { disabled: true, title: t("retake_hint"), onclick: retake }, t("retake"));
  const length = h("select", { onchange: keepSettings }, LENGTHS.map((n) => h("option", { value: n }, t("seconds", { n }))), h("option", { value: "hold" }, t("length_hold")));
  const countdown = h("input", { type: "checkbox", onchange: keepSettings });
  const mirror = h("input", { type: "checkbox", onchange: keepSettings });
  const saving = h("span", { class: "hint", role: "status" });
  const working = h("p", { class: "hint", role: "status" });
  const keys = h("p", { class: "hint keys" }, t("record_keys"));
  const list = actionList(app, showAction);
  const hasCamera = hasCameraRights();
  const upload = uploadCard(app, { camera: !hasCamera });
  let sight = null, hello = null, recorder = null, lastFile = null, timer = 0, isOpen = false, isTrimmed = false, left = false;

  const settings = { length: "4", countdown: true, mirror: true, ...JSON.parse(localStorage.getItem("record") || "{}") };
  length.value = settings.length;
  countdown.checked = settings.countdown;
  mirror.checked = settings.mirror;
  applySettings();

  function keepSettings() {
    localStorage.setItem("record", JSON.stringify({ length: length.value, countdown: countdown.checked, mirror: mirror.checked }));
    applySettings();
  }

  function applySettings() {
    stage.classList.toggle("mirrored", mirror.checked);
    showAction();
  }

  function showAction() {
    const action = list.chosen();
    const name = action ? actionName(action.label) : "";
    const isRunning = recorder !== null || timer !== 0;
    button.textContent = isRunning ? t("record_stop") : length.value === "hold" ? t("record_hold") : action ? t("record_of", { action: name }) : t("record");
    button.classList.toggle("running", isRunning);
    button.disabled = !isOpen || !action || (app.state?.skeleton_only ?? true);
    if (app.state) upload.update(app.state);
  }

  async function openIt() {
    start.disabled = true;
    try {
      await openCamera(video).catch(() => { throw new Error(t("camera_refused")); });
      if (left) return stopCamera(video);
      empty.hidden = true;
      isOpen = true;
      showAction();
      video.hidden = app.state?.skeleton_only ?? false;
      sight = new Sight(video, {
        recogniser: "pose",
        onHello: (said) => { hello = said; },
        onAnswer: (answer) => drawPeople(overlay, answer, hello, { mirror: mirror.checked }),
        onError: (message) => { keys.textContent = t("failed", { message }); },
        onLost: () => fit(overlay, [1, 1]),
      });
    } catch (error) {
      fill(empty, h("p", {}, t("camera_none", { reason: error.message })), start);
      start.textContent = t("retry");
      start.disabled = false;
    }
    return undefined;
  }

  function press() {
    if (length.value === "hold") return;
    if (recorder || timer) stop();
    else count(countdown.checked ? 3 : 0);
  }

  function hold(event) {
    if (length.value !== "hold" || recorder || event.button > 0) return;
    button.setPointerCapture?.(event.pointerId);
    begin();
  }

  function release() {
    if (length.value === "hold" && recorder) stop();
  }

  function count(n) {
    big.textContent = n || "";
    timer = n ? setTimeout(() => count(n - 1), 1000) : 0;
    if (n) showAction();
    else begin();
  }

  function stop() {
    clearTimeout(timer);
    timer = 0;
    big.textContent = "";
    if (recorder?.state === "recording") recorder.stop();
    showAction();
  }

  function begin() {
    const action = list.chosen();
    if (!video.srcObject || !action || recorder || button.disabled) return;
    const parts = [], began = performance.now();
    const mimeType = KINDS.find((kind) => MediaRecorder.isTypeSupported(kind));
    recorder = new MediaRecorder(video.srcObject, { mimeType, videoBitsPerSecond: 2_500_000 });
    recorder.ondataavailable = (event) => parts.push(event.data);
    recorder.onstop = () => {
      const isLong = performance.now() - began >= LEAST_MS;
      recorder = null;
      light.hidden = true;
      clearTimeout(timer);
      timer = 0;
      showAction();
      if (isLong) keep(new Blob(parts, { type: mimeType }), action.label);
      else say(t("too_short"), "error");
    };
    recorder.start();
    light.hidden = false;
    const wanted = length.value === "hold" ? LONGEST_MS : 1000 * Number(length.value);
    timer = setTimeout(stop, wanted);
    showAction();
  }

  async function keep(blob, label) {
    const name = new Date().toISOString().slice(0, 19).replace(/[-:]/g, "").replace("T", "-");
    retakeButton.disabled = true;
    saving.textContent = t("saving");
    const made = await attempt(() => send("api/videos", { label, name, recorded: 1 }, blob));
    saving.textContent = "";
    if (!made) return;
    lastFile = made.clip;
    isTrimmed = false;
    retakeButton.disabled = false;
    say(t("saved", { action: actionName(label) }));
    await app.refresh();
  }

  async function retake() {
    const clips = app.state.clips.filter((clip) => clip.file === lastFile);
    retakeButton.disabled = true;
    if (clips.length && await attempt(() => request("DELETE", "api/clips", { query: { clip: clips.map((clip) => clip.clip) } }))) {
      app.selected = clips[0].label;
      await app.refresh();
    }
    lastFile = null;
    if (length.value !== "hold") count(countdown.checked ? 3 : 0);
  }

  const only = h("p", { class: "banner", hidden: true }, t("skeleton_only"));
  main.append(only, h("div", { class: "two" },
    hasCamera && h("div", { class: "column" }, stage,
      h("div", { class: "row controls" }, button, retakeButton, saving,
        h("label", { class: "inline" }, t("length"), length),
        h("label", { class: "inline" }, countdown, t("countdown")),
        h("label", { class: "inline" }, mirror, t("mirror"))),
      keys, working),
    h("aside", { class: "column" }, list.element, upload.element, phoneCard())));
  // Where the camera was allowed before, no click is needed.
  navigator.permissions?.query({ name: "camera" }).then((found) => found.state === "granted" && !left && openIt(), () => {});

  return {
    update(state) {
      const last = state.clips.find((clip) => clip.file === lastFile);
      if (last && last.clip !== lastFile && !isTrimmed) {
        isTrimmed = true;
        say(t("trimmed"));
      }
      only.hidden = !state.skeleton_only;
      working.textContent = state.waiting ? t("working", { n: state.waiting }) : "";
      list.update(state);
      showAction();
    },
    key(event) {
      const isHold = length.value === "hold";
      const control = event.target.closest("button, summary, input[type=checkbox]");
      if (event.key !== " ") list.key(event);
      else if (!control || (control === button && isHold)) {
        event.preventDefault();
        if (event.repeat) return;
        if (isHold) begin();
        else if (!button.disabled) press();
      }
    },
    keyUp(event) {
      if (event.key === " ") release();
    },
    leave() {
      left = true;
      clearTimeout(timer);
      if (recorder) recorder.stop();
      sight?.close();
      stopCamera(video);
    },
  };
}
