import type { Piko } from 'piko'
import { DAY_NAMES, hasRating, type SiteData, ticketsOf } from './data.ts'

/** Compares the tables with what the site was made of. @returns differences in sentences; none if they are equal */
export async function verify(app: Piko, data: SiteData): Promise<readonly string[]> {
  const { movies, capitals } = data
  const rated = movies.filter(hasRating)
  return [
    ...(await differences(
      app,
      'SELECT id, title, director, gross FROM cinema_movie ORDER BY id',
      'movie',
      movies.map(({ id, title, director, gross }) => ({ id, title, director, gross: gross ?? null })),
    )),
    ...(await differences(
      app,
      'SELECT id, imdb, votes FROM cinema_rating ORDER BY id',
      'rating',
      rated.map(({ id, imdb, votes }) => ({ id, imdb, votes })),
    )),
    ...(await differences(
      app,
      'SELECT state, city, lat, lon FROM cinema_capital ORDER BY state',
      'capital',
      capitals.map(({ state, city, lat, lon }) => ({ state, city, lat, lon })),
    )),
    ...(await differences(
      app,
      'SELECT id, movie, seats, price FROM cinema_ticket ORDER BY id',
      'ticket',
      DAY_NAMES.flatMap((day) => ticketsOf(data, day).map((ticket) => ({ ...ticket }))),
    )),
  ]
}

type Row = Readonly<Record<string, unknown>>

async function differences(app: Piko, sql: string, what: string, expected: readonly Row[]): Promise<string[]> {
  const rows = await app.sql.query(sql)
  const wrong = expected.flatMap((row, index) => {
    const found = rows[index]
    const isEqual = found && Object.entries(row).every(([name, value]) => same(found[name], value))
    return isEqual ? [] : [`${what} ${index + 1} is ${JSON.stringify(found)}; the site has ${JSON.stringify(row)}`]
  })
  const counts =
    rows.length === expected.length ? [] : [`${rows.length} rows of ${what}; the site has ${expected.length}`]
  return [...counts, ...wrong.slice(0, 3)]
}

/** Databases return some numbers as text. */
function same(found: unknown, expected: unknown): boolean {
  if (typeof expected === 'number') return Math.abs(Number(found) - expected) < 1e-9
  return (found ?? null) === (expected ?? null)
}
