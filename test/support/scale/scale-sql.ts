import type { Database } from '../../../src/store/connection/database.ts'

/** SQL expressions that both stores understand, for tables that are filled inside the database. */
export class ScaleSql {
  readonly #isMysql: boolean
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
    this.#isMysql = database.dialect.name === 'mysql'
  }

  /** The instant this number of milliseconds after the beginning. */
  at(beginMs: number, ms: string): string {
    const begin = Math.floor(beginMs / 1_000)
    return this.#isMysql
      ? `TIMESTAMPADD(MICROSECOND, (${ms}) * 1000, '${new Date(begin * 1_000).toISOString().slice(0, 19).replace('T', ' ')}')`
      : `strftime('%Y-%m-%dT%H:%M:%fZ', ${begin} + (${ms}) / 1000.0, 'unixepoch')`
  }

  /** The whole part of a quotient. */
  div(one: string, other: number): string {
    return this.#isMysql ? `((${one}) DIV ${other})` : `((${one}) / ${other})`
  }

  /** A text with numbers of a fixed width, which sort as numbers do. */
  named(prefix: string, number: string): string {
    return this.#isMysql ? `CONCAT('${prefix}', LPAD(${number}, 7, '0'))` : `('${prefix}' || printf('%07d', ${number}))`
  }

  /** A number from 0 to 999,983 that looks like chance. */
  chance(number: string): string {
    return `(((${number}) * 7919 + 104729) % 999983)`
  }

  /** One of some texts, by shares of a thousand; the last one otherwise. */
  oneOf(number: string, shares: Readonly<Record<string, number>>, otherwise: string): string {
    let below = 0
    const cases = Object.entries(shares).map(
      ([text, share]) => `WHEN ${number} % 1000 < ${(below += share)} THEN '${text}'`,
    )
    return `CASE ${cases.join(' ')} ELSE '${otherwise}' END`
  }

  /**
   * Adds rows 0 to `count` − 1 to a table, in statements of `PART` rows.
   *
   * @param columns the expression of each column; `i` is the number of the row
   */
  async fill(table: string, count: number, columns: Readonly<Record<string, string>>): Promise<void> {
    const names = Object.keys(columns).join(', ')
    const values = Object.values(columns).join(', ')
    for (let first = 0; first < count; first += PART) {
      const last = Math.min(count, first + PART) - 1
      const numbers = this.#isMysql
        ? `(SELECT ${first} + a.n + 100 * b.n + 10000 * c.n AS i FROM (${HUNDRED}) a, (${HUNDRED}) b, (${TEN}) c HAVING i <= ${last} ORDER BY i) numbers`
        : `(WITH RECURSIVE numbers(i) AS (SELECT ${first} UNION ALL SELECT i + 1 FROM numbers WHERE i < ${last}) SELECT i FROM numbers)`
      await this.#database.sql.exec(`INSERT INTO ${table} (${names}) SELECT ${values} FROM ${numbers}`)
    }
  }

  /** Makes the statistics that the planner of a store uses. */
  async analyze(tables: readonly string[]): Promise<void> {
    if (this.#isMysql) await this.#database.sql.query(`ANALYZE TABLE ${tables.join(', ')}`)
  }
}

const PART = 100_000
const unions = (count: number): string =>
  Array.from({ length: count }, (_none, n) => `SELECT ${n} AS n`).join(' UNION ALL ')
const TEN = unions(10)
const HUNDRED = unions(100)
