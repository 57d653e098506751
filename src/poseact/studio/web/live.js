// The page Live: what people do in front of the camera or in a file.
import { fill, h, when } from "./dom.js";
import { Sight, hasCameraRights, openCamera, stopCamera } from "./sight.js";
import { drawPeople, fit } from "./skeleton.js";
import { Strip } from "./strip.js";
import { actionName, t } from "./texts.js";

const SHOWN_MS = 500;

export function livePage(main, app) {
  const video = h("video", { muted: true, playsInline: true, loop: true, class: "picture" });
  const overlay = h("canvas", { class: "overlay", "aria-hidden": "true" });
  const now = h("p", { class: "now", role: "status" });
  const empty = h("p", { class: "empty" }, t("live_start"));
  const full = h("button", { class: "full", onclick: () => stage.requestFullscreen() }, t("full_screen"));
  const strip = h("canvas", { class: "strip", role: "img", "aria-label": t("strip") });
  const stage = h("div", { class: "stage live" }, video, overlay, now, empty, full);
  const cameras = h("select", { "aria-label": t("camera") }, h("option", { value: "" }, t("camera")));
  const file = h("input", { type: "file", accept: "video/*", class: "sr", id: "live-file", onchange: openFile });
  const start = h("button", { class: "primary", onclick: startCamera }, t("camera_start"));
  const stopButton = h("button", { hidden: true, onclick: stop }, t("source_stop"));
  const recogniser = h("select", { onchange: () => sight && watch() });
  const pictures = h("input", { type: "checkbox", checked: true, onchange: showPictures });
  const mirror = h("input", { type: "checkbox", checked: true, onchange: showPictures });
  const counts = h("dl", { class: "counts" }, h("p", { class: "hint" }, t("counts_none")));
  const latency = h("p", {}), rate = h("p", { class: "hint" }), learning = h("p", { class: "hint" });
  let sight = null, hello = null, past = new Strip(), timer = 0, address = "", left = false;

  function colours() {
    return Object.fromEntries((app.state?.actions ?? []).map((action) => [action.label, action.colour]));
  }

  function isMirrored() {
    return mirror.checked && Boolean(video.srcObject);
  }

  function showPictures() {
    stage.classList.toggle("mirrored", isMirrored());
    video.classList.toggle("unseen", !pictures.checked);
  }

  function watch() {
    sight?.close();
    past = new Strip();
    now.textContent = t("live_ready");
    sight = new Sight(video, { recogniser: recogniser.value, onHello, onAnswer, onError, onLost: () => fit(overlay, [1, 1]) });
    empty.hidden = true;
    stopButton.hidden = false;
    start.hidden = true;
    showPictures();
    clearInterval(timer);
    timer = setInterval(showFacts, SHOWN_MS);
  }

  function onHello(said) {
    hello = said;
    learning.textContent = said.labels.length ? "" : t("live_learning");
  }

  function onAnswer(answer) {
    drawPeople(overlay, answer, hello, { mirror: isMirrored(), colours: colours() });
    past.add(performance.now() / 1000, answer.people);
    counts.answer = answer;
  }

  function onError(message) {
    now.classList.remove("labels");
    now.textContent = t("failed", { message });
  }

  function showFacts() {
    const speed = sight.speed();
    if (speed.p50 === undefined) return;
    latency.textContent = t("latency_values", { p50: speed.p50.toFixed(0), p95: speed.p95.toFixed(0) });
    rate.textContent = t("rate", { n: speed.rate.toFixed(1) });
    const { people, counts: seen } = counts.answer;
    // Without the probabilities, which change all the time: screen readers read it out.
    const said = people.map((person) => person.label && actionName(person.label)).filter(Boolean).join(" · ");
    const text = people.length ? said : t("live_nothing");
    now.classList.toggle("labels", Boolean(said));
    if (now.textContent !== text) now.textContent = text;
    const found = Object.entries(seen).sort((a, b) => b[1] - a[1]);
    if (found.length) fill(counts, found.map(([label, n]) => h("div", {}, h("dt", {}, h("span", { class: "swatch", vars: { "--colour": colours()[label] } }), actionName(label)), h("dd", {}, String(n)))));
    past.draw(strip, colours());
  }

  async function startCamera() {
    start.disabled = true;
    try {
      if (!hasCameraRights()) throw new Error(t("camera_insecure"));
      stop();
      await openCamera(video, cameras.value).catch(() => { throw new Error(t("camera_refused")); });
      if (left) return stopCamera(video);
      watch();
      const found = (await navigator.mediaDevices.enumerateDevices()).filter((device) => device.kind === "videoinput");
      const chosen = video.srcObject?.getVideoTracks()[0]?.getSettings().deviceId;
      fill(cameras, found.map((device, k) => h("option", { value: device.deviceId, selected: device.deviceId === chosen }, device.label || `${t("camera")} ${k + 1}`)));
    } catch (error) {
      empty.hidden = false;
      empty.textContent = t("camera_none", { reason: error.message });
    }
    start.disabled = false;
    return undefined;
  }

  async function openFile() {
    if (!file.files.length) return;
    stop();
    address = URL.createObjectURL(file.files[0]);
    video.src = address;
    file.value = "";
    await video.play();
    watch();
  }

  function stop() {
    clearInterval(timer);
    sight?.close();
    sight = null;
    stopCamera(video);
    video.removeAttribute("src");
    if (address) URL.revokeObjectURL(address);
    address = "";
    fit(overlay, [1, 1]);
    now.textContent = "";
    empty.hidden = false;
    stopButton.hidden = true;
    start.hidden = false;
  }

  cameras.addEventListener("change", () => sight && video.srcObject && startCamera());
  main.append(h("div", { class: "two" },
    h("div", { class: "column" }, stage, h("figure", {}, h("figcaption", { class: "hint" }, t("strip")), strip)),
    h("aside", { class: "column" },
      h("section", { class: "card" }, h("h2", {}, t("source")), cameras,
        h("div", { class: "row" }, start, stopButton, file, h("label", { htmlFor: "live-file", class: "button" }, t("source_file"))),
        h("label", { class: "inline" }, mirror, t("mirror")), h("label", { class: "inline" }, pictures, t("pictures"))),
      h("section", { class: "card" }, h("h2", {}, t("recogniser")), recogniser, learning),
      h("section", { class: "card" }, h("h2", {}, t("counts")), counts, h("p", { class: "hint" }, t("counts_hint"))),
      h("section", { class: "card" }, h("h2", {}, t("latency")), latency, rate))));

  return {
    update(state) {
      if (state.skeleton_only) {
        pictures.checked = false;
        pictures.disabled = true;
        showPictures();
      }
      const kept = recogniser.value || "newest";
      const names = ["newest", ...Object.keys(state.recognisers), "pose"];
      fill(recogniser, names.map((name) => h("option", { value: name, selected: name === kept },
        t(`recogniser_${name}`, { when: name in state.recognisers ? when(state.recognisers[name]) : "" }))));
    },
    leave() {
      left = true;
      stop();
    },
  };
}
