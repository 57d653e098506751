// Requests to the server.
import { t } from "./texts.js";

/** Ask the server; an answer that is no success becomes an error with its sentence. */
export async function request(method, path, { query = {}, json, body } = {}) {
  const address = new URL(path, location.href);
  for (const [name, value] of Object.entries(query)) {
    for (const one of [value].flat()) address.searchParams.append(name, one);
  }
  const options = { method };
  if (json !== undefined) options.body = JSON.stringify(json);
  if (body !== undefined) options.body = body;
  const answer = await fetch(address, options);
  const type = answer.headers.get("content-type") || "";
  const content = type.startsWith("application/json") ? await answer.json() : { error: await answer.text() };
  if (!answer.ok) throw new Error(content.error || `${answer.status}`);
  return content;
}

/** Send a file as the body of a request, telling the share that is sent. */
export function send(path, query, file, onShare) {
  const address = new URL(path, location.href);
  for (const [name, value] of Object.entries(query)) address.searchParams.set(name, value);
  return new Promise((resolve, reject) => {
    const sending = new XMLHttpRequest();
    sending.open("POST", address);
    sending.responseType = "json";
    sending.upload.onprogress = (event) => onShare?.(event.total ? event.loaded / event.total : 0);
    sending.onload = () => sending.status < 300
      ? resolve(sending.response)
      : reject(new Error(sending.response?.error || `${sending.status}`));
    sending.onerror = () => reject(new Error(t("connection_lost")));
    sending.send(file);
  });
}
