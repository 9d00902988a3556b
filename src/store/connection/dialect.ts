import { UnstorableValue } from '../../sql/database-faults.ts'
import { type Expression, type InsertQueryBuilder, type InsertResult, type RawBuilder, sql, type SqlBool } from 'kysely'
import { hasCode } from '../../sql/contention.ts'
import { MAX_DURATION_MS } from '../../time/duration.ts'
import { describeInstant, isInstantMs, storedInstant } from '../../time/instant.ts'
import { type SizeLimits, SQLITE_SIZES } from './packet-size.ts'

/**
 * The differences between MySQL and SQLite that many statements share. Code with another difference checks `name`.
 *
 * Instants are `DATETIME(3)` in UTC on MySQL, and mysql2 returns them as `Date`s. On SQLite they are ISO 8601 text with milliseconds and
 * `Z`, so sorting the text sorts by time. All code converts them with `instant` and `date`.
 */
export interface Dialect {
  readonly name: 'mysql' | 'sqlite'
  readonly sizes: SizeLimits
  /**
   * Returns an SQL expression for the time on the database's clock, accurate to a millisecond. With a test clock, the expression is that
   * clock's time as a bound value.
   */
  now(): RawBuilder<Date>
  /** Returns the time on the database's clock as SQL text, with the values to bind. */
  nowText(): { readonly text: string; readonly values: readonly unknown[] }
  /** Returns the SQL expression for `now() + ms`; `ms` may be negative. */
  nowPlus(ms: number): RawBuilder<Date>
  /** Returns an SQL expression for the later of two instants. */
  later(one: Expression<unknown>, other: Expression<unknown>): RawBuilder<Date>
  /** Returns the value to bind for an instant. */
  instant(date: Date): Date | string
  /** Returns a stored instant as a `Date`. */
  date(value: Date | string): Date
  /**
   * Whether statements can skip locked rows. If not, for example in MySQL before 8.0 and MariaDB before 10.6, a statement waits for locked
   * rows.
   */
  readonly skipsLocked: boolean
  /**
   * The clauses ` FOR UPDATE SKIP LOCKED` and ` FOR UPDATE` on MySQL; without `skipsLocked`, both are ` FOR UPDATE`. Empty on SQLite, which
   * runs only one write transaction at a time.
   */
  readonly forUpdateSkipLocked: RawBuilder<unknown>
  readonly forUpdate: RawBuilder<unknown>
  /** The clause ` LOCK IN SHARE MODE` on MySQL, so that no other transaction changes the row before this one ends. Empty on SQLite. */
  readonly forShare: RawBuilder<unknown>
  /**
   * Returns the condition `id IN (…)` for many whole numbers. On MySQL the numbers are part of the text, because the driver would search
   * the text for each placeholder. On SQLite they are one JSON parameter, so the prepared statement is the same for any count.
   *
   * Consecutive ids become `id BETWEEN … AND …`, which saves the server a third of the work of an update.
   */
  isAmong(ids: readonly number[]): RawBuilder<SqlBool>
  /**
   * The clause ` FORCE INDEX (…)` on MySQL; empty on SQLite. Without it, MySQL may scan a table that it considers small, and then locks
   * every row that it reads.
   */
  forceIndex(name: string): RawBuilder<unknown>
  /** The clause ` NOT INDEXED` on SQLite, which makes it read rows by primary key and in the order of that key; empty on MySQL. */
  readonly byPrimaryKey: RawBuilder<unknown>
  /**
   * The column `state`, for queries that find rows by id and only check their state. With the plain column, SQLite would use the index on
   * it.
   */
  readonly checkedState: RawBuilder<string>
  /** Skips rows whose key already exists. */
  insertIgnore<DB, Table extends keyof DB>(
    insert: InsertQueryBuilder<DB, Table, InsertResult>,
  ): InsertQueryBuilder<DB, Table, InsertResult>
  /** Whether the error is a duplicate key. */
  isDuplicate(error: unknown): boolean
}

/** Replaces the database's clock in tests. */
export interface DatabaseClock {
  /** Milliseconds since the epoch. */
  now(): number
}

const DUPLICATE_ENTRY = 1062
const DUPLICATE_ENTRY_WITH_KEY_NAME = 1586

export function mysqlDialect(skipsLocked: boolean, sizes: SizeLimits, clock?: DatabaseClock): Dialect {
  // A bound Date reaches the server as a string literal. With the cast, it stays a DATETIME inside GREATEST, CASE and arithmetic.
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

/** Returns a `BETWEEN` condition if the ids are consecutive, otherwise undefined. */
function isBetween(ids: readonly number[]): RawBuilder<SqlBool> | undefined {
  const sorted = Float64Array.from(ids).sort()
  const [first, last] = [sorted[0], sorted.at(-1)]
  if (first === undefined || !sorted.every((id, index) => id === first + index)) return undefined
  return sql<SqlBool>`id BETWEEN ${first} AND ${last}`
}

/** Accepts only whole numbers, because they become part of the statement's text. */
function whole(values: readonly number[]): readonly number[] {
  for (const value of values)
    if (!Number.isSafeInteger(value)) throw new UnstorableValue(`${String(value)} is not a whole number`)
  // `IN ()` is not valid SQL. No row has the id -1.
  return values.length > 0 ? values : [-1]
}

/**
 * Rounds a number of milliseconds that is added to an instant. Refuses one that is too large, because SQLite would store NULL without an
 * error.
 */
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

/** The last converted instant and its text. Runs that are stored together often have the same due time, which is then parsed only once. */
let last: { readonly text: string; readonly ms: number } | undefined

/** Checks a date. With a lax `sql_mode`, a server accepts a date of zeros; the driver returns it as an invalid Date. */
function kept(date: Date): Date {
  if (isInstantMs(date.getTime())) return date
  throw new RangeError(`a stored instant is ${describeInstant(date)}; expected one from the year 1000 to 9999`)
}

/** Parses ISO text, or text that a person has typed into a row: `2026-01-31 12:00:00` is UTC, never local time. */
function parse(text: string): Date {
  if (last?.text === text) return new Date(last.ms)
  const date = storedInstant(text)
  if (!date) {
    throw new UnstorableValue(
      `a stored instant is ${JSON.stringify(text)}; expected ISO 8601 in UTC, such as 2026-01-31T12:00:00.000Z`,
    )
  }
  last = { text, ms: date.getTime() }
  return date
}
