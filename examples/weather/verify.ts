import type { Piko } from 'piko'
import type { WeatherFile } from './source.ts'

/** One figure from the table and from the file. */
export interface Comparison {
  readonly what: string
  readonly table: string
  readonly file: string
}

export interface Verification {
  readonly rows: number
  readonly comparisons: readonly Comparison[]
  /** Differences in sentences; empty when the table equals the file. */
  readonly mismatches: readonly string[]
}

const SUMMED = ['precipitation', 'temp_max', 'temp_min', 'wind'] as const

/** Compares the table with the station's file, column by column and day by day. */
export async function verify(app: Piko, file: WeatherFile): Promise<Verification> {
  const { sql } = app
  const [totals = {}] = await sql.query(
    `SELECT COUNT(*) AS n, ${SUMMED.map((column) => `SUM(${column}) AS ${column}`).join(', ')} FROM weather_day`,
  )
  const days = await sql.query<{ day: string; n: number }>(
    'SELECT CAST(day AS CHAR(10)) AS day, COUNT(*) AS n FROM weather_day GROUP BY day',
  )
  const rows = Number(totals['n'])
  const sums = fileSums(file)
  const comparisons = [
    { what: 'rows', table: String(rows), file: String(file.lines.size) },
    // Compares tenths, the precision of the file, because sums of binary fractions have errors in the last digits.
    ...SUMMED.map((what) => ({ what: `sum of ${what}`, table: Number(totals[what]).toFixed(1), file: sums[what] })),
  ]
  const known = new Set(days.map(({ day }) => day))
  const missing = [...file.lines.keys()].filter((day) => !known.has(day))
  const unexpected = [...known].filter((day) => !file.lines.has(day))
  const repeated = days.filter(({ n }) => Number(n) > 1).map(({ day }) => day)
  const mismatches = [
    ...comparisons
      .filter(({ table, file: expected }) => table !== expected)
      .map(({ what, table, file: expected }) => `${what}: the table has ${table}, the file ${expected}`),
    ...listed('missing in the table', missing),
    ...listed('in the table but not in the file', unexpected),
    ...listed('more than once in the table', repeated),
  ]
  return { rows, comparisons, mismatches }
}

/** Does not use parse.ts, whose errors would otherwise be on both sides of the comparison. */
function fileSums({ header, lines }: WeatherFile): Record<(typeof SUMMED)[number], string> {
  const columns = header.split(',')
  const sum = (column: string): string => {
    const at = columns.indexOf(column)
    const tenths = [...lines.values()].reduce((total, line) => total + Math.round(Number(line.split(',')[at]) * 10), 0)
    return (tenths / 10).toFixed(1)
  }
  return {
    precipitation: sum('precipitation'),
    temp_max: sum('temp_max'),
    temp_min: sum('temp_min'),
    wind: sum('wind'),
  }
}

function listed(what: string, days: readonly string[]): string[] {
  if (days.length === 0) return []
  const more = days.length > 5 ? ` and ${days.length - 5} more` : ''
  return [`${days.length} ${days.length === 1 ? 'day is' : 'days are'} ${what}: ${days.slice(0, 5).join(', ')}${more}`]
}
