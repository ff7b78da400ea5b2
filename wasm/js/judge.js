// @ts-check
/**
 * AUROCs of sums of layers' scores, by counting instead of sorting, since a search asks for thousands: in-distribution scores are counted
 * in equal steps from the lowest to the highest, and an outlier wins against those in higher steps, and half against those in its
 * own.
 */

/** @typedef {{ scores: Float32Array } | null} Scored of the in-distribution images, then of all outliers; null: left out */

export class Judge {
  static STEPS = 4096;
  #first;
  #last;
  #ends;
  #sum;
  #rest;
  #counts = new Uint32Array(Judge.STEPS);
  #above = new Float64Array(Judge.STEPS);
  #rates;

  /**
   * @param {number[]} sizes in-distribution images, then outliers of every part
   * @param {number} [first] of the in-distribution images that count
   * @param {number} [last] behind them
   */
  constructor(sizes, first = 0, last = sizes[0]) {
    let end = 0;
    this.#first = first;
    this.#last = last;
    this.#ends = sizes.map((size) => (end += size));
    this.#sum = new Float32Array(end);
    this.#rest = new Float32Array(end);
    this.#rates = new Float64Array(sizes.length - 1);
  }

  /**
   * @param {Scored[]} combination
   * @returns {Float64Array} AUROC of every part; valid until the next call
   */
  rate(combination) {
    return this.others(combination, -1)(null);
  }

  /**
   * The layers but one, so that what goes with them is one sum away.
   * @param {Scored[]} combination
   * @param {number} layer
   * @returns {(candidate: Scored) => Float64Array} as rate
   */
  others(combination, layer) {
    const rest = this.#rest.fill(0);
    combination.forEach((candidate, l) => candidate && l !== layer && addTo(rest, candidate.scores));
    return (candidate) => {
      this.#sum.set(rest);
      if (candidate) addTo(this.#sum, candidate.scores);
      return this.#compare();
    };
  }

  #compare() {
    const [sum, counts, above, ends, first, last] = [this.#sum, this.#counts.fill(0), this.#above, this.#ends, this.#first, this.#last];
    let [low, high] = [Infinity, -Infinity];
    for (let n = first; n < last; ++n) {
      if (sum[n] < low) low = sum[n];
      if (sum[n] > high) high = sum[n];
    }
    const scale = (Judge.STEPS - 1) / (high - low || 1);
    for (let n = first; n < last; ++n) ++counts[((sum[n] - low) * scale + 0.5) | 0];
    for (let step = Judge.STEPS - 1, over = 0; step >= 0; --step) {
      above[step] = (over + counts[step] / 2) / (last - first);
      over += counts[step];
    }
    for (let part = 1; part < ends.length; ++part) {
      let wins = 0;
      for (let n = ends[part - 1]; n < ends[part]; ++n) {
        const step = (sum[n] - low) * scale + 0.5;
        wins += step < 0 ? 1 : step >= Judge.STEPS ? 0 : above[step | 0];
      }
      this.#rates[part - 1] = wins / (ends[part] - ends[part - 1]);
    }
    return this.#rates;
  }
}

/** @param {Float32Array} sum @param {Float32Array} scores */
function addTo(sum, scores) {
  for (let n = 0; n < sum.length; ++n) sum[n] += scores[n];
}
