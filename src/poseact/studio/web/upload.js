// Video files from this computer, and the way for phones.
import { request, send } from "./client.js";
import { attempt, fill, h, say } from "./dom.js";
import { actionName, t } from "./texts.js";

/** The card for files; camera makes the phone's own camera app the first choice. */
export function uploadCard(app, { camera = false } = {}) {
  const input = h("input", { type: "file", accept: "video/*,.mkv,.avi", multiple: !camera, class: "sr", id: "files", onchange: () => take([...input.files]) });
  if (camera) input.setAttribute("capture", "environment");
  const goes = h("p", { class: "hint" });
  const progress = h("p", { class: "hint", role: "status" });
  const refused = h("ul", { class: "notes" });
  const zone = h("div", { class: "drop", ondragover: () => zone.classList.add("over"), ondragleave: () => zone.classList.remove("over"), ondrop },
    camera ? null : h("span", {}, t("upload_drop")), " ", input,
    h("label", { htmlFor: "files", class: "button" }, camera ? t("camera_app") : t("upload_choose")));

  function ondrop(event) {
    event.preventDefault();
    zone.classList.remove("over");
    take([...event.dataTransfer.files]);
  }

  async function take(files) {
    const label = app.selected;
    let n = 0;
    fill(refused);
    for (const file of files) {
      const show = (share) => { progress.textContent = t(share < 1 ? "upload_running" : "upload_checking", { name: file.name, percent: Math.floor(100 * share) }); };
      show(0);
      const sent = send("api/videos", { label, name: file.name }, file, show);
      // Messages pass while many files are sent; whoever comes back sees what is missing.
      sent.catch((error) => refused.append(h("li", { class: "bad" }, error.message)));
      n += Boolean(await attempt(() => sent));
    }
    progress.textContent = "";
    input.value = "";
    if (n) say(t("upload_done", { n }));
    await app.refresh();
  }

  return {
    element: h("section", { class: "card" }, h("h2", {}, t("upload")),
      camera && h("p", { class: "hint" }, t("camera_none", { reason: t("camera_insecure") })), zone, goes, progress, refused),
    update(state) {
      const action = state.actions.find((one) => one.label === app.selected);
      goes.textContent = state.skeleton_only ? t("skeleton_only") : action ? t("upload_goes", { action: actionName(action.label) }) : t("upload_first");
      zone.hidden = state.skeleton_only || !action;
    },
  };
}

/** The card that brings a phone to this page. */
export function phoneCard() {
  const content = h("div", {});
  attempt(async () => {
    const { link } = await request("GET", "api/phone");
    fill(content, link
      ? [h("p", {}, t("phone_scan")), h("img", { class: "qr", src: "api/phone.svg", alt: t("phone_qr") }), h("p", { class: "hint wrap" }, link)]
      : [h("p", { class: "hint" }, t("phone_how")), h("pre", {}, "poseact studio --host 0.0.0.0")]);
  });
  return h("details", { class: "card" }, h("summary", {}, t("phone")), content);
}
