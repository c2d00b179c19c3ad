/* Keeps the door key page and what it loads, so that it opens without a network. Rules /key/ and nothing else. */
const STORE = "rh-door-key-1";
const isPage = (url) => /^\/(en\/)?key\/[0-9a-f-]{36}$/.test(url.pathname);
const isAsset = (url) => url.pathname.startsWith("/static/");

self.addEventListener("install", (event) => event.waitUntil(self.skipWaiting()));
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("message", (event) => {
  if (Array.isArray(event.data?.keep)) event.waitUntil(keepAll(event.data.keep));
});

async function keepAll(urls) {
  const store = await caches.open(STORE);
  await Promise.all(urls.map(async (text) => {
    const url = new URL(text, self.location.origin);
    if (url.origin !== self.location.origin || !(isPage(url) || isAsset(url))) return;
    const answer = await fetch(url, { credentials: "same-origin" });
    if (answer.ok && !answer.redirected) await store.put(url.pathname, answer);
  }));
}

/* No network, a server in trouble and a login that has ended (Keycloak may be away) are the same to somebody at a door:
   all get the kept copy. Only what is gone for good is forgotten; a logout empties the store from outside. */
async function networkFirst(request, url) {
  const store = await caches.open(STORE);
  let answer;
  try {
    answer = await fetch(request);
  } catch (error) {
    const kept = await store.match(url.pathname);
    if (kept) return kept;
    throw error;
  }
  if (isToLogin(answer)) {
    const kept = await store.match(url.pathname);
    return kept ? withLoginNote(kept) : answer;
  }
  if (answer.status >= 500 || answer.status === 429) return (await store.match(url.pathname)) ?? answer;
  if (answer.ok && answer.type === "basic") await store.put(url.pathname, answer.clone());
  else if (isPage(url) && (answer.status === 404 || answer.status === 410)) await store.delete(url.pathname);
  return answer;
}

const isToLogin = (answer) => answer.redirected || answer.type === "opaqueredirect";
const withLoginNote = async (kept) =>
  new Response((await kept.text()).replace(" hidden data-login-note", " data-login-note"), { headers: kept.headers });

self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== self.location.origin) return;
  if (isPage(url) || isAsset(url)) event.respondWith(networkFirst(event.request, url));
});
