import type { Transaction } from 'kysely'
import { isPikoError, type PikoError } from '../../errors.ts'
import type { Database } from '../connection/database.ts'
import { exactId } from '../values/exact-key.ts'
import { idBatches, type IdRange, idRanges, runsIn } from './id-ranges.ts'
import { errorContains } from './run-filter.ts'
import { type InstantInput, instantOf } from '../../time/instant.ts'
import { recordLastAttempts } from '../history/attempt-store.ts'
import { giveUpItems } from '../items/item-runs.ts'
import type { BatchRow } from '../batches/batch-row.ts'
import { reopenBatches } from '../batches/reopen-batches.ts'
import { lockBackfillsOf, reopenBackfills } from '../backfills/reopen-backfills.ts'
import { noteRows } from '../events/notes.ts'
import { eachApart, throwRefusal } from '../statements/each-apart.ts'
import { countFrom, forgetFrom, forgetWaiting } from '../steps/forget-steps.ts'
import type { Tables } from '../tables.ts'

/** Which ended runs to queue again. */
export interface ReplayFilter {
  readonly ids?: readonly number[]
  readonly jobId?: string
  /** The state of the runs to queue again. Default: both states for `ids`, otherwise `failed`. */
  readonly state?: 'failed' | 'cancelled'
  /** Only runs that ended at this time or later. */
  readonly since?: InstantInput
  /** Only runs that ended before this time. */
  readonly until?: InstantInput
  /** Only runs whose error contains this text. */
  readonly error?: string
}

export interface ReplayResult {
  /** How many runs are queued again. */
  readonly count: number
  /** With `from`, the number of deleted steps. */
  readonly forgotten?: number
  /** The number of runs that stay unchanged because a later run has taken over their window. */
  readonly superseded: number
}

/** What a replay reports while it continues with the other runs. */
export interface ReplayListeners {
  readonly onRefused?: typeof throwRefusal
  /** Receives each batch that had ended and is running again. */
  readonly onReopened?: (batch: BatchRow) => void
  /** Receives an error `BATCH_CANCELLED` for runs whose batch is being cancelled. They stay unchanged. */
  readonly onCancelling?: (error: PikoError) => void
}

const noReopened = (): void => {}
const throwError = (error: PikoError): never => {
  throw error
}

interface Requeued extends ReplayResult {
  /** The batches that had ended and are running again. */
  readonly reopened: readonly BatchRow[]
}

/** The maximum number of runs that one transaction changes. */
const BATCH = 200

/**
 * Queues ended runs again. Failed and cancelled runs stay in the table, so this table also serves as the dead-letter queue. A replayed run
 * keeps its finished steps, and its attempts are counted from 1 again. Its fences keep increasing, so a late write of an earlier attempt is
 * still refused.
 *
 * Locks are acquired in this order: runs by id, backfills by id, windows, batches by id.
 */
export class ReplayStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /**
   * Queues the matching runs again, in small transactions and by primary key. After an interruption, another call continues the work.
   *
   * @param listeners by default, a refused run is thrown as an error
   */
  async replay(filter: ReplayFilter, from?: string, listeners: ReplayListeners = {}): Promise<ReplayResult> {
    const { onRefused = throwRefusal, onReopened = noReopened, onCancelling = throwError } = listeners
    let count = 0
    let superseded = 0
    let forgotten = 0
    const requeue = async (ids: readonly number[]): Promise<Requeued> => {
      try {
        return await this.#database.transaction((trx) => this.#requeue(trx, ids, statesOf(filter), { from }))
      } catch (thrown) {
        if (!isPikoError(thrown, 'BATCH_CANCELLED')) throw thrown
        onCancelling(thrown)
        const stay = new Set(thrown.details['runIds'] as readonly number[])
        return requeue(ids.filter((id) => !stay.has(id)))
      }
    }
    for await (const ids of this.#batches(filter)) {
      const batch = await eachApart(ids, requeue)
      for (const part of batch.done) {
        count += part.count
        superseded += part.superseded
        forgotten += part.forgotten ?? 0
        part.reopened.forEach(onReopened)
      }
      batch.refused.forEach(onRefused)
    }
    return { count, superseded, ...(from !== undefined && { forgotten }) }
  }

  /** Returns the result that `replay` would have now. Changes nothing. */
  async preview(filter: ReplayFilter, from?: string): Promise<ReplayResult> {
    let count = 0
    let superseded = 0
    let forgotten = 0
    for await (const range of idRanges(this.#database, filter.ids)) {
      const row = await this.#matching(filter, range)
        .select((eb) => eb.fn.countAll<number>().as('count'))
        .executeTakeFirstOrThrow()
      const stale = await this.#superseded(filter, range)
        .select((eb) => eb.fn.countAll<number>().as('count'))
        .executeTakeFirstOrThrow()
      count += Number(row.count) - Number(stale.count)
      superseded += Number(stale.count)
      if (from !== undefined) forgotten += await this.#stepsFrom(filter, range, from)
    }
    return { count, superseded, ...(from !== undefined && { forgotten }) }
  }

  /** Selects the runs whose windows were taken over by later runs. */
  #superseded(filter: ReplayFilter, range: IdRange) {
    return this.#matching(filter, range)
      .where('window_start', 'is not', null)
      .where((eb) =>
        eb.not(
          eb.exists(
            eb.selectFrom('piko_window').select('piko_window.id').whereRef('piko_window.run_id', '=', 'piko_run.id'),
          ),
        ),
      )
  }

  async #stepsFrom(filter: ReplayFilter, range: IdRange, name: string): Promise<number> {
    const superseded = this.#superseded(filter, range).select('piko_run.id')
    const row = await countFrom(this.#database.db, name)
      .where('step.run_id', 'in', this.#matching(filter, range).select('piko_run.id'))
      .where('step.run_id', 'not in', superseded)
      .executeTakeFirstOrThrow()
    return Number(row.count)
  }

  async *#batches(filter: ReplayFilter): AsyncGenerator<number[]> {
    for await (const range of idRanges(this.#database, filter.ids)) {
      yield* idBatches(BATCH, range.after, (after, size) =>
        this.#matching(filter, { ...range, after })
          .select('piko_run.id')
          .orderBy('piko_run.id')
          .limit(size)
          .execute(),
      )
    }
  }

  #matching(filter: ReplayFilter, range: IdRange) {
    const { jobId, since, until, error } = filter
    let query = runsIn(this.#database, range).where('state', 'in', statesOf(filter))
    if (jobId !== undefined) query = query.where('job_id', '=', exactId(jobId))
    if (since) query = query.where('finished_at', '>=', this.#database.dialect.instant(instantOf('since', since)))
    if (until) query = query.where('finished_at', '<', this.#database.dialect.instant(instantOf('until', until)))
    if (error !== undefined) query = query.where(errorContains(error))
    return query
  }

  /**
   * Queues a failed or cancelled run again, in the given transaction. The run continues with its existing items.
   *
   * @returns whether it was queued
   */
  async requeueIn(trx: Transaction<Tables>, runId: number): Promise<boolean> {
    return (await this.#requeue(trx, [runId], ['failed', 'cancelled'], { keepsItems: true })).count === 1
  }

  async #requeue(
    trx: Transaction<Tables>,
    ids: readonly number[],
    states: readonly ('failed' | 'cancelled')[],
    { from, keepsItems = false }: { readonly from?: string | undefined; readonly keepsItems?: boolean },
  ): Promise<Requeued> {
    const { dialect } = this.#database
    if (ids.length === 0) return { count: 0, superseded: 0, reopened: [] }
    // Uses only the primary key, because an index on the state would also lock other rows, in a different order.
    const found = await trx
      .selectFrom('piko_run')
      .select(['id', 'state', 'window_start'])
      .where('id', 'in', ids)
      .orderBy('id')
      .modifyEnd(dialect.forUpdate)
      .execute()
    const rows = found.flatMap(({ state: was, ...row }) => {
      const state = states.find((one) => one === was)
      return state ? [{ ...row, state }] : []
    })
    const windowed = rows.filter((row) => row.window_start !== null).map((row) => row.id)
    const owned = await this.#ownedWindows(trx, windowed)
    const runs = rows.filter((row) => row.window_start === null || owned.has(row.id))
    const replayed = runs.map((row) => row.id)
    if (replayed.length === 0) return { count: 0, superseded: rows.length, reopened: [] }
    await recordLastAttempts(trx, dialect, replayed)
    await trx
      .updateTable('piko_run')
      .set({
        state: 'queued',
        run_at: dialect.now(),
        attempt: 0,
        node_id: null,
        error: null,
        output: null,
        started_at: null,
        finished_at: null,
        cancel_requested_at: null,
      })
      .where('id', 'in', replayed)
      .execute()
    noteRows(trx, 'runs', replayed)
    if (owned.size > 0) noteRows(trx, 'windowsOf', owned.keys())
    const forgotten = from === undefined ? 0 : await forgetFrom(trx, replayed, from)
    await forgetWaiting(trx, replayed)
    if (!keepsItems) await giveUpItems(trx, dialect, replayed)
    await trx.deleteFrom('piko_run_progress').where('run_id', 'in', replayed).execute()
    if (owned.size > 0) {
      await trx
        .updateTable('piko_window')
        .set({ state: 'pending', updated_at: dialect.now() })
        .where(
          'id',
          'in',
          [...owned.values()].map(({ id }) => id),
        )
        .execute()
      await reopenBackfills(trx, dialect, new Set([...owned.values()].flatMap(({ backfill_id: id }) => id ?? [])))
    }
    const reopened = await reopenBatches(trx, this.#database, runs)
    return { count: replayed.length, superseded: rows.length - replayed.length, forgotten, reopened }
  }

  /** Returns, by run, the window that each run still owns. */
  async #ownedWindows(
    trx: Transaction<Tables>,
    runIds: readonly number[],
  ): Promise<Map<number, { id: number; backfill_id: number | null }>> {
    if (runIds.length === 0) return new Map()
    await lockBackfillsOf(trx, this.#database.dialect, runIds)
    const rows = await trx
      .selectFrom('piko_window')
      .select(['id', 'run_id', 'backfill_id'])
      .where('run_id', 'in', runIds)
      .orderBy('id')
      .modifyEnd(this.#database.dialect.forUpdate)
      .execute()
    return new Map(rows.flatMap((row) => (row.run_id === null ? [] : [[row.run_id, row] as const])))
  }
}

function statesOf({ ids, state }: ReplayFilter): readonly ('failed' | 'cancelled')[] {
  if (state) return [state]
  return ids ? ['failed', 'cancelled'] : ['failed']
}
