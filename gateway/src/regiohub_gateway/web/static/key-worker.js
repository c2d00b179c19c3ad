/* Keeps the door key page and what it loads, so that it opens without a network, until the key's time is over.
   Rules /key/ and nothing else. */
const STORE = "rh-door-key-1";
const isPage = (url) => /^\/(en\/)?key\/[0-9a-f-]{36}$/.test(url.pathname);
const isAsset = (url) => url.pathname.startsWith("/static/");

self.addEventListener("install", (event) => event.waitUntil(self.skipWaiting()));
self.addEventListener("activate", (event) => event.waitUntil(Promise.all([self.clients.claim(), sweep()])));
self.addEventListener("message", (event) => {
  event.waitUntil(sweep());
  if (Array.isArray(event.data?.keep)) event.waitUntil(keepAll(event.data.keep));
});

async function keepAll(urls) {
  const store = await caches.open(STORE);
  await Promise.all(urls.map(async (text) => {
    const url = new URL(text, self.location.origin);
    if (url.origin !== self.location.origin || !(isPage(url) || isAsset(url))) return;
    const answer = await fetch(url, { credentials: "same-origin" });
    if (answer.ok && !answer.redirected) await put(store, url, answer);
  }));
}

/* A page tells until when its key opens something; that is kept beside it. What opens nothing is not kept. */
const UNTIL = "X-Key-Until";
const isAhead = (until) => Date.now() < Date.parse(until);
async function put(store, url, answer) {
  if (!isPage(url)) return store.put(url.pathname, answer);
  const text = await answer.text();
  const until = /<rh-door-key data-until="([^"]+)"/.exec(text)?.[1];
  if (!isAhead(until)) return store.delete(url.pathname);
  const headers = new Headers(answer.headers);
  headers.set(UNTIL, until);
  return store.put(url.pathname, new Response(text, { headers }));
}
async function match(store, url) {
  const kept = await store.match(url.pathname);
  if (!kept || !isPage(url) || isAhead(kept.headers.get(UNTIL))) return kept;
  await store.delete(url.pathname);
  return undefined;
}

/* Whoever takes the phone next finds no key whose time is over, neither its page nor its passes. */
async function sweep() {
  const store = await caches.open(STORE);
  await Promise.all((await store.keys()).map(({ url }) => match(store, new URL(url))));
  await forgetPasses().catch(() => {});
}
/* The entries of door-key.js, which does the same where no worker runs. */
const forgetPasses = () => new Promise((resolve, reject) => {
  const opening = indexedDB.open("rh-door-key", 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore("kept");
  opening.onerror = () => reject(opening.error);
  opening.onsuccess = () => {
    const change = opening.result.transaction("kept", "readwrite");
    const all = change.objectStore("kept").openCursor();
    all.onsuccess = () => {
      const entry = all.result;
      if (!entry) return;
      if (entry.key.startsWith("grant:") && !entry.value.some((pass) => isAhead(pass.expires_at))) entry.delete();
      entry.continue();
    };
    change.oncomplete = () => { opening.result.close(); resolve(); };
    change.onerror = change.onabort = () => { opening.result.close(); reject(change.error); };
  };
});

/* No network, a server in trouble and a login that has ended (Keycloak may be away) are the same to somebody at a door:
   all get the kept copy. Only what is gone for good is forgotten; a logout empties the store from outside. */
async function networkFirst(request, url) {
  const store = await caches.open(STORE);
  let answer;
  try {
    answer = await fetch(request);
  } catch (error) {
    const kept = await match(store, url);
    if (kept) return kept;
    throw error;
  }
  if (isToLogin(answer)) {
    const kept = await match(store, url);
    return kept ? withLoginNote(kept) : answer;
  }
  if (answer.status >= 500 || answer.status === 429) return (await match(store, url)) ?? answer;
  if (answer.ok && answer.type === "basic") await put(store, url, answer.clone());
  else if (isPage(url) && (answer.status === 404 || answer.status === 410)) await store.delete(url.pathname);
  return answer;
}

const isToLogin = (answer) => answer.redirected || answer.type === "opaqueredirect";
const withLoginNote = async (kept) =>
  new Response((await kept.text()).replace(" hidden data-login-note", " data-login-note"), { headers: kept.headers });

self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== self.location.origin) return;
  if (isPage(url)) event.waitUntil(sweep());
  if (isPage(url) || isAsset(url)) event.respondWith(networkFirst(event.request, url));
});
