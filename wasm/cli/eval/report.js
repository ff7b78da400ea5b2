// @ts-check
/** Figures of scored sets: the parts of the document nac.eval/1. */

/** @typedef {import('../../js/engine/statistics.js').Metrics} Metrics */
/** @typedef {{ name: string, group: string | null, path: string, images: number, methods: Record<string, Metrics> }} SetReport */

/**
 * The mean over each group's sets, as OpenOOD's tables have it.
 * @param {SetReport[]} sets
 * @returns {Record<string, { sets: string[], methods: Record<string, Metrics> }>}
 */
export function meansOf(sets) {
  const groups = [...new Set(sets.flatMap(({ group }) => group ?? []))];
  return Object.fromEntries(groups.map((group) => {
    const members = sets.filter((set) => set.group === group);
    const methods = Object.keys(members[0].methods).map((method) => {
      const keys = /** @type {(keyof Metrics)[]} */ (['auroc', 'fpr95', 'fpr95IdPositive', 'auprIn', 'auprOut']);
      const mean = (/** @type {keyof Metrics} */ key) => members.reduce((sum, set) => sum + set.methods[method][key], 0) / members.length;
      return [method, Object.fromEntries(keys.map((key) => [key, mean(key)]))];
    });
    return [group, { sets: members.map(({ name }) => name), methods: Object.fromEntries(methods) }];
  }));
}

const Z = 1.959964; // 0.975-quantile of the normal distribution

/**
 * The share of flagged images and its 95 % interval, Wilson's (1927), which is right for small shares too.
 * @param {number | null} share
 * @param {number} images
 */
export function flaggedOf(share, images) {
  if (share === null) return { flagged: null };
  const [centre, scale] = [share + (Z * Z) / (2 * images), 1 + (Z * Z) / images];
  const half = Z * Math.sqrt((share * (1 - share)) / images + (Z * Z) / (4 * images * images));
  return { flagged: share, flaggedCi: [Math.max(0, (centre - half) / scale), Math.min(1, (centre + half) / scale)] };
}
