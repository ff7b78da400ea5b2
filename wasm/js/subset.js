// @ts-check
/** Choosing images: shuffled with a seed, class by class, so that a subset is the same on every machine. */

/**
 * Numbers in [0, 1) from a 32-bit seed (mulberry32).
 * @param {number} seed
 */
export function random(seed) {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Fisher-Yates, on a copy.
 * @template T
 * @param {T[]} items
 * @param {() => number} next
 */
function shuffle(items, next) {
  const result = [...items];
  for (let i = result.length - 1; i > 0; --i) {
    const j = Math.floor(next() * (i + 1));
    [result[i], result[j]] = [result[j], result[i]];
  }
  return result;
}

/**
 * All items in a shuffled order in which every prefix is as balanced between groups as it can be: one of each group in turn.
 * @template {{ group?: string }} T
 * @param {T[]} items
 * @param {number} seed
 * @returns {T[]}
 */
export function balancedOrder(items, seed) {
  /** @type {Map<string, T[]>} */
  const groups = new Map();
  for (const item of items) {
    const group = item.group ?? '';
    const members = groups.get(group);
    if (members) members.push(item);
    else groups.set(group, [item]);
  }
  const next = random(seed);
  const names = [...groups.keys()].sort();
  const shuffled = names.map((name) => shuffle(groups.get(name) ?? [], next));
  const result = [];
  for (let round = 0; result.length < items.length; ++round)
    for (const members of shuffled) if (round < members.length) result.push(members[round]);
  return result;
}

/**
 * Takes a share of the items away, balanced between groups.
 * @template {{ group?: string }} T
 * @param {T[]} items
 * @param {number} fraction 0..1
 * @param {number} seed
 * @returns {{ kept: T[], held: T[] }}
 */
export function holdOut(items, fraction, seed) {
  const order = balancedOrder(items, seed);
  const count = Math.round(order.length * fraction);
  return { held: order.slice(0, count), kept: order.slice(count) };
}
