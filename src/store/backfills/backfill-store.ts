import type { Selectable } from 'kysely'
import { toJson } from '../../json/json.ts'
import type { BackfillState } from '../../ledger/backfill.ts'
import type { Database } from '../connection/database.ts'
import { soundRows } from '../values/broken-row.ts'
import { exactId } from '../values/exact-key.ts'
import { type BackfillCounts, backfillCounts } from './backfill-counts.ts'
import { backfillOf, type BackfillRow, lockBackfill, type NewBackfill } from './backfill-row.ts'
import { type BackfillPlan, type BackfillStep, stepBackfill } from './backfill-step.ts'
import { noteRows } from '../events/notes.ts'
import { insertedId } from '../statements/inserted-id.ts'
import { reusedStatement } from '../statements/reused-statement.ts'
import type { Tables } from '../tables.ts'

export interface BackfillFilter {
  readonly jobId?: string
  readonly state?: BackfillState
  /** Selects only backfills with smaller ids, which are older. */
  readonly before?: number
  /** The maximum number of backfills, newest first. Default 100. */
  readonly limit?: number
}

/** The maximum number of windows that one statement reads or cancels. */
const SWEPT = 500
const ENDED: ReadonlySet<BackfillState> = new Set(['succeeded', 'failed', 'cancelled'])

type UnfinishedRow = Readonly<Pick<Selectable<Tables['piko_backfill']>, 'id' | 'job_id' | 'state'>>

/** The leader reads these every second. */
const unfinishedRows = reusedStatement([], (db) =>
  db
    .selectFrom('piko_backfill')
    .select(['id', 'job_id', 'state'])
    .where('state', 'in', ['running', 'cancelling'])
    .orderBy('id'),
)

/**
 * Stores backfills: for each, a range of windows and a cursor in it.
 *
 * Locks are taken in this order: the job's row, the backfill, then windows.
 */
export class BackfillStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async create(backfill: NewBackfill): Promise<number> {
    const { dialect, transaction } = this.#database
    return transaction(async (trx) => {
      const insert = trx.insertInto('piko_backfill').values({
        job_id: backfill.jobId,
        state: 'running',
        from_at: dialect.instant(backfill.from),
        to_at: dialect.instant(backfill.to),
        cursor_at: dialect.instant(backfill.order === 'oldest' ? backfill.from : backfill.to),
        window_order: backfill.order,
        only_windows: backfill.only,
        parallel: backfill.parallel,
        priority: backfill.priority,
        config: toJson(backfill.config, 'config'),
        total: backfill.total,
        active_since: dialect.now(),
        created_at: dialect.now(),
      })
      const id = await insertedId(dialect, insert.returning('id'))
      noteRows(trx, 'backfills', [id])
      return id
    })
  }

  /** Finds a backfill. @throws BrokenRow if its row can't be read */
  async find(id: number): Promise<BackfillRow | undefined> {
    if (!Number.isSafeInteger(id)) return undefined
    const { db, dialect } = this.#database
    const row = await db
      .selectFrom('piko_backfill')
      .selectAll()
      .select(dialect.now().as('now'))
      .where('id', '=', id)
      .executeTakeFirst()
    return row && backfillOf(row, dialect.date(row.now), dialect)
  }

  async list({ jobId, state, before, limit = 100 }: BackfillFilter = {}): Promise<BackfillRow[]> {
    const { db, dialect } = this.#database
    let query = db
      .selectFrom('piko_backfill')
      .selectAll()
      .select(dialect.now().as('now'))
      .orderBy('id', 'desc')
      .limit(limit)
    if (jobId !== undefined) query = query.where('job_id', '=', exactId(jobId))
    if (state !== undefined) query = query.where('state', '=', state)
    if (before !== undefined) query = query.where('id', '<', before)
    return soundRows(dialect, 'piko_backfill', await query.execute(), this.#database.broken.report).map((row) =>
      backfillOf(row, dialect.date(row.now), dialect),
    )
  }

  /** Returns the backfills that a leader must work on. */
  async unfinished(): Promise<{ id: number; jobId: string; state: BackfillState }[]> {
    const { db, dialect } = this.#database
    const { rows } = await db.executeQuery<UnfinishedRow>(unfinishedRows(db, dialect, {}))
    return rows.map((row) => ({ id: row.id, jobId: row.job_id, state: row.state }))
  }

  counts(id: number): Promise<BackfillCounts> {
    return backfillCounts(this.#database, id)
  }

  /** Changes the state if it is one of `from`; otherwise returns false. */
  async change(id: number, from: readonly BackfillState[], to: BackfillState): Promise<boolean> {
    const { dialect } = this.#database
    return this.#database.transaction(async (trx) => {
      const row = await lockBackfill(trx, dialect, id)
      if (!row || !from.includes(row.state)) return false
      const isActive = to === 'running' || to === 'cancelling'
      await trx
        .updateTable('piko_backfill')
        .set({
          state: to,
          active_ms: row.activeMs,
          active_since: isActive ? dialect.now() : null,
          finished_at: ENDED.has(to) ? dialect.now() : null,
        })
        .where('id', '=', id)
        .execute()
      noteRows(trx, 'backfills', [id])
      return true
    })
  }

  /** Cancels a backfill's waiting windows in small steps. After an interruption, a later call continues. */
  async cancelWaiting(id: number): Promise<void> {
    const { db, dialect } = this.#database
    for (let count = SWEPT; count === SWEPT;) {
      const rows = await db
        .selectFrom('piko_window')
        .select('id')
        .where('backfill_id', '=', id)
        .where('state', '=', 'waiting')
        .limit(SWEPT)
        .execute()
      count = rows.length
      if (count === 0) return
      const ids = rows.map((row) => row.id)
      await this.#database.transaction(async (trx) => {
        await trx
          .updateTable('piko_window')
          .set({ state: 'cancelled', updated_at: dialect.now() })
          .where('id', 'in', ids)
          // A window that has got a run since is cancelled with that run. Another backfill may have taken the window over.
          .where('backfill_id', '=', id)
          .where('state', '=', 'waiting')
          .execute()
        noteRows(trx, 'windows', ids)
      })
    }
  }

  /** Returns the ids of the runs of a backfill's `pending` windows, at most 500. */
  async openRuns(id: number): Promise<number[]> {
    const rows = await this.#database.db
      .selectFrom('piko_window')
      .select('run_id')
      .where('backfill_id', '=', id)
      .where('state', '=', 'pending')
      .limit(SWEPT)
      .execute()
    return rows.flatMap((row) => row.run_id ?? [])
  }

  /**
   * Does one step of a running backfill, in one transaction: finds the next windows from the cursor on, stores those that need a run, and
   * moves the cursor. Queues their runs, unless the job waits for upstream jobs. The backfill ends when nothing is left to plan or to wait
   * for.
   *
   * If the process dies, the step is stored completely or not at all. Two simultaneous leaders take turns, because the step holds a lock.
   * Retries a refused step in smaller and smaller parts. If the database refuses a single window, that window fails.
   *
   * @throws the refusal, if the window can't be stored as failed either
   * @throws BrokenRow if a row of the backfill, of its windows or of their bounds can't be read; nothing is written then
   */
  step(id: number, jobId: string, plan: BackfillPlan): Promise<BackfillStep> {
    return stepBackfill(this.#database, id, jobId, plan)
  }
}
