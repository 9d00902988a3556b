import type { Insertable, Transaction } from 'kysely'
import type { RateLimit } from '../../run/limits.ts'
import type { RatePlace } from '../../run/run.ts'
import { batchesOf, sentBytes } from '../../sql/statement-size.ts'
import { LAST_INSTANT_MS } from '../../time/instant.ts'
import type { Dialect } from '../connection/dialect.ts'
import {
  aheadMs,
  answerMs,
  areOfFuture,
  countedAt,
  seenMs,
  slackMs,
  startsSince,
  storedStarts,
  type Starts,
  untilFree,
  validMs,
  withoutStart,
  withStarts,
} from './rate-starts.ts'
import { halved } from '../statements/halved.ts'
import type { RateTable, Tables } from '../tables.ts'

/** A rate of a job, or of its runs that share a key. */
export interface RateName {
  readonly jobId: string
  /** The key of the runs; empty if the rate applies to the whole job. */
  readonly key: string
}

/** A rate whose row the database refuses, and why. */
export interface RefusedRate extends RateName {
  readonly refusal: unknown
}

/** How long runs of a refused rate wait. The time is long, because a person must correct the row, a trigger or the key. */
export const REFUSED_RATE_MS = 10_000

const MAX_ROWS = 1_000
/** The size of a row's job id and instant, in bytes. */
const ROW_BYTES = 250

interface RateWindow extends RateName {
  readonly limit: RateLimit
  starts: Starts
  isChanged: boolean
  /** Places that have the same slack and are free at the same time share one entry. */
  taken: { readonly place: RatePlace; readonly slack: number; readonly freeInMs: number; count: number } | undefined
}

/** Reads some rates, and changes them while the rows of their jobs are locked. */
export class RateWindows {
  readonly #windows = new Map<string, RateWindow>()
  #nowMs = 0
  /** The node's monotonic clock in milliseconds, just before the query for the database's time. */
  #askedAt = 0
  /** The node's monotonic clock in milliseconds, just after the answer to that query. */
  #answeredAt = 0

  /** Reads the stored starts of rates, and the clock of the database. @param monotonic the clock of the node */
  static async read(
    trx: Transaction<Tables>,
    dialect: Dialect,
    wanted: readonly (RateName & { readonly limit: RateLimit })[],
    monotonic: () => number,
  ): Promise<RateWindows> {
    const windows = new RateWindows()
    for (const { jobId, key, limit } of wanted)
      windows.#windows.set(nameOf(jobId, key), { jobId, key, limit, starts: [], isChanged: false, taken: undefined })
    if (windows.#windows.size === 0) return windows
    const all = [...windows.#windows.values()]
    windows.#askedAt = monotonic()
    const { now } = await trx.selectNoFrom(dialect.now().as('now')).executeTakeFirstOrThrow()
    windows.#answeredAt = monotonic()
    windows.#nowMs = dialect.date(now).getTime()
    const rows = await trx
      .selectFrom('piko_rate')
      .select(['job_id', 'rate_key', 'starts'])
      .where('job_id', 'in', [...new Set(all.map((one) => one.jobId))])
      .where('rate_key', 'in', [...new Set(all.map((one) => one.key))])
      .execute()
    for (const row of rows) {
      const window = windows.#windows.get(nameOf(row.job_id, row.rate_key))
      if (!window) continue
      const starts = storedStarts(row.starts)
      window.starts = startsSince(starts, windows.#nowMs, window.limit)
      // Moved places are stored even if no place is taken. Otherwise each claim would move them again until the clock has caught up.
      window.isChanged = areOfFuture(starts, windows.#nowMs, window.limit)
    }
    return windows
  }

  /** Returns the milliseconds until a place may be taken, possibly shortly before it is free; 0: now. */
  untilTaken(name: RateName): number {
    const window = this.#windowOf(name)
    const freeInMs = this.#freeInMs(window)
    const ahead = aheadMs(window.limit)
    return freeInMs <= ahead ? 0 : freeInMs - ahead
  }

  #freeInMs({ starts, taken, limit }: RateWindow): number {
    return untilFree(starts, taken?.count ?? 0, this.#nowMs, limit)
  }

  /** Takes a place in a rate for a run. @param lateTries see `slackMs` */
  take(name: RateName, lateTries = 0): RatePlace {
    const window = this.#windowOf(name)
    const slack = slackMs(window.limit, lateTries)
    const freeInMs = this.#freeInMs(window)
    if (window.taken?.slack !== slack || window.taken.freeInMs !== freeInMs) {
      this.#settle(window)
      window.taken = { place: this.#placeOf(window, slack, freeInMs), slack, freeInMs, count: 0 }
    }
    window.taken.count += 1
    return window.taken.place
  }

  /**
   * Creates the place of a run. The database reads its clock at some time between the query and the answer. To be safe, the place opens as
   * if the clock had been read at the answer, and closes as if it had been read at the query.
   */
  #placeOf({ key, limit }: RateWindow, slack: number, freeInMs: number): RatePlace {
    const usedInMs = Math.max(freeInMs, answerMs(limit))
    const earliest = this.#askedAt + usedInMs
    return {
      key,
      at: countedAt(this.#nowMs + usedInMs, limit, slack),
      opensAt: this.#answeredAt + freeInMs,
      closesAt: earliest + validMs(slack),
      overAt: earliest + seenMs(slack),
    }
  }

  /** Counts a place as used now instead of earlier, because its handler was interrupted in its first synchronous part. */
  postpone(name: RateName, { at }: RatePlace): void {
    const window = this.#windowOf(name)
    this.#settle(window)
    const { limit } = window
    const slack = slackMs(limit)
    const others = withoutStart(window.starts, at)
    window.starts = withStarts(others, 1, countedAt(this.#nowMs, limit, slack), limit, slack)
    window.isChanged = true
  }

  /** Gives back an unused place. Has no effect if the place has expired, or was moved because a clock was set back. */
  giveBack(name: RateName, { at }: RatePlace): void {
    const window = this.#windowOf(name)
    this.#settle(window)
    const starts = withoutStart(window.starts, at)
    window.isChanged ||= starts !== window.starts
    window.starts = starts
  }

  /** Stores the changed rates. @returns the rates that the database refuses to store; their places are not valid */
  async write(trx: Transaction<Tables>, dialect: Dialect): Promise<RefusedRate[]> {
    const all = [...this.#windows.values()]
    for (const window of all) this.#settle(window)
    const rows = all.filter((window) => window.isChanged).map((window) => this.#rowOf(window, dialect))
    const limits = { maxRows: MAX_ROWS, maxBytes: dialect.sizes.batch }
    const refused: RefusedRate[] = []
    for (const batch of batchesOf(rows, (row) => ROW_BYTES + sentBytes(row.rate_key) + sentBytes(row.starts), limits)) {
      await halved(
        batch,
        (some) => writeRows(trx, dialect, some),
        (row, refusal) => void refused.push({ jobId: row.job_id, key: row.rate_key, refusal }),
      )
    }
    return refused
  }

  #rowOf(window: RateWindow, dialect: Dialect): RateRow {
    const expiresMs = Math.max(this.#nowMs, window.starts.at(-1)?.[0] ?? 0) + 2 * window.limit.perMs
    return {
      job_id: window.jobId,
      rate_key: window.key,
      starts: JSON.stringify(window.starts),
      expires_at: dialect.instant(new Date(Math.min(LAST_INSTANT_MS, expiresMs))),
    }
  }

  #settle(window: RateWindow): void {
    const { taken, limit } = window
    if (!taken) return
    window.starts = withStarts(window.starts, taken.count, taken.place.at, limit, taken.slack)
    window.isChanged = true
    window.taken = undefined
  }

  #windowOf({ jobId, key }: RateName): RateWindow {
    const window = this.#windows.get(nameOf(jobId, key))
    if (!window) throw new Error(`the rate of ${nameOf(jobId, key)} was not read`)
    return window
  }
}

function nameOf(jobId: string, key: string): string {
  return `${jobId}\n${key}`
}

type RateRow = Insertable<RateTable>

async function writeRows(trx: Transaction<Tables>, dialect: Dialect, rows: readonly RateRow[]): Promise<void> {
  const insert = trx.insertInto('piko_rate').values(rows)
  await (
    dialect.name === 'sqlite'
      ? insert.onConflict((oc) =>
          oc.columns(['job_id', 'rate_key']).doUpdateSet((eb) => ({
            starts: eb.ref('excluded.starts'),
            expires_at: eb.ref('excluded.expires_at'),
          })),
        )
      : insert.onDuplicateKeyUpdate((eb) => ({
          starts: eb.fn('VALUES', ['starts']),
          expires_at: eb.fn('VALUES', ['expires_at']),
        }))
  ).execute()
}
