// @ts-check
/** The inside of an <iframe>: answers the page around it by postMessage. The protocol is described in README.md. */
import { packError } from '../../wasm/js/error.js';

/** @typedef {import('./nac-detector.js').NacDetector} NacDetector */

/**
 * @param {NacDetector} element
 * @param {{ origins?: string[] }} [options] who may embed the page: origins ("https://example.org"); its own without it
 * @returns {() => void} ends it
 */
export function serveFrame(element, { origins = [location.origin] } = {}) {
  /** Of the page around, once it has said hello. */
  let origin = '';
  const post = (/** @type {Record<string, any>} */ message) => origin && parent.postMessage({ nac: 1, ...message }, origin);
  const ending = new AbortController();
  const { signal } = ending;
  /** What the page around has asked for is answered there, not told a second time. */
  let asking = 0;

  addEventListener('message', async (event) => {
    const { data, source } = event;
    if (source !== parent || data?.nac !== 1) return;
    if (!origins.includes(event.origin)) {
      console.warn(`nac-detector: a message of ${event.origin} is ignored; this frame answers ${origins.join(', ') || 'nobody'}`);
      return;
    }
    origin = event.origin;
    if (data.type === 'hello') greet();
    if (data.type === 'score') await score(data);
    if (data.type === 'clear') element.clear();
  }, { signal });

  element.addEventListener('nac-progress', (event) => post({ type: 'progress', .../** @type {CustomEvent} */ (event).detail }), { signal });
  element.addEventListener('nac-result', (event) => {
    if (asking === 0) post({ type: 'result', id: null, result: /** @type {CustomEvent} */ (event).detail.result });
  }, { signal });
  element.addEventListener('nac-error', (event) => {
    if (asking === 0) post({ type: 'error', id: null, ...plain(/** @type {CustomEvent} */ (event).detail.error) });
  }, { signal });

  const size = new ResizeObserver(() => post({ type: 'size', height: document.documentElement.offsetHeight }));

  async function greet() {
    size.observe(document.documentElement); // tells the first time, too
    try {
      const { info } = await element.load();
      const { labels, variant, profile } = info;
      post({ type: 'ready', labels: labels ?? null, variant, layers: profile.layers.map(({ name, neurons }) => ({ name, neurons })), threshold: profile.threshold });
    } catch (error) {
      post({ type: 'error', id: null, ...plain(error) });
    }
  }

  /** @param {{ id: unknown, image: any, name?: unknown }} question */
  async function score({ id, image, name }) {
    ++asking;
    try {
      const result = await element.score(image, { name: typeof name === 'string' ? name : undefined });
      post({ type: 'result', id, result });
    } catch (error) {
      post({ type: 'error', id, ...plain(error) });
    } finally {
      --asking;
    }
  }

  return () => {
    ending.abort();
    size.disconnect();
  };
}

/** @param {any} error */
function plain(error) {
  const { code, message, name } = packError(error);
  return { code: name === 'AbortError' ? 'ABORTED' : code, message };
}
