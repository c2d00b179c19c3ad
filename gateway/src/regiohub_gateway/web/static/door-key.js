/* <rh-door-key>: this device's key, the passes made for it, and a QR code that is signed anew every 15 seconds.

   The private key is made here, cannot be exported and stays in IndexedDB. A pass is fetched once (and again when
   there is a network); signing and drawing need none. Formats: docs/reader.md (RH1). */
import { qrcode } from "/static/vendor/qrcode.mjs";

const SECONDS = 15;
const BASE45 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
const utf8 = new TextEncoder();
const KEY = { name: "ECDSA", namedCurve: "P-256" };
const GONE = new Set(["grant-not-found", "grant-revoked", "grant-ended", "no-doors"]);
const SIGN = { name: "ECDSA", hash: "SHA-256" };

const base45 = (bytes) => {
  let text = "";
  for (let at = 0; at < bytes.length; at += 2) {
    const two = at + 1 < bytes.length;
    let number = two ? bytes[at] * 256 + bytes[at + 1] : bytes[at];
    for (let left = two ? 3 : 2; left; left -= 1) {
      text += BASE45[number % 45];
      number = Math.floor(number / 45);
    }
  }
  return text;
};
const toBase64Url = (bytes) => btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const fromBase64Url = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
const join = (...parts) => {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((at, part) => { all.set(part, at); return at + part.length; }, 0);
  return all;
};

/* CBOR in its shortest form: unsigned numbers, byte strings, arrays. */
const head = (major, value) => {
  const kind = major << 5;
  if (value < 24) return Uint8Array.of(kind | value);
  if (value < 256) return Uint8Array.of(kind | 24, value);
  if (value < 65536) return Uint8Array.of(kind | 25, value >> 8, value & 255);
  if (value < 4294967296) return Uint8Array.of(kind | 26, value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
  const high = Math.floor(value / 4294967296);
  const low = value >>> 0;
  return join(Uint8Array.of(kind | 27, high >>> 24, (high >>> 16) & 255, (high >>> 8) & 255, high & 255), Uint8Array.of(low >>> 24, (low >>> 16) & 255, (low >>> 8) & 255, low & 255));
};
const number = (value) => head(0, value);
const bytes = (value) => join(head(2, value.length), value);
const list = (...items) => join(head(4, items.length), ...items);

/* One store with two kinds of entries: "key" and "grant:<id>". */
const database = () => new Promise((resolve, reject) => {
  const opening = indexedDB.open("rh-door-key", 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore("kept");
  opening.onsuccess = () => resolve(opening.result);
  opening.onerror = () => reject(opening.error);
});
const inStore = async (mode, act) => {
  const db = await database();
  try {
    return await new Promise((resolve, reject) => {
      const change = db.transaction("kept", mode);
      const asked = act(change.objectStore("kept"));
      change.oncomplete = () => resolve(asked.result);
      change.onerror = change.onabort = () => reject(change.error);
    });
  } finally { db.close(); }
};
const kept = (name) => inStore("readonly", (store) => store.get(name));
/* Entries of bookings that are over go; the worker does the same when no page of a key is opened. */
const forgetOver = () => inStore("readwrite", (store) => {
  const all = store.openCursor();
  all.onsuccess = () => {
    const entry = all.result;
    if (!entry) return;
    const isOver = (pass) => Date.parse(pass.expires_at) <= Date.now();
    if (entry.key.startsWith("grant:") && entry.value.every(isOver)) entry.delete();
    entry.continue();
  };
  return all;
});
const keep = (name, value) => inStore("readwrite", (store) => store.put(value, name));

const deviceKey = async () => {
  const known = await kept("key");
  if (known) return known;
  const made = await crypto.subtle.generateKey(KEY, false, ["sign"]);
  // Two tabs at once: whoever comes second takes the first one's key.
  const raced = await kept("key");
  if (raced) return raced;
  await keep("key", made);
  return made;
};
const sign = async (key, data) => new Uint8Array(await crypto.subtle.sign(SIGN, key.privateKey, data));

export const present = async (key, pass, door, seconds) => {
  const nonce = crypto.getRandomValues(new Uint8Array(4));
  const proof = list(number(seconds), number(door), bytes(nonce));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", pass));
  const signature = await sign(key, join(utf8.encode("RH1-POP"), digest, proof));
  return `RH1:${base45(list(bytes(pass), bytes(proof), bytes(signature)))}`;
};

class Refused extends Error {
  constructor(status, kind) { super(kind); this.status = status; this.kind = kind; }
}

class DoorKey extends HTMLElement {
  async connectedCallback() {
    this.texts = JSON.parse(this.dataset.texts);
    this.doors = JSON.parse(this.dataset.doors);
    this.door = this.doors[0]?.number;
    this.build();
    if (!this.door) { this.say(this.texts.failed); return; }
    await this.start();
    this.timer = setInterval(() => this.draw(), SECONDS * 1000);
    this.back = () => { if (!document.hidden) this.draw(); };
    document.addEventListener("visibilitychange", this.back);
    this.online = () => this.refresh();
    window.addEventListener("online", this.online);
    this.again = setInterval(() => this.refresh(), 10 * 60 * 1000);
  }
  disconnectedCallback() {
    clearInterval(this.timer);
    clearInterval(this.again);
    document.removeEventListener("visibilitychange", this.back);
    window.removeEventListener("online", this.online);
  }

  build() {
    this.replaceChildren();
    if (this.doors.length > 1) this.append(this.choice());
    this.figure = document.createElement("div");
    this.figure.setAttribute("role", "img");
    this.figure.setAttribute("aria-label", this.texts.qr);
    this.figure.hidden = true;
    this.status = document.createElement("p");
    this.status.className = "kern-body";
    this.status.setAttribute("role", "status");
    this.append(this.figure, this.status);
    this.say(this.texts.loading);
  }
  choice() {
    const group = document.createElement("div");
    group.className = "rh-doors";
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", this.texts.door);
    for (const door of this.doors) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "kern-btn kern-btn--secondary";
      button.dataset.door = String(door.number);
      button.setAttribute("aria-pressed", String(door.number === this.door));
      const label = document.createElement("span");
      label.className = "kern-label";
      label.textContent = door.name;
      button.append(label);
      button.addEventListener("click", () => this.choose(group, door.number));
      group.append(button);
    }
    return group;
  }
  choose(group, door) {
    this.door = door;
    for (const button of group.children) button.setAttribute("aria-pressed", String(Number(button.dataset.door) === door));
    this.draw();
  }
  say(text) { if (this.status.textContent !== text) this.status.textContent = text; }

  async start() {
    try {
      await forgetOver();
      this.key = await deviceKey();
      this.passes = (await kept(`grant:${this.dataset.grant}`)) ?? [];
    } catch { this.say(this.texts.failed); return; }
    if (this.passes.length) await this.draw();
    await this.refresh();
    await this.keepPage();
  }

  /* Fetch passes for this key; without a network the stored ones stay good. */
  async refresh() {
    if (!this.key) return;
    try {
      this.passes = await this.fetchPasses();
      await keep(`grant:${this.dataset.grant}`, this.passes);
      await this.draw();
      this.say(this.texts.fresh);
    } catch (error) {
      const isGone = error instanceof Refused && GONE.has(error.kind);
      if (isGone) { this.passes = []; this.figure.hidden = true; await keep(`grant:${this.dataset.grant}`, []); }
      const isLoggedOut = error instanceof Refused && error.status === 401;
      if (this.passes.length) this.say(isLoggedOut ? this.texts.fresh : this.texts.offline);
      else this.say(error instanceof Refused && error.kind === "pass-too-early" ? this.texts.early : this.texts.failed);
    }
  }
  async fetchPasses() {
    const grant = this.dataset.grant;
    const ts = Math.floor(Date.now() / 1000);
    const signature = toBase64Url(await sign(this.key, utf8.encode(`RH1-KEY ${grant} ${ts}`)));
    const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", this.key.publicKey);
    const answer = await fetch(`/api/access/v1/grants/${grant}/passes`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Requested-With": "RegioHub" },
      body: JSON.stringify({ jwk: { kty, crv, x, y }, ts, signature }),
    });
    const body = await answer.json();
    if (!answer.ok) throw new Refused(answer.status, String(body.type ?? "").split("/").pop());
    return body.passes ?? [body];
  }

  /* Several passes cover a long booking: take the one that is good now, else the next one. */
  pass() {
    const own = this.passes.filter((one) => !one.doors || one.doors.includes(this.door));
    const now = Date.now();
    return own.find((one) => Date.parse(one.starts_at) <= now && now < Date.parse(one.expires_at)) ?? own[0];
  }
  async draw() {
    const pass = this.passes && this.pass();
    if (!pass || !this.key) return;
    const text = await present(this.key, fromBase64Url(pass.pass), this.door, Math.floor(Date.now() / 1000));
    const code = qrcode(0, "L");
    code.addData(text, "Alphanumeric");
    code.make();
    this.figure.replaceChildren(this.picture(code));
    this.figure.dataset.presentation = text;
    this.figure.hidden = false;
  }
  picture(code) {
    const size = code.getModuleCount();
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", `-4 -4 ${size + 8} ${size + 8}`);
    svg.setAttribute("shape-rendering", "crispEdges");
    svg.setAttribute("aria-hidden", "true");
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    let line = "";
    for (let row = 0; row < size; row += 1) for (let column = 0; column < size; column += 1) if (code.isDark(row, column)) line += `M${column} ${row}h1v1h-1z`;
    path.setAttribute("d", line);
    svg.append(path);
    return svg;
  }

  /* The page, its style and its scripts stay on this device. */
  async keepPage() {
    if (!("serviceWorker" in navigator)) return;
    try {
      const scope = location.pathname.slice(0, location.pathname.lastIndexOf("/") + 1);
      await navigator.serviceWorker.register(`${scope}worker.js`, { scope });
      const { active } = await navigator.serviceWorker.ready;
      const assets = [...document.querySelectorAll("link[rel=stylesheet], link[rel=icon]")].map((one) => one.href);
      const fonts = ["Regular", "SemiBold"].map((name) => `/static/vendor/fira-sans/FiraSans-${name}.woff2`);
      active.postMessage({ keep: [location.href, ...assets, ...[...document.scripts].map((one) => one.src).filter(Boolean), "/static/vendor/qrcode.mjs", ...fonts] });
    } catch { /* the key works all the same while the page is open */ }
  }
}
customElements.define("rh-door-key", DoorKey);
