import type { Line } from './line.ts'

/** The table that people read, in the order of the lines. */
export function table(lines: readonly Line[]): string {
  const rows = lines.map((line) => [
    `${line.bench} ${line.scene}`,
    line.measure,
    `${line.system} ${line.variant}`.trim(),
    number(line.median),
    `${number(line.min)} – ${number(line.max)}`,
    line.unit,
  ])
  const head = ['benchmark', 'measure', 'system', 'median', 'min – max', 'unit']
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)))
  const isNumber = (column: number): boolean => column === 3 || column === 4
  const text = (row: readonly string[]): string =>
    row
      .map((cell, column) => (isNumber(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
      .join('  ')
      .trimEnd()
  return [head, widths.map((width) => '-'.repeat(width)), ...rows].map(text).join('\n')
}

export function number(value: number): string {
  return value.toLocaleString(
    'en',
    Math.abs(value) >= 1_000 ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 4 },
  )
}
