// @ts-check
/** Images that could not be read: each is reported once, the rest goes on, and the exit code is 3 at the end. */

/** @param {import('./terminal.js').Terminal} terminal */
export function makeSkipped(terminal) {
  /** @type {{ file: string, message: string }[]} */
  const errors = [];
  return {
    errors,
    /** @param {string} file @param {Error} error */
    add: (file, error) => {
      const message = error.message.startsWith(`${file}: `) ? error.message.slice(file.length + 2) : error.message;
      errors.push({ file, message });
      terminal.log(`${file}: ${message}`);
    },
  };
}
