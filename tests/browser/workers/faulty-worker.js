// The package's worker for browsers, which fails where faults.js says so, and of an error that nobody catches when it is told to.
import './watched-memory.js';
import { serve } from '../../../wasm/js/worker.js';
import { perhapsFail } from '../../node/helpers/faults.js';

serve({
  post: (message, transfer = []) => postMessage(message, transfer),
  listen: (listener) =>
    addEventListener('message', ({ data }) => {
      if (data === 'fail') throw new Error('it was told to fail');
      perhapsFail(data, close);
      // A script that has ended goes on to the end of this event.
      if (!data.task?.image || new TextDecoder().decode(data.task.image.bytes.subarray(-4)) !== 'exit') listener(data);
    }),
});
