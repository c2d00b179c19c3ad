// Runs key-worker.js with a network and a cache of our own: `node key_worker.mjs <worker.js>`, steps as JSON on stdin.
// A step is {"keep": [paths]}, {"clear": true} or {"open": path}, with "network": "off" | {"status", "redirected", "type", "body"}.
// Prints for each step {"body", "status", "failed", "kept": [paths]}.
import { readFileSync } from "node:fs";
import { createContext, runInContext } from "node:vm";

const ORIGIN = "http://localhost:8080";
const listeners = {};
const kept = new Map();
let network = "off";

const answerOf = ({ status = 200, redirected = false, type = "basic", body = "fresh" }) => ({
  status, redirected, type, body, headers: {}, ok: status >= 200 && status < 300, clone() { return answerOf(this); },
  async text() { return body; },
});
class Response { constructor(body) { Object.assign(this, answerOf({ body })); } }
const store = {
  match: async (path) => kept.get(path),
  put: async (path, answer) => { kept.set(path, answer); },
  delete: async (path) => kept.delete(path),
};
const self = {
  location: { origin: ORIGIN }, clients: { claim: async () => {} }, skipWaiting: async () => {},
  addEventListener: (name, act) => { listeners[name] = act; },
};
const fetch = async () => {
  if (network === "off") throw new TypeError("Failed to fetch");
  return answerOf(network);
};
runInContext(readFileSync(process.argv[2], "utf8"), createContext({ self, caches: { open: async () => store }, fetch, Response, URL }));

const told = [];
for (const step of JSON.parse(readFileSync(0, "utf8"))) {
  network = step.network;
  let work = Promise.resolve();
  const event = { waitUntil: (one) => { work = one; }, respondWith: (one) => { work = one; } };
  if (step.clear) kept.clear(); // what Clear-Site-Data does
  else if (step.keep) listeners.message({ ...event, data: { keep: step.keep } });
  else listeners.fetch({ ...event, request: { method: step.method ?? "GET", url: ORIGIN + step.open } });
  const result = {};
  try {
    const answer = await work;
    Object.assign(result, { body: answer?.body, status: answer?.status });
  } catch { result.failed = true; }
  told.push({ ...result, kept: [...kept.keys()].sort() });
}
console.log(JSON.stringify(told));
