// @ts-check
/** Charts of an evaluation as SVG files: scores.svg, and roc-NAME.svg of every set. */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { safeName, writeOutput } from '../shared/files.js';
import { drawHistograms } from './histograms.js';
import { drawRoc } from './roc.js';

/**
 * @param {string} folder
 * @param {any} document nac.eval/1
 * @param {{ id: Record<string, Float32Array>, sets: Record<string, Record<string, Float32Array>> }} scores
 * @returns {Promise<string[]>} the files
 */
export async function writePlots(folder, document, scores) {
  await mkdir(folder, { recursive: true }).catch(() => {}); // what is wrong, writing says
  /** @type {Map<string, string>} */
  const drawings = new Map();
  if (document.sets.length > 0) drawings.set('scores.svg', drawHistograms(document, scores));
  for (const { name, methods } of document.sets) {
    const stem = `roc-${safeName(name)}`;
    // Two names may differ in what a file's name cannot hold.
    let file = `${stem}.svg`;
    for (let i = 2; drawings.has(file); ++i) file = `${stem}-${i}.svg`;
    drawings.set(file, drawRoc({ name, methods, id: scores.id, ood: scores.sets[name] }));
  }
  const files = [];
  for (const [name, drawing] of drawings) {
    const file = path.join(folder, name);
    await writeOutput(file, [new TextEncoder().encode(drawing)]);
    files.push(file);
  }
  return files;
}
