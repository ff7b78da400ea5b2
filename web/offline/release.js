// @ts-check
/** This page's release, and the service worker that keeps it. In the checkout there is neither. */

/** What build.js stamps into the page. */
export const release = document.querySelector('meta[name="nac-release"]')?.getAttribute('content') ?? null;

/** Where there can be none (an old browser, plain http, a file), the page works without. */
const container = release ? navigator.serviceWorker : undefined;

/** The first score, which app.js marks, or a while without one. */
async function firstScore() {
  const patience = 10_000;
  await new Promise((resolve) => {
    const look = (/** @type {PerformanceObserverEntryList} */ list) => list.getEntriesByName('nac-first-score').length > 0 && resolve(undefined);
    new PerformanceObserver(look).observe({ type: 'mark', buffered: true });
    setTimeout(resolve, patience);
  });
}

/**
 * Registered after the first score, so that filling the cache, which fetches and hashes all files anew, doesn't compete with it.
 * @type {Promise<ServiceWorkerRegistration | null>}
 */
export const registration = (async () => {
  if (!container) return null;
  if (document.readyState !== 'complete') await new Promise((resolve) => addEventListener('load', resolve, { once: true }));
  await firstScore();
  try {
    return (await container.register(new URL('service-worker.js', document.baseURI))) ?? null;
  } catch {
    return null; // switched off, or a page that isn't secure
  }
})();

/**
 * @param {ServiceWorker} worker
 * @param {{ type: 'version' | 'take-over' }} question
 * @returns {Promise<any>}
 */
export const ask = (worker, question) =>
  new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }) => resolve(data);
    worker.postMessage(question, [port2]);
  });
