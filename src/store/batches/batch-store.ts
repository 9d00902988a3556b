import { type Selectable, sql } from 'kysely'
import { isBatchEnd, type BatchCounts, type BatchRun, type BatchState } from '../../run/batch.ts'
import type { RunState } from '../../run/run.ts'
import type { RunError } from '../../run/run-error.ts'
import { fromJson } from '../../json/json.ts'
import type { Database } from '../connection/database.ts'
import type { NewRun } from '../runs/new-run.ts'
import { optionalDate } from '../runs/run-row.ts'
import type { BatchSliceTable, Tables } from '../tables.ts'
import { reusedStatement } from '../statements/reused-statement.ts'
import { inPages } from '../statements/pages.ts'
import { soundRows } from '../values/broken-row.ts'
import { exactId } from '../values/exact-key.ts'
import { type BatchRow, batchOf, lockBatch } from './batch-row.ts'
import { type NewBatch, type OnStored, openBatch, storeItems } from './create-batch.ts'
import { type BatchStep, type DoneRun, settleBatch } from './settle-batch.ts'
import { slicesForCounts, Tally } from './tally.ts'
import { hasRun, runsOfSlice, sliceOf, statesOf } from './slices.ts'
import { noteRows } from '../events/notes.ts'

export interface BatchFilter {
  readonly jobId?: string
  readonly state?: BatchState
  /** Selects only batches with smaller ids, which are older. */
  readonly before?: number
  /** The maximum number of batches, newest first. Default 100. */
  readonly limit?: number
}

/** An ended run of a batch. */
export interface EndedBatchRun extends BatchRun {
  readonly state: 'succeeded' | 'failed' | 'cancelled'
  readonly durationMs: number | undefined
}

/** The maximum number of batches that a leader handles in one turn. */
export const MAX_OPEN = 100
/** The maximum number of runs with their errors that one query reads. */
const PAGE = 200
const ENDED = ['succeeded', 'failed', 'cancelled'] as const
/** The maximum number of batches that one call deletes. */
const DELETED = 50

export interface UnfinishedBatch {
  readonly id: number
  readonly jobId: string
  readonly state: BatchState
  readonly onDone: string | undefined
}

type UnfinishedRow = Readonly<Pick<Selectable<Tables['piko_batch']>, 'id' | 'job_id' | 'state' | 'on_done'>>

/** The leader reads these every second, other nodes less often. */
const unfinishedRows = reusedStatement(['after'], (db, _dialect, { after }) =>
  db
    .selectFrom('piko_batch')
    .select(['id', 'job_id', 'state', 'on_done'])
    .where('state', 'in', ['running', 'cancelling'])
    .where('finished_at', 'is', null)
    .where('id', '>', after)
    .orderBy('id')
    .limit(MAX_OPEN),
)

/**
 * Stores batches: many runs of one job as one object. A batch stores the id ranges of its runs, so runs without a batch cost nothing.
 *
 * Locks are taken in this order: runs, then batches by id, then slices.
 */
export class BatchStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Creates a batch, or returns the one with the same key. See `openBatch`. */
  open(batch: NewBatch): Promise<BatchRow> {
    return openBatch(this.#database, batch)
  }

  /** Stores the runs of a batch in parts. See `storeItems`. */
  storeItems(opened: BatchRow, runs: readonly NewRun[], onStored: OnStored): Promise<BatchRow> {
    return storeItems(this.#database, opened, runs, onStored)
  }

  /** Closes those slices of a batch whose runs have all ended. See `settleBatch`. */
  settle(id: number, doneRun: DoneRun): Promise<BatchStep> {
    return settleBatch(this.#database, id, doneRun)
  }

  /** Finds a batch. @throws BrokenRow if its row can't be read */
  async find(id: number): Promise<BatchRow | undefined> {
    if (!Number.isSafeInteger(id)) return undefined
    const { db, dialect } = this.#database
    const row = await db.selectFrom('piko_batch').selectAll().where('id', '=', id).executeTakeFirst()
    return row && batchOf(row, dialect)
  }

  /** Returns the time on the database's clock. */
  async now(): Promise<Date> {
    const { db, dialect } = this.#database
    const { rows } = await sql<{ now: Date | string }>`SELECT ${dialect.now()} AS now`.execute(db)
    return dialect.date(rows[0]?.now ?? new Date())
  }

  async list({ jobId, state, before, limit = 100 }: BatchFilter = {}): Promise<BatchRow[]> {
    const { db, dialect, broken } = this.#database
    let query = db.selectFrom('piko_batch').selectAll().orderBy('id', 'desc').limit(limit)
    if (jobId !== undefined) query = query.where('job_id', '=', exactId(jobId))
    if (state !== undefined) query = query.where('state', '=', state)
    if (before !== undefined) query = query.where('id', '<', before)
    return soundRows(dialect, 'piko_batch', await query.execute(), broken.report).map((row) => batchOf(row, dialect))
  }

  /** Returns the batches that have not ended: at most 100, after the given id. */
  async unfinished(after: number): Promise<UnfinishedBatch[]> {
    const { db, dialect } = this.#database
    const { rows } = await db.executeQuery<UnfinishedRow>(unfinishedRows(db, dialect, { after }))
    return rows.map((row) => ({ id: row.id, jobId: row.job_id, state: row.state, onDone: row.on_done ?? undefined }))
  }

  /** Returns the batch of a run; undefined if it has none. */
  async batchOfRun(runId: number): Promise<number | undefined> {
    const row = await this.#database.db
      .selectFrom('piko_batch_slice')
      .select(['batch_id', 'first_id', 'last_id', 'id_step'])
      .where('first_id', '<=', runId)
      .orderBy('first_id', 'desc')
      .limit(1)
      .executeTakeFirst()
    return row && hasRun(row, runId) ? row.batch_id : undefined
  }

  /**
   * Counts the stored runs by state. The counts of closed slices are stored; the runs of open slices are counted by primary key. One
   * statement reads all slices, so a slice that closes in the meantime is neither left out nor counted twice.
   */
  async counts(id: number): Promise<BatchCounts> {
    const { db } = this.#database
    const tally = new Tally()
    for (const row of await slicesForCounts(db, id)) {
      tally.add(row, row.is_open === 1 ? await statesOf(this.#database, db, sliceOf(row)) : undefined)
    }
    return tally.counts
  }

  /** Begins to cancel a batch. Returns false if the batch has already ended or does not exist. */
  async cancel(id: number): Promise<boolean> {
    const { dialect } = this.#database
    return this.#database.transaction(async (trx) => {
      const batch = await lockBatch(trx, dialect, id)
      if (!batch || isBatchEnd(batch.state)) return false
      await trx.updateTable('piko_batch').set({ state: 'cancelling' }).where('id', '=', id).execute()
      noteRows(trx, 'batches', [id])
      return true
    })
  }

  /** Yields, slice by slice, the runs that have not ended and have no cancel request. */
  async *openRuns(id: number): AsyncGenerator<number[]> {
    for await (const { row } of this.#slices(id, 1)) {
      const runs = await runsOfSlice(this.#database, this.#database.db, sliceOf(row))
        .select('piko_run.id')
        .where('piko_run.state', 'in', ['queued', 'running'])
        .where('cancel_requested_at', 'is', null)
        .execute()
      if (runs.length > 0) yield runs.map((run) => run.id)
    }
  }

  /** Yields, slice by slice, the ended runs that are in this state. */
  async *runsIn(id: number, state: 'failed' | 'cancelled'): AsyncGenerator<number[]> {
    for await (const { row } of this.#slices(id)) {
      // An open slice counts only its deleted runs.
      if (row.is_open === 0 && row[state] === 0) continue
      const runs = await runsOfSlice(this.#database, this.#database.db, sliceOf(row))
        .select('piko_run.id')
        .where('piko_run.state', '=', state)
        .execute()
      if (runs.length > 0) yield runs.map((run) => run.id)
    }
  }

  /**
   * Yields the ended runs with their durations, page by page. Failed runs have their errors.
   *
   * @param tally counts the runs as they are read, so that the counts describe the runs that were yielded
   */
  async *ended(id: number, tally = new Tally()): AsyncGenerator<EndedBatchRun[]> {
    const { dialect, db, broken } = this.#database
    for await (const { row: slice } of this.#slices(id)) {
      const states = slice.is_open === 1 ? new Map<RunState, number>() : undefined
      const query = runsOfSlice(this.#database, db, sliceOf(slice))
        .select(['piko_run.id', 'piko_run.state', 'started_at', 'finished_at'])
        .select(sql<string | null>`CASE WHEN piko_run.state = 'failed' THEN error END`.as('error'))
        .$if(states === undefined, (runs) => runs.where('piko_run.state', 'in', ENDED))
        .orderBy('piko_run.id')
      for (let last = slice.first_id - 1; ;) {
        const rows = await query.where('piko_run.id', '>', last).limit(PAGE).execute()
        for (const { state } of rows) states?.set(state, (states.get(state) ?? 0) + 1)
        const ended = rows.filter(({ state }) => ENDED.some((end) => end === state))
        yield soundRows(dialect, 'piko_run', ended, broken.report).map((row) => {
          const [started, finished] = [optionalDate(row.started_at, dialect), optionalDate(row.finished_at, dialect)]
          return {
            id: row.id,
            item: slice.from_item + (row.id - slice.first_id) / slice.id_step,
            state: row.state as EndedBatchRun['state'],
            durationMs: started && finished && Math.max(0, finished.getTime() - started.getTime()),
            error: fromJson(row.error) as RunError | undefined,
          }
        })
        if (rows.length < PAGE) break
        last = rows.at(-1)?.id ?? last
      }
      tally.add(slice, states)
    }
  }

  /** Deletes some of the batches that ended more than this long ago. Returns how many it has found. */
  async forget(olderThanMs: number): Promise<number> {
    const { db, dialect, transaction } = this.#database
    const found = await db
      .selectFrom('piko_batch')
      .select('id')
      .where('finished_at', '<', dialect.nowPlus(-olderThanMs))
      .orderBy('id')
      .limit(DELETED)
      .execute()
    for (const { id } of found) {
      await transaction(async (trx) => {
        const batch = await lockBatch(trx, dialect, id)
        if (!batch?.finishedAt) return
        await trx.deleteFrom('piko_batch_slice').where('batch_id', '=', id).execute()
        await trx.deleteFrom('piko_batch').where('id', '=', id).execute()
      })
    }
    return found.length
  }

  async *#slices(id: number, isOpen?: number): AsyncGenerator<{ readonly row: Selectable<BatchSliceTable> }> {
    const { db, dialect, broken } = this.#database
    const rows = await inPages<Selectable<BatchSliceTable>>(Infinity, (size, last) =>
      db
        .selectFrom('piko_batch_slice')
        .selectAll()
        .where('batch_id', '=', id)
        .$if(isOpen !== undefined, (query) => query.where('is_open', '=', isOpen as number))
        .$if(last !== undefined, (query) => query.where('first_id', '>', last?.first_id ?? 0))
        .orderBy('first_id')
        .limit(size)
        .execute(),
    )
    for (const row of soundRows(dialect, 'piko_batch_slice', rows, broken.report)) yield { row }
  }
}
