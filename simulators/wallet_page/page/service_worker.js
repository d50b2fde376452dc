// Keeps the page's own files, so that it opens without a network. Nothing of the wallet and nothing of the city is kept.

importScripts("files.js"); // KGO_FILES: {version, paths}; another version is another cache

const CACHE = `kgo-wallet-${KGO_FILES.version}`;

self.addEventListener("install", (event) => {
  event.waitUntil((async () => {
    const cache = await caches.open(CACHE);
    await cache.addAll(KGO_FILES.paths.map((path) => new Request(path, { cache: "reload" })));
    await self.skipWaiting();
  })());
});

self.addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    const names = await caches.keys();
    await Promise.all(names.filter((name) => name !== CACHE).map((name) => caches.delete(name)));
    await self.clients.claim();
  })());
});

self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== location.origin || url.pathname.startsWith("/city/")) return;
  event.respondWith((async () => {
    const kept = await (await caches.open(CACHE)).match(url.pathname);
    return kept ?? fetch(event.request);
  })());
});
