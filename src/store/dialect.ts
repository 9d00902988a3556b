import { type RawBuilder } from 'kysely'

/**
 * What MySQL and SQLite do not share. Everything else of the store is one code path.
 *
 * Instants are `DATETIME(3)` in UTC on MySQL (mysql2 hands out `Date`s) and ISO 8601 text with milliseconds and `Z` on
 * SQLite (sortable, readable); both are reached only through `instant` and `date`.
 */
export interface Dialect {
  readonly name: 'mysql' | 'sqlite'
  /** The database's own clock, milliseconds, as an SQL expression. With a test clock: that clock's reading, bound. */
  now(): RawBuilder<Date>
  /** `now() + ms` (ms may be negative). */
  nowPlus(ms: number): RawBuilder<Date>
  /** A value to bind for an instant. */
  instant(date: Date): Date | string
  /** A stored instant as a `Date`. */
  date(value: Date | string): Date
  /** ` FOR UPDATE SKIP LOCKED` and ` FOR UPDATE` on MySQL; empty on SQLite, where a write transaction is alone anyway. */
  readonly forUpdateSkipLocked: RawBuilder<unknown>
  readonly forUpdate: RawBuilder<unknown>
  /** True for a deadlock, a lock wait timeout or a busy database: the whole transaction may be tried again. */
  isRetryable(error: unknown): boolean
  /** True for a duplicate key. */
  isDuplicate(error: unknown): boolean
}
