// Tables of figures, as text on the terminal and as files: results.json, results.md, and a CSV file a table.
import { mkdirSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** @typedef {{ name: string, columns: string[], rows: (string | number)[][] }} Table */

/** @param {number[]} times @returns {[number, number]} the shortest, and the median */
export function summarise(times) {
  const sorted = [...times].sort((a, b) => a - b);
  return [sorted[0], sorted[sorted.length >> 1]];
}

/** Enough digits to tell two runs apart, no more. */
function show(value) {
  if (typeof value !== 'number') return String(value);
  return Number.isInteger(value) ? String(value) : value.toFixed(Math.abs(value) < 10 ? 2 : 1);
}

/** @param {Table} table */
export function toMarkdown({ columns, rows }) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(columns), line(columns.map((_, i) => (typeof rows[0]?.[i] === 'number' ? '---:' : '---'))), ...rows.map((row) => line(row.map(show)))].join('\n');
}

/** @param {Table} table */
function toCsv({ columns, rows }) {
  const cell = (value) => (String(value).includes(',') ? `"${value}"` : value);
  return `${[columns, ...rows].map((row) => row.map(cell).join(',')).join('\n')}\n`;
}

export function describeMachine() {
  return { cpu: os.cpus()[0].model, cores: os.cpus().length, node: process.version, date: new Date().toISOString().slice(0, 10) };
}

/**
 * @param {string} folder
 * @param {Record<string, string | number>} machine
 * @param {Table[]} tables
 */
export function writeReport(folder, machine, tables) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, 'results.json'), `${JSON.stringify({ schema: 'nac.bench/2', machine, tables }, null, 2)}\n`);
  for (const table of tables) writeFileSync(path.join(folder, `${table.name}.csv`), toCsv(table));
  const facts = Object.entries(machine).map(([key, value]) => `${key}: ${value}`).join(', ');
  writeFileSync(path.join(folder, 'results.md'), `${[facts, ...tables.map((table) => `## ${table.name}\n\n${toMarkdown(table)}`)].join('\n\n')}\n`);
}
