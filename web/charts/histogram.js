// @ts-check
/** Counts of equal bins, for charts. */

/**
 * @param {ArrayLike<number>} values
 * @param {number} from
 * @param {number} to what lies outside counts in the bin at that end
 * @param {number} bins
 * @returns {number[]} per bin, relative to the highest
 */
export function histogram(values, from, to, bins) {
  const counts = new Array(bins).fill(0);
  for (let i = 0; i < values.length; ++i) {
    const bin = Math.floor(((values[i] - from) / (to - from)) * bins);
    ++counts[Math.min(Math.max(bin, 0), bins - 1)];
  }
  const most = Math.max(1, ...counts);
  return counts.map((count) => count / most);
}
