// @ts-check
/** What people see: log lines and a progress bar on standard error, tables and colours for a terminal. */

const COLORS = { red: 31, green: 32, yellow: 33, dim: 2, bold: 1 };

/** @typedef {ReturnType<typeof makeTerminal>} Terminal */

export function makeTerminal() {
  const { stderr, stdout } = process;
  let drawn = false;
  let last = 0;
  let began = 0;

  const erase = () => {
    if (drawn) stderr.write('\r\x1b[K');
    drawn = false;
  };

  return {
    quiet: false,

    /** @param {string} line */
    log(line) {
      erase();
      stderr.write(`${line}\n`);
    },

    /**
     * Draws a bar, on a terminal only, ten times a second at most.
     * @param {string} what
     * @param {number} done
     * @param {number} total
     */
    progress(what, done, total) {
      const now = Date.now();
      if (began === 0 || done <= 1) began = now;
      if (this.quiet || !stderr.isTTY || (now - last < 100 && done < total)) return;
      last = now;
      const width = 24;
      const full = total > 0 ? Math.round((width * Math.min(done, total)) / total) : 0;
      const seconds = (now - began) / 1000;
      const rate = seconds > 0.5 ? `  ${(done / seconds).toFixed(1)}/s` : '';
      stderr.write(`\r\x1b[K${what} [${'#'.repeat(full)}${'.'.repeat(width - full)}] ${done}/${total}${rate}`);
      drawn = true;
    },

    endProgress: erase,

    /**
     * Colour for standard output, where that is a terminal and NO_COLOR is not set.
     * @param {keyof typeof COLORS} color
     * @param {string} text
     */
    paint(color, text) {
      return stdout.isTTY && !process.env.NO_COLOR ? `\x1b[${COLORS[color]}m${text}\x1b[0m` : text;
    },
  };
}

/**
 * @typedef {object} Column
 * @property {string} title
 * @property {number} width
 * @property {'left' | 'right'} [align] left
 * @property {'start' | 'end'} [cut] which end of a long text goes; end. Of a path the end says more
 */

/**
 * @param {string} text
 * @param {Column} column
 */
export function fit(text, { width, align = 'left', cut = 'end' }) {
  const letters = [...text];
  const short =
    letters.length <= width ? text
    : cut === 'end' ? `${letters.slice(0, width - 1).join('')}…`
    : `…${letters.slice(letters.length - width + 1).join('')}`;
  const space = ' '.repeat(width - [...short].length);
  return align === 'right' ? space + short : short + space;
}

/**
 * @param {Column[]} columns
 * @param {string[][]} rows
 * @param {(cell: string, row: number, column: number) => string} [paint] of a cell that has its width already
 */
export function table(columns, rows, paint = (cell) => cell) {
  const line = (/** @type {string[]} */ cells) => cells.join('  ').trimEnd();
  const lines = [line(columns.map((column) => fit(column.title, column)))];
  rows.forEach((row, r) => lines.push(line(columns.map((column, c) => paint(fit(row[c], column), r, c)))));
  return `${lines.join('\n')}\n`;
}
