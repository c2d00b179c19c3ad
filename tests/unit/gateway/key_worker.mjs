// Runs key-worker.js with a network and a cache of our own: `node key_worker.mjs <worker.js>`, steps as JSON on stdin.
// A step is {"keep": [paths]}, {"clear": true}, {"activate": true}, {"store": {name: value}} (what door-key.js keeps) or
// {"open": path}, with "network": "off" | {"status", "redirected", "type", "body"}; "later" moves the clock by so many seconds.
// Prints for each step {"body", "status", "failed", "kept": [paths], "entries": [names]}.
import { readFileSync } from "node:fs";
import { createContext, runInContext } from "node:vm";
import { fakeIndexedDB } from "./indexed_db.mjs";

const ORIGIN = "http://localhost:8080";
const listeners = {};
const kept = new Map();
const entries = new Map();
let network = "off";
let later = 0;

const answerOf = ({ status = 200, redirected = false, type = "basic", body = "fresh", headers = new Headers() }) => ({
  status, redirected, type, body, headers, ok: status >= 200 && status < 300, clone() { return answerOf(this); },
  async text() { return body; },
});
class Response { constructor(body, { headers }) { Object.assign(this, answerOf({ body, headers })); } }
const store = {
  match: async (path) => kept.get(path),
  put: async (path, answer) => { kept.set(path, answer); },
  delete: async (path) => kept.delete(path),
  keys: async () => [...kept.keys()].map((path) => ({ url: ORIGIN + path })),
};
const self = {
  location: { origin: ORIGIN }, clients: { claim: async () => {} }, skipWaiting: async () => {},
  addEventListener: (name, act) => { listeners[name] = act; },
};
const fetch = async () => {
  if (network === "off") throw new TypeError("Failed to fetch");
  return answerOf(network);
};
class Clock extends Date { static now() { return super.now() + later * 1000; } }
runInContext(readFileSync(process.argv[2], "utf8"), createContext({
  self, caches: { open: async () => store }, fetch, Response, Headers, URL, Date: Clock, indexedDB: fakeIndexedDB(entries),
}));

const told = [];
for (const step of JSON.parse(readFileSync(0, "utf8"))) {
  network = step.network;
  later += step.later ?? 0;
  let work = Promise.resolve();
  const waits = [];
  const event = { waitUntil: (one) => { waits.push(one); }, respondWith: (one) => { work = one; } };
  if (step.clear) kept.clear(); // what Clear-Site-Data does
  else if (step.store) Object.entries(step.store).forEach(([name, value]) => entries.set(name, value));
  else if (step.activate) listeners.activate(event);
  else if (step.keep) listeners.message({ ...event, data: { keep: step.keep } });
  else listeners.fetch({ ...event, request: { method: step.method ?? "GET", url: ORIGIN + step.open } });
  const result = {};
  try {
    const answer = await work;
    Object.assign(result, { body: answer?.body, status: answer?.status });
  } catch { result.failed = true; }
  await Promise.all(waits);
  told.push({ ...result, kept: [...kept.keys()].sort(), entries: [...entries.keys()].sort() });
}
console.log(JSON.stringify(told));
