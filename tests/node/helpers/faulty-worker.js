// The package's worker, which fails for real when an image's bytes end in a word: a loop without end, a trap in WebAssembly, the
// end of the thread. PNG and JPEG ignore what follows their end.
import { parentPort } from 'node:worker_threads';
import { serve } from '../../../wasm/js/worker.js';

// (module (func (export "trap") unreachable))
const TRAP = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 7, 8, 1, 4, 116, 114, 97, 112, 0, 0, 10, 5, 1, 3, 0, 0, 11]);
const { exports } = new WebAssembly.Instance(new WebAssembly.Module(TRAP));

const FAULTS = {
  hang: () => {
    for (;;);
  },
  exit: () => process.exit(7),
  trap: (task) => Object.defineProperty(task, 'kind', { get: exports.trap }),
};

serve({
  post: (message, transfer = []) => parentPort.postMessage(message, transfer),
  listen: (listener) =>
    parentPort.on('message', (message) => {
      const { bytes } = message.task?.image ?? {};
      if (bytes) FAULTS[new TextDecoder().decode(bytes.subarray(-4))]?.(message.task);
      listener(message);
    }),
});
