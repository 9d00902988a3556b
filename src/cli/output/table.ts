import { visible } from '../../visible.ts'

export interface Column<Row> {
  readonly title: string
  readonly cell: (row: Row) => string
  /** Adds colours to the padded text. */
  readonly paint?: (text: string, row: Row) => string
}

const GAP = '  '
const WIDEST_CELL = 100
/**
 * The maximum length of a field that has its own line. It is longer than the maximum length of a cell, because the end of an error message
 * says what to do next.
 */
const WIDEST_FIELD = 2_000

/** Formats rows as aligned columns with titles. Escapes control characters, because a terminal would execute them. */
export function table<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const cells = rows.map((row) => columns.map((column) => plain(column.cell(row))))
  const widths = columns.map(({ title }, index) =>
    Math.max(title.length, ...cells.map((line) => line[index]?.length ?? 0)),
  )
  const pad = (text: string, index: number): string =>
    index === columns.length - 1 ? text : text.padEnd(widths[index] ?? 0)
  const lines = rows.map((row, line) =>
    columns.map(({ paint }, index) => {
      const text = pad(cells[line]?.[index] ?? '', index)
      return paint ? paint(text, row) : text
    }),
  )
  return [columns.map(({ title }, index) => pad(title.toUpperCase(), index)), ...lines]
    .map((line) => line.join(GAP).trimEnd())
    .join('\n')
}

/** Formats one row as text, with one line per column. */
export function fieldsText<Row>(columns: readonly Column<Row>[], row: Row): string {
  const width = Math.max(...columns.map(({ title }) => title.length))
  return columns
    .map(({ title, cell, paint }) => {
      const text = plain(cell(row), WIDEST_FIELD)
      return `${title.padEnd(width)}${GAP}${paint ? paint(text, row) : text}`.trimEnd()
    })
    .join('\n')
}

function plain(text: string, widest = WIDEST_CELL): string {
  const line = visible(text.replace(/\s+/g, ' ')).trim()
  return line.length > widest ? `${line.slice(0, widest - 1)}…` : line
}
