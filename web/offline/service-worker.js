// @ts-check
/**
 * Serves the built page when there is no network, and always as one whole release. build.js writes RELEASE in front of this
 * script: what the release is called, and the hash of each of its files.
 *
 * Files lie in the cache under their hashes. So the next release fetches only what differs, while this one keeps all that it
 * is made of; what no release needs any more is dropped when the next one takes over. A file that isn't the one of the release,
 * because the server has changed or is half-way through changing, is never served.
 */

/** @typedef {{ version: string, files: Record<string, string> }} Release files: path from here -> "sha256-…" */

const { version, files } = /** @type {{ RELEASE: Release }} */ (/** @type {unknown} */ (globalThis)).RELEASE;
const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (self));
const scope = worker.registration.scope;
// Another copy of the page on this host has a cache of its own.
const CACHE = `nac ${scope}`;

/** @param {string} path */
const keyOf = (path) => `${scope}${path}?${encodeURIComponent(files[path])}`;

worker.addEventListener('install', (event) => event.waitUntil(install()));
worker.addEventListener('activate', (event) => event.waitUntil(takeOver()));

async function install() {
  const cache = await caches.open(CACHE);
  const held = new Set((await cache.keys()).map(({ url }) => url));
  await Promise.all(Object.keys(files).filter((path) => !held.has(keyOf(path))).map((path) => add(cache, path)));
}

async function takeOver() {
  const cache = await caches.open(CACHE);
  const needed = new Set(Object.keys(files).map(keyOf));
  for (const { url } of await cache.keys()) if (!needed.has(url)) await cache.delete(url);
  await worker.clients.claim();
}

/**
 * @param {Cache} cache
 * @param {string} path
 */
async function add(cache, path) {
  const integrity = files[path];
  const url = `${scope}${path}`;
  // What the browser has kept from the last release is not it; then the server is asked.
  const response = await fetch(url, { integrity }).catch(() => fetch(url, { integrity, cache: 'reload' }));
  if (!response.ok) throw new Error(`${path}: the server answers ${response.status}`);
  // Made anew: one that was redirected (index.html to the folder, on some hosts) may not answer a navigation.
  await cache.put(keyOf(path), new Response(response.body, { headers: response.headers }));
}

worker.addEventListener('fetch', (event) => {
  const { request } = event;
  if (request.method !== 'GET') {
    event.waitUntil(countSent(request.clone(), event.clientId));
    return;
  }
  const path = pathOf(request.url);
  if (path !== null) event.respondWith(answer(path));
});

/** Which file of the release is meant; null where none is. @param {string} url */
function pathOf(url) {
  const [address] = url.split(/[?#]/);
  if (!address.startsWith(scope)) return null;
  const path = address.slice(scope.length).replace(/(^|\/)$/, '$1index.html');
  return Object.hasOwn(files, path) ? path : null;
}

/** @param {string} path */
async function answer(path) {
  const cache = await caches.open(CACHE);
  const found = await cache.match(keyOf(path));
  if (found) return found;
  // The browser has made room. A server that has another release by now has no file with this hash.
  await add(cache, path);
  return /** @type {Response} */ (await cache.match(keyOf(path)));
}

/** Tells the page how many bytes it has just sent. @param {Request} request @param {string} clientId */
async function countSent(request, clientId) {
  const { byteLength } = await request.arrayBuffer();
  (await worker.clients.get(clientId))?.postMessage({ type: 'sent', bytes: byteLength, url: request.url });
}

worker.addEventListener('message', (event) => {
  const reply = (/** @type {any} */ answer) => event.ports[0]?.postMessage(answer);
  const { data, source } = event;
  if (data.type === 'version') reply(version);
  if (data.type === 'take-over') event.waitUntil(takeOverFrom(/** @type {WindowClient | null} */ (source)).then(reply));
});

/**
 * Two releases must not be mixed: this one waits while another tab runs the one before.
 * @param {WindowClient | null} asking
 * @returns {Promise<number>} other tabs; 0: it takes over now
 */
async function takeOverFrom(asking) {
  const windows = await worker.clients.matchAll({ type: 'window', includeUncontrolled: true });
  const others = windows.filter(({ id, url }) => id !== asking?.id && url.startsWith(scope)).length;
  if (others === 0) await worker.skipWaiting();
  return others;
}
