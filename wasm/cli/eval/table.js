// @ts-check
/** The document nac.eval/1 for a terminal. */
import { table } from '../shared/terminal.js';
import { METHODS } from './methods.js';

/** @typedef {import('../shared/terminal.js').Column} Column */

/** @type {Column[]} 80 columns of a terminal */
const COLUMNS = [
  { title: 'set', width: 14 },
  { title: 'method', width: 9 },
  { title: 'AUROC', width: 7, align: 'right' },
  { title: '95 % CI', width: 11 },
  { title: 'FPR95', width: 6, align: 'right' },
  { title: 'FPR95id', width: 7, align: 'right' },
  { title: 'AUPRin', width: 6, align: 'right' },
  { title: 'out', width: 6, align: 'right' },
];

const percent = (/** @type {number} */ share, digits = 2) => (100 * share).toFixed(digits);
const range = (/** @type {number[]} */ ci, digits = 2) => ci.map((share) => percent(share, digits)).join('-');

/**
 * @param {any} document
 * @param {import('../shared/terminal.js').Terminal} terminal
 */
export function toText(document, terminal) {
  const { sets, means, overfitting } = document;
  const blocks = sets.map((/** @type {any} */ { name, methods }) => ({ name, methods }));
  for (const [group, { sets: members, methods }] of Object.entries(means)) if (members.length > 1) blocks.push({ name: `mean ${group}`, methods });
  return [
    blocks.length > 0 ? `${drawTable(blocks, terminal)}in percent; * the highest AUROC\n` : '',
    ...summary(document).map((line) => `${line}\n`),
    overfitting ? overfittingText(overfitting, terminal) : '',
  ].join('');
}

/** @param {{ name: string, methods: Record<string, any> }[]} blocks @param {import('../shared/terminal.js').Terminal} terminal */
function drawTable(blocks, terminal) {
  const rows = blocks.flatMap(({ name, methods }) => {
    const top = Math.max(...Object.values(methods).map(({ auroc }) => auroc));
    return Object.entries(methods).map(([method, { auroc, fpr95, fpr95IdPositive, auprIn, auprOut, ci }], i) => {
      const best = auroc === top ? '*' : '';
      const figures = [fpr95, fpr95IdPositive, auprIn, auprOut].map((share) => percent(share));
      return [i === 0 ? name : '', METHODS[method], best + percent(auroc), ci ? range(ci.auroc, 1) : '', ...figures];
    });
  });
  const paint = (/** @type {string} */ cell, /** @type {number} */ row, /** @type {number} */ column) =>
    column === 2 && cell.includes('*') ? terminal.paint('bold', cell) : column === 0 ? terminal.paint('bold', cell) : cell;
  return table(COLUMNS, rows, paint);
}

/** @param {any} document */
function summary({ id, sets, references, features, bootstrap }) {
  /** @type {string[]} */
  const lines = [];
  const accuracy = id.accuracy === undefined ? '' : `, accuracy ${percent(id.accuracy)} %`;
  lines.push(`ID ${id.images} images${accuracy}`);
  if (id.flagged !== null)
    lines.push(`   ${percent(id.flagged)} % of them are flagged (95 % interval ${range(id.flaggedCi)}), ${percent(id.falseAlarm)} % are promised`);
  for (const { name, images, flagged } of sets) lines.push(`${name} ${images} images${flagged === null ? '' : `, ${percent(flagged)} % of them flagged`}`);
  if (references) lines.push(`${references.images} references; features from ${features.layer}; KNN with k = ${references.k}`);
  lines.push(`intervals from ${bootstrap.rounds} resamples`);
  return lines;
}

/** @param {any} overfitting @param {import('../shared/terminal.js').Terminal} terminal */
function overfittingText({ images, methods: { nac, msp }, bound, alarm }, terminal) {
  const lines = [
    `${images} profile images against fresh ones: AUROC ${percent(nac.auroc)} (95 % interval ${range(nac.ci.auroc)})`,
    `   where MSP, which knows no profile, has ${percent(msp.auroc)}`,
  ];
  const alarming = [
    `   ALARM: above ${percent(bound)}. The profile knows its own images by heart:`,
    '   more images, fewer bins or a larger fill would bring this down.',
  ];
  if (alarm) lines.push(...alarming.map((line) => terminal.paint('red', line)));
  else lines.push(`   No alarm: that would be an interval above ${percent(bound)}.`);
  return lines.map((line) => `${line}\n`).join('');
}
