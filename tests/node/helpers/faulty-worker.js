// The package's worker for Node, which fails where faults.js says so.
import { parentPort } from 'node:worker_threads';
import { serve } from '../../../wasm/js/worker.js';
import { perhapsFail } from './faults.js';

serve({
  post: (message, transfer = []) => parentPort.postMessage(message, transfer),
  listen: (listener) =>
    parentPort.on('message', (message) => {
      perhapsFail(message, () => process.exit(7));
      listener(message);
    }),
});
