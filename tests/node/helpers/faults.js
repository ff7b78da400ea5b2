// Workers that fail for real, in Node and in a browser: an image whose bytes end in a word makes the worker do it. PNG and JPEG ignore
// what follows their end.

// (module (func (export "trap") unreachable))
const TRAP = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 7, 8, 1, 4, 116, 114, 97, 112, 0, 0, 10, 5, 1, 3, 0, 0, 11]);
const { exports } = new WebAssembly.Instance(new WebAssembly.Module(TRAP));

const FAULTS = {
  hang: () => {
    for (;;);
  },
  exit: (_, end) => end(),
  trap: (task) => Object.defineProperty(task, 'kind', { get: exports.trap }),
};

/** @param {any} message to the worker @param {() => void} end ends the worker at once */
export function perhapsFail({ task }, end) {
  const { bytes } = task?.image ?? {};
  if (bytes) FAULTS[new TextDecoder().decode(bytes.subarray(-4))]?.(task, end);
}
