// @ts-check
import { serve } from './worker.js';

const scope = /** @type {DedicatedWorkerGlobalScope} */ (/** @type {unknown} */ (self));
serve({
  post: (message, transfer = []) => scope.postMessage(message, transfer),
  listen: (listener) => scope.addEventListener('message', ({ data }) => listener(data)),
});
