import { type Transaction } from 'kysely'
import { ENDED_STATES, type EndedState } from '../job/run.ts'
import { type Database } from './database.ts'
import { type Tables } from './tables.ts'

/** Which ended runs may go. */
export interface RetentionFilter {
  /** Ended before so many milliseconds; 0: at any time. */
  readonly olderThanMs: number
  readonly states: readonly EndedState[]
  readonly jobId?: string | undefined
}

/** Where a walk over the runs has come to. */
export interface RetentionStep {
  readonly count: number
  /** Where the next step begins; undefined: there is nothing older. */
  readonly next: number | undefined
}

/** Runs that one step looks at, by primary key. */
const STEP = 1_000
/** Runs that one transaction deletes. */
const BATCH = 200

/**
 * Deletes ended runs with their attempts, log lines and idempotency keys, in short transactions, by primary key.
 *
 * Found by a walk along the primary key, whose order is that of their making: an index on the time of their end would cost
 * every run of the hot path. The walk ends at the first run that was made after the limit.
 *
 * The ledger stays: a window that is settled does not need its run. And a tick whose row is gone does not fire again: the
 * planner's cursors only go forward, and what somebody sets back by hand is older than any `misfireGraceTime`.
 */
export class RetentionStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Deletes what fits among the runs behind `after`, or only counts it. */
  async step(filter: RetentionFilter, after: number, isDry = false): Promise<RetentionStep> {
    const { db, dialect } = this.#database
    const limit = dialect.nowPlus(-filter.olderThanMs)
    const rows = await db
      .selectFrom('piko_run')
      .select(['id', 'job_id', 'state'])
      .select((eb) => [
        eb('created_at', '<=', limit).as('is_made_before'),
        eb('finished_at', '<=', limit).as('is_ended_before'),
      ])
      .where('id', '>', after)
      .orderBy('id')
      .limit(STEP)
      .execute()
    const ids = rows
      // Not by the statement: the index of jobs is in another order.
      .filter((row) => filter.jobId === undefined || row.job_id === filter.jobId)
      .filter((row) => Number(row.is_ended_before) === 1 && (filter.states as readonly string[]).includes(row.state))
      .map((row) => row.id)
    const count = isDry ? ids.length : await this.#delete(ids)
    const isOver = rows.length < STEP || rows.some((row) => Number(row.is_made_before) !== 1)
    return { count, next: isOver ? undefined : rows.at(-1)?.id }
  }

  /** Deletes ended runs of each job beyond its newest `keep`, some of them. Returns how many; 0: nothing is left to do. */
  async beyond(keep: number, jobIds: readonly string[]): Promise<number> {
    const { db } = this.#database
    let count = 0
    for (const jobId of jobIds) {
      const rows = await db
        .selectFrom('piko_run')
        .select('id')
        .where('job_id', '=', jobId)
        .where('state', 'in', ENDED_STATES)
        .orderBy('id', 'desc')
        .limit(STEP)
        .offset(keep)
        .execute()
      count += await this.#delete(rows.map((row) => row.id))
    }
    return count
  }

  /** Deletes the starts of rates that no longer count. */
  async forgetRates(): Promise<void> {
    const { db, dialect } = this.#database
    const rows = await db
      .selectFrom('piko_rate')
      .select(['job_id', 'rate_key'])
      .where('expires_at', '<', dialect.now())
      .limit(STEP)
      .execute()
    for (const row of rows) {
      await this.#database.retry(() =>
        db
          .deleteFrom('piko_rate')
          .where('job_id', '=', row.job_id)
          .where('rate_key', '=', row.rate_key)
          // Used again meanwhile, it stays.
          .where('expires_at', '<', dialect.now())
          .execute(),
      )
    }
  }

  async #delete(ids: readonly number[]): Promise<number> {
    let count = 0
    for (let from = 0; from < ids.length; from += BATCH) {
      const batch = ids.slice(from, from + BATCH)
      count += await this.#database.transaction((trx) => this.#deleteBatch(trx, batch))
    }
    return count
  }

  async #deleteBatch(trx: Transaction<Tables>, ids: readonly number[]): Promise<number> {
    // Somebody may have put them back into the queue since they were found.
    const ended = await trx
      .selectFrom('piko_run')
      .select('id')
      .where('id', 'in', ids)
      .where('state', 'in', ENDED_STATES)
      .orderBy('id')
      .modifyEnd(this.#database.dialect.forUpdateSkipLocked)
      .execute()
    const gone = ended.map((row) => row.id)
    if (gone.length === 0) return 0
    await trx.deleteFrom('piko_attempt').where('run_id', 'in', gone).execute()
    await trx.deleteFrom('piko_run_log').where('run_id', 'in', gone).execute()
    await trx.deleteFrom('piko_idempotency').where('run_id', 'in', gone).execute()
    await trx.deleteFrom('piko_run').where('id', 'in', gone).execute()
    return gone.length
  }
}
