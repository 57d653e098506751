// The page Use elsewhere: weights, bundle, and how other programs use them.
import { request } from "./client.js";
import { attempt, fill, h, say, when } from "./dom.js";
import { t } from "./texts.js";

export function usePage(main) {
  const weights = h("div", { class: "column" });
  const host = location.host;

  function code(text) {
    const copy = () => attempt(async () => {
      await navigator.clipboard.writeText(text);
      say(t("copied"));
    });
    return h("div", { class: "code" }, h("pre", { tabIndex: 0 }, text), h("button", { class: "quiet", onclick: copy }, t("copy")));
  }

  main.append(h("div", { class: "halves" },
    h("div", { class: "column" }, weights),
    h("div", { class: "column" },
      h("section", { class: "card" }, h("h2", {}, t("python")), code('import poseact\nstream = poseact.Stream("actions.safetensors")\nanswers = stream.push(picture)  # (height, width, 3) RGB')),
      h("section", { class: "card" }, h("h2", {}, t("command")), code("poseact live --weights actions.safetensors --source 0\nposeact predict video.mp4 --weights actions.safetensors")),
      h("section", { class: "card" }, h("h2", {}, t("programs")), h("p", { class: "hint" }, t("programs_about")),
        code(`ws://${host}/stream\nhttp://${host}/api/live\nhttp://${host}/api/state`),
        h("a", { href: "docs.html" }, t("api"))))));

  async function bundle(name, button) {
    button.disabled = true;
    button.textContent = t("bundle_making");
    if (await attempt(() => request("POST", "api/bundle", { query: { recogniser: name } }))) {
      h("a", { href: "api/bundle", download: "recogniser.zip" }).click();
    }
    button.disabled = false;
    button.textContent = t("bundle_make");
  }

  /** The card of one recogniser. */
  function recogniser(name, written) {
    const make = h("button", { onclick: () => bundle(name, make) }, t("bundle_make"));
    return h("section", { class: "card" }, h("h2", {}, t(`weights_${name}`)), h("p", { class: "hint" }, t("weights_about", { when: when(written) })),
      h("div", { class: "row" }, h("a", { class: "button", href: `api/weights?recogniser=${name}`, download: "actions.safetensors" }, t("weights_download"))),
      h("h3", {}, t("bundle")), h("p", { class: "hint" }, t("bundle_about")), h("div", { class: "row" }, make));
  }

  return {
    update(state) {
      const names = Object.keys(state.recognisers);
      fill(weights, names.length ? names.map((name) => recogniser(name, state.recognisers[name]))
        : h("section", { class: "card" }, h("h2", {}, t("weights")), h("p", { class: "hint" }, t("weights_none"))));
    },
  };
}
