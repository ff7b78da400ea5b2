// @ts-check
/** This page's release, and the service worker that keeps it. In the checkout there is neither. */

/** What build.js stamps into the page. */
export const release = document.querySelector('meta[name="nac-release"]')?.getAttribute('content') ?? null;

/** Where there can be none (an old browser, plain http, a file), the page works without. */
const container = release ? navigator.serviceWorker : undefined;

/**
 * Registered once the page has loaded, so that filling the cache doesn't compete with the first score.
 * @type {Promise<ServiceWorkerRegistration | null>}
 */
export const registration = (async () => {
  if (!container) return null;
  if (document.readyState !== 'complete') await new Promise((resolve) => addEventListener('load', resolve, { once: true }));
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
