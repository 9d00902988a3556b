import { sql } from 'kysely'
import type { LiveEvent } from '../../live/live-event.ts'
import { unpack } from '../../live/packed.ts'
import type { Database } from '../connection/database.ts'
import { MAX_ROW_EVENTS } from './notes.ts'
import { SETTLE_MS } from './recording.ts'

/** Which events already have numbers, and whether all processes record events. */
export interface EventHead {
  /** The last number that was given to an event or skipped. 0 before the first reader. */
  readonly last: number
  /** No event after this one is missing, unless it was deleted. */
  readonly start: number
  /**
   * Whether every process records events. False shortly after the first reader has begun, because some processes may not know of it yet.
   */
  readonly isComplete: boolean
  readonly isListened: boolean
  /** Whether `listened_until` is so near that a reader must move it forward. */
  readonly isEnding: boolean
  /** Whether there is a row without a number. */
  readonly hasNew: boolean
}

/** A page of events, in order. */
export interface EventPage {
  readonly events: readonly LiveEvent[]
  /** The id after which the next page begins. */
  readonly next: number
  /** Whether events directly after the requested id are missing: they were deleted, or not recorded because there was no reader. */
  readonly isExceeded: boolean
}

/** The maximum number of rows that get their numbers in one transaction. */
const NUMBERED = 1_000
/** The maximum number of rows that one read returns. */
const PAGE = 500
/** The maximum number of events in the rows of one read. The last row may exceed this limit. */
const PAGE_EVENTS = 4_000
/** The maximum number of rows that one transaction deletes. */
const DELETED = 500
const HEAD = 1

/**
 * The events of the fleet. Each transaction that changes the state adds its changes as a row, or as several if there are many. Readers
 * can't use the ids of rows: if a transaction commits late, its id becomes visible when readers have already passed it. So readers first
 * give numbers to the rows that they see, one reader at a time, while the head's row is locked. The numbers become visible in order and
 * have no gaps.
 *
 * After some time without readers, no rows are written.
 */
export class EventStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async head(): Promise<EventHead> {
    const { db, dialect } = this.#database
    const fresh = db.selectFrom('piko_event').select('id').where('seq', 'is', null).limit(1)
    const askedAt = performance.now()
    const row = await db
      .selectFrom('piko_event_head')
      .select(['seq', 'start_seq'])
      .select([
        fresh.as('fresh'),
        sql<number>`CASE WHEN complete_at <= ${dialect.now()} THEN 1 ELSE 0 END`.as('is_complete'),
        sql<number>`CASE WHEN listened_until >= ${dialect.now()} THEN 1 ELSE 0 END`.as('is_listened'),
        sql<number>`CASE WHEN listened_until >= ${dialect.nowPlus(ENDING_MS)} THEN 0 ELSE 1 END`.as('is_ending'),
      ])
      .where('id', '=', HEAD)
      .executeTakeFirst()
    const isListened = Number(row?.is_listened) === 1
    this.#database.recording.heard(isListened, askedAt)
    return {
      last: Number(row?.seq ?? 0),
      start: Number(row?.start_seq ?? 0),
      isComplete: isListened && Number(row?.is_complete) === 1,
      isListened,
      isEnding: Number(row?.is_ending ?? 1) === 1,
      hasNew: row?.fresh !== null && row?.fresh !== undefined,
    }
  }

  /** Makes all processes record events for at least this time, in milliseconds. */
  async listen(forMs: number): Promise<void> {
    const { dialect } = this.#database
    this.#database.recording.heard(true)
    await this.#database.transaction(async (trx) => {
      await dialect.insertIgnore(trx.insertInto('piko_event_head').values({ id: HEAD })).execute()
      const isOver = sql`(listened_until IS NULL OR listened_until < ${dialect.now()})`
      await trx
        .updateTable('piko_event_head')
        // MySQL assigns columns from left to right, so the column that the conditions read comes last.
        .set({
          // One number is skipped, so that an id from before the pause is smaller than the start.
          start_seq: sql<number>`CASE WHEN ${isOver} THEN seq + 1 ELSE start_seq END`,
          seq: sql<number>`CASE WHEN ${isOver} THEN seq + 1 ELSE seq END`,
          complete_at: sql<Date>`CASE WHEN ${isOver} THEN ${dialect.nowPlus(SETTLE_MS)} ELSE complete_at END`,
          listened_until: dialect.nowPlus(forMs + ENDING_MS),
        })
        .where('id', '=', HEAD)
        .execute()
    })
  }

  /**
   * Gives numbers to rows without one, in the order of their ids. Has no effect if another process is doing this.
   *
   * @returns whether there may be more
   */
  async number(): Promise<boolean> {
    const { dialect } = this.#database
    return this.#database.transaction(async (trx) => {
      const head = await trx
        .selectFrom('piko_event_head')
        .select('seq')
        .where('id', '=', HEAD)
        .modifyEnd(dialect.forUpdateSkipLocked)
        .executeTakeFirst()
      if (!head) return false
      const rows = await trx
        .selectFrom('piko_event')
        .select(['id', 'size'])
        .where('seq', 'is', null)
        .orderBy('id')
        .limit(NUMBERED)
        .execute()
      if (rows.length === 0) return false
      let last = Number(head.seq)
      const cases = rows.map(({ id, size }) => {
        const arm = sql`WHEN ${sql.lit(id)} THEN ${sql.lit(last + 1)}`
        last += size
        return arm
      })
      const ids = rows.map(({ id }) => id)
      await trx
        .updateTable('piko_event')
        .set({ seq: sql<number>`CASE id ${sql.join(cases, sql` `)} END` })
        .where(dialect.isAmong(ids))
        .execute()
      await trx.updateTable('piko_event_head').set({ seq: last }).where('id', '=', HEAD).execute()
      return rows.length === NUMBERED
    })
  }

  /** Returns the events after an id, at most a few thousand. If there are none, `next` equals `after`. */
  async after(after: number): Promise<EventPage> {
    // The head is read first. If a row gets its number in between, it is an additional row and not a gap.
    const head = await this.head()
    const { db, dialect } = this.#database
    if (after < head.start) return { events: [], next: after, isExceeded: true }
    const rows = await db
      .selectFrom('piko_event')
      .select(['seq', 'size', 'body', 'created_at'])
      .where('seq', '>', after - MAX_ROW_EVENTS)
      .where('seq', '<=', after + PAGE_EVENTS)
      .where(sql<boolean>`seq + size > ${after + 1}`)
      .orderBy('seq')
      .limit(PAGE)
      .execute()
    const events: LiveEvent[] = []
    let next = after
    for (const row of rows) {
      const first = Number(row.seq)
      // The rows in between were deleted, before or after the head was read.
      if (first > next + 1) return { events, next, isExceeded: events.length === 0 }
      const at = dialect.date(row.created_at).toISOString()
      for (const event of unpack(row.body, first, at)) if (event.id > next) events.push(event)
      next = first + row.size - 1
    }
    return { events, next, isExceeded: rows.length === 0 && head.last > after }
  }

  /**
   * Deletes events that are older than `keepMs`, and the oldest ones beyond `keep` events, in one short statement. Events get numbers
   * before they are deleted, so that a reader sees that some are missing.
   *
   * @returns whether there may be more
   */
  async prune(keepMs: number, keep: number): Promise<boolean> {
    const { db, dialect } = this.#database
    const { hasNew, last } = await this.head()
    if (hasNew && (await this.number())) return true
    const rows = await db
      .selectFrom('piko_event')
      .select(['id', 'seq', 'size'])
      .select(sql<number>`CASE WHEN created_at < ${dialect.nowPlus(-keepMs)} THEN 1 ELSE 0 END`.as('is_old'))
      .where('seq', 'is not', null)
      .orderBy('seq')
      .limit(DELETED)
      .execute()
    // Only an unbroken sequence from the oldest event is deleted, so that the others have no gap.
    const end = rows.findIndex((row) => Number(row.is_old) === 0 && Number(row.seq) + row.size > last - keep)
    const ids = (end === -1 ? rows : rows.slice(0, end)).map(({ id }) => id)
    if (ids.length === 0) return false
    await this.#database.retry(() => db.deleteFrom('piko_event').where('id', 'in', ids).execute())
    return ids.length === DELETED
  }
}

/** If less than this time is left, in milliseconds, a reader moves `listened_until` forward. */
const ENDING_MS = 60_000
