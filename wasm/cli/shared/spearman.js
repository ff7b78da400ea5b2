// @ts-check
/** Spearman's rank correlation: whether one figure puts things in the order of another. */

/**
 * Pearson's correlation of the ranks; equal values share the mean of theirs.
 * @param {number[]} a
 * @param {number[]} b of the same length
 * @returns {number | null} -1..1; null where one side has no order: fewer than two values, or all the same
 */
export function spearman(a, b) {
  const [x, y] = [ranks(a), ranks(b)];
  const middle = (a.length - 1) / 2;
  const sum = (/** @type {number[]} */ u, /** @type {number[]} */ v) => u.reduce((total, rank, i) => total + (rank - middle) * (v[i] - middle), 0);
  const spread = Math.sqrt(sum(x, x) * sum(y, y));
  return spread > 0 ? sum(x, y) / spread : null;
}

/** From 0.
 * @param {number[]} values
 */
function ranks(values) {
  return values.map((value) => {
    const below = values.filter((other) => other < value).length;
    const equal = values.filter((other) => other === value).length;
    return below + (equal - 1) / 2;
  });
}
