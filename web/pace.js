// @ts-check
/** How far something is that goes image by image, how fast, and how long it will take. */

export class Pace {
  #started = performance.now();
  #paused = 0;
  #pausedAt = 0;

  /** @param {number} total */
  constructor(total) {
    this.total = total;
  }

  /** Time that passes while nothing is done does not count. */
  pause() {
    this.#pausedAt ||= performance.now();
  }

  resume() {
    if (this.#pausedAt) this.#paused += performance.now() - this.#pausedAt;
    this.#pausedAt = 0;
  }

  /** @param {number} done @param {boolean} [ended] before its end */
  words(done, ended = false) {
    const now = this.#pausedAt || performance.now();
    const seconds = Math.max((now - this.#started - this.#paused) / 1000, 0.001);
    const rate = done / seconds;
    const pace = rate >= 10 ? `${rate.toFixed(0)} a second` : `${rate.toFixed(1)} a second`;
    if (ended || done === this.total) return `${done.toLocaleString('en')} images in ${seconds.toFixed(1)} s (${pace})${ended ? ', cancelled' : ''}`;
    const left = done > 0 ? ` · ${timeLeft((this.total - done) / rate)} left` : '';
    return `${done.toLocaleString('en')} of ${this.total.toLocaleString('en')} · ${pace}${left}`;
  }
}

/** @param {number} seconds */
function timeLeft(seconds) {
  if (seconds < 100) return `${Math.ceil(seconds)} s`;
  return seconds < 6000 ? `${Math.ceil(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
