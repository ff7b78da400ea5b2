// @ts-check
import { parentPort } from 'node:worker_threads';
import { serve } from './worker.js';

const port = /** @type {import('node:worker_threads').MessagePort} */ (parentPort);
serve({
  post: (message, transfer = []) => port.postMessage(message, transfer),
  listen: (listener) => port.on('message', listener),
});
