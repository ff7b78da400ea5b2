// @ts-check
import { serve } from './worker.js';

serve({
  post: (message, transfer = []) => /** @type {any} */ (self).postMessage(message, transfer),
  listen: (listener) => self.addEventListener('message', ({ data }) => listener(data)),
});
