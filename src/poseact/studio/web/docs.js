// The page that shows openapi.json.
import { fill, h } from "./dom.js";
import { t } from "./texts.js";

function endpoint(path, method, facts) {
  const parameters = (facts.parameters ?? []).flatMap((one) => [h("dt", {}, h("code", {}, one.name)), h("dd", {}, one.description)]);
  const body = Object.entries(facts.requestBody?.content ?? {}).flatMap(([type, { schema = {} }]) => [
    h("p", {}, h("b", {}, t("api_body")), ` (${type}) ${schema.description ?? ""}`),
    h("dl", {}, Object.entries(schema.properties ?? {}).flatMap(([name, one]) => [h("dt", {}, h("code", {}, name)), h("dd", {}, one.description)])),
  ]);
  const answers = Object.entries(facts.responses).flatMap(([status, { description }]) => [h("dt", {}, h("code", {}, status)), h("dd", {}, description)]);
  return h("details", { class: "card endpoint" }, h("summary", {}, h("code", {}, `${method.toUpperCase()} ${path}`), " ", facts.summary),
    facts.description ? h("p", {}, facts.description) : null,
    parameters.length ? [h("p", {}, h("b", {}, t("api_parameters"))), h("dl", {}, parameters)] : null,
    body, h("p", {}, h("b", {}, t("api_answers"))), h("dl", {}, answers));
}

const found = await (await fetch("openapi.json")).json();
fill(document.getElementById("docs"),
  h("p", {}, h("a", { href: "./" }, t("api_back"))), h("h1", {}, t("api_title")), h("p", {}, found.info.description),
  Object.entries(found.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, facts]) => endpoint(path, method, facts))),
  h("p", {}, h("a", { href: "openapi.json" }, "openapi.json")));
