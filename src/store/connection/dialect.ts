import { UnstorableValue } from '../../sql/database-faults.ts'
import { type Expression, type InsertQueryBuilder, type InsertResult, type RawBuilder, sql, type SqlBool } from 'kysely'
import { hasCode } from '../../sql/contention.ts'
import { MAX_DURATION_MS } from '../../time/duration.ts'
import { describeInstant, isInstantMs, storedInstant } from '../../time/instant.ts'
import { type SizeLimits, SQLITE_SIZES } from './packet-size.ts'

/**
 * What MySQL and SQLite do not share. Everything else of the store is one code path.
 *
 * Instants are `DATETIME(3)` in UTC on MySQL (mysql2 hands out `Date`s) and ISO 8601 text with milliseconds and `Z` on
 * SQLite (sortable, readable); both are reached only through `instant` and `date`.
 */
export interface Dialect {
  readonly name: 'mysql' | 'sqlite'
  readonly sizes: SizeLimits
  /** The database's own clock, milliseconds, as an SQL expression. With a test clock: that clock's reading, bound. */
  now(): RawBuilder<Date>
  /** The same as text with the values to bind. */
  nowText(): { readonly text: string; readonly values: readonly unknown[] }
  /** `now() + ms` (ms may be negative). */
  nowPlus(ms: number): RawBuilder<Date>
  /** The later one of two instants. */
  later(one: Expression<unknown>, other: Expression<unknown>): RawBuilder<Date>
  /** A value to bind for an instant. */
  instant(date: Date): Date | string
  /** A stored instant as a `Date`. */
  date(value: Date | string): Date
  /** False for MySQL before 8.0 and MariaDB before 10.6: what is locked is waited for. */
  readonly skipsLocked: boolean
  /** ` FOR UPDATE SKIP LOCKED` and ` FOR UPDATE` on MySQL; empty on SQLite, where a write transaction is alone anyway. */
  readonly forUpdateSkipLocked: RawBuilder<unknown>
  readonly forUpdate: RawBuilder<unknown>
  /** ` LOCK IN SHARE MODE` on MySQL: nobody changes the row before the transaction has ended. Empty on SQLite. */
  readonly forShare: RawBuilder<unknown>
  /**
   * `id IN (…)` for many whole numbers: as text on MySQL, whose driver would look through it for each placeholder; as one JSON parameter
   * on SQLite, where the statement then stays prepared whatever the count. Neighbours are `id BETWEEN … AND …`, which spares the
   * server a third of its work for an update.
   */
  isAmong(ids: readonly number[]): RawBuilder<SqlBool>
  /**
   * ` FORCE INDEX (…)` on MySQL, whose optimizer reads all of a table that it takes for small, and locks what it reads to change it; empty
   * on SQLite.
   */
  forceIndex(name: string): RawBuilder<unknown>
  /** ` NOT INDEXED` on SQLite: rows are read by the primary key, in its order; empty on MySQL. */
  readonly byPrimaryKey: RawBuilder<unknown>
  /** The column `state` where the rows are found by their ids and their state is only checked: SQLite would go through its index instead. */
  readonly checkedState: RawBuilder<string>
  /** Leaves out rows whose key exists already. */
  insertIgnore<DB, Table extends keyof DB>(
    insert: InsertQueryBuilder<DB, Table, InsertResult>,
  ): InsertQueryBuilder<DB, Table, InsertResult>
  /** True for a duplicate key. */
  isDuplicate(error: unknown): boolean
}

/** A clock that stands in for the database's, in tests. */
export interface DatabaseClock {
  /** Milliseconds since the epoch. */
  now(): number
}

const DUPLICATE_ENTRY = 1062
const DUPLICATE_ENTRY_WITH_KEY_NAME = 1586

export function mysqlDialect(skipsLocked: boolean, sizes: SizeLimits, clock?: DatabaseClock): Dialect {
  // A bound Date arrives as a string literal; the cast keeps it a DATETIME inside GREATEST, CASE and arithmetic.
  const reading = (ms: number): RawBuilder<Date> => sql<Date>`CAST(${new Date(ms)} AS DATETIME(3))`
  return {
    name: 'mysql',
    sizes,
    now: () => (clock ? reading(clock.now()) : sql<Date>`UTC_TIMESTAMP(3)`),
    nowText: () =>
      clock
        ? { text: 'CAST(? AS DATETIME(3))', values: [new Date(clock.now())] }
        : { text: 'UTC_TIMESTAMP(3)', values: [] },
    nowPlus: (ms) =>
      clock
        ? reading(clock.now() + wholeSpan(ms))
        : sql<Date>`(UTC_TIMESTAMP(3) + INTERVAL ${wholeSpan(ms) * 1_000} MICROSECOND)`,
    later: (one, other) => sql<Date>`GREATEST(${one}, ${other})`,
    instant: valid,
    date: (value) => (value instanceof Date ? kept(value) : parse(value)),
    skipsLocked,
    forUpdateSkipLocked: skipsLocked ? sql` FOR UPDATE SKIP LOCKED` : sql` FOR UPDATE`,
    forUpdate: sql` FOR UPDATE`,
    forShare: sql` LOCK IN SHARE MODE`,
    isAmong: (ids) => isBetween(ids) ?? sql<SqlBool>`id IN (${sql.raw(whole(ids).join(','))})`,
    byPrimaryKey: sql``,
    forceIndex: (name) => sql` FORCE INDEX (${sql.raw(name)})`,
    checkedState: sql`state`,
    insertIgnore: (insert) => insert.ignore(),
    isDuplicate: (error) =>
      hasCode(error, 'errno', (errno) => errno === DUPLICATE_ENTRY || errno === DUPLICATE_ENTRY_WITH_KEY_NAME),
  }
}

const SQLITE_DUPLICATE = new Set([1555 /* primary key */, 2067 /* unique */, 2579 /* rowid */])
const SQLITE_NOW = '%Y-%m-%dT%H:%M:%fZ'

export function sqliteDialect(clock?: DatabaseClock): Dialect {
  const reading = (ms: number): RawBuilder<Date> => sql<Date>`${new Date(ms).toISOString()}`
  return {
    name: 'sqlite',
    sizes: SQLITE_SIZES,
    now: () => (clock ? reading(clock.now()) : sql<Date>`strftime(${sql.lit(SQLITE_NOW)}, 'now')`),
    nowText: () =>
      clock
        ? { text: '?', values: [new Date(clock.now()).toISOString()] }
        : { text: `strftime('${SQLITE_NOW}', 'now')`, values: [] },
    nowPlus: (ms) =>
      clock
        ? reading(clock.now() + wholeSpan(ms))
        : sql<Date>`strftime(${sql.lit(SQLITE_NOW)}, 'now', ${`${(wholeSpan(ms) / 1_000).toFixed(3)} seconds`})`,
    later: (one, other) => sql<Date>`max(${one}, ${other})`,
    instant: (date) => valid(date).toISOString(),
    date: (value) => (value instanceof Date ? value : parse(value)),
    skipsLocked: true,
    forUpdateSkipLocked: sql``,
    forUpdate: sql``,
    forShare: sql``,
    isAmong: (ids) =>
      isBetween(ids) ?? sql<SqlBool>`id IN (SELECT value FROM json_each(${JSON.stringify(whole(ids))}))`,
    byPrimaryKey: sql` NOT INDEXED`,
    forceIndex: () => sql``,
    checkedState: sql`+state`,
    insertIgnore: (insert) => insert.onConflict((oc) => oc.doNothing()),
    isDuplicate: (error) => hasCode(error, 'errcode', (code) => SQLITE_DUPLICATE.has(code)),
  }
}

/** Only when no other id is between the first and the last. */
function isBetween(ids: readonly number[]): RawBuilder<SqlBool> | undefined {
  const sorted = Float64Array.from(ids).sort()
  const [first, last] = [sorted[0], sorted.at(-1)]
  if (first === undefined || !sorted.every((id, index) => id === first + index)) return undefined
  return sql<SqlBool>`id BETWEEN ${first} AND ${last}`
}

/** They become part of the statement's text. */
function whole(values: readonly number[]): readonly number[] {
  for (const value of values)
    if (!Number.isSafeInteger(value)) throw new UnstorableValue(`${String(value)} is no whole number`)
  // `IN ()` is no SQL; no row has this id.
  return values.length > 0 ? values : [-1]
}

/** SQLite would make NULL of a sum that is out of its range, without an error. */
function wholeSpan(ms: number): number {
  if (Math.abs(ms) <= MAX_DURATION_MS) return Math.round(ms)
  throw new UnstorableValue(
    `a length of time to store is ${ms} ms; expected at most ${MAX_DURATION_MS} ms, which is 500 years`,
  )
}

function valid(date: Date): Date {
  if (Number.isNaN(date.getTime())) throw new UnstorableValue('an instant to store is an invalid Date')
  if (isInstantMs(date.getTime())) return date
  throw new UnstorableValue(`an instant to store is ${date.toISOString()}; expected one from the year 1000 to 9999`)
}

/** Runs that are stored together are due together: the text that was read last is mostly the next one too. */
let last: { readonly text: string; readonly ms: number } | undefined

/** With a lax `sql_mode` a server takes a date of zeros, of which its driver makes an invalid Date. */
function kept(date: Date): Date {
  if (isInstantMs(date.getTime())) return date
  throw new RangeError(`a stored instant is ${describeInstant(date)}; expected one from the year 1000 to 9999`)
}

/** ISO text, or what people type into a row by hand: `2026-01-31 12:00:00` is read as UTC, never as local time. */
function parse(text: string): Date {
  if (last?.text === text) return new Date(last.ms)
  const date = storedInstant(text)
  if (!date) {
    throw new UnstorableValue(
      `a stored instant is ${JSON.stringify(text)}; expected ISO 8601 in UTC, as 2026-01-31T12:00:00.000Z`,
    )
  }
  last = { text, ms: date.getTime() }
  return date
}
