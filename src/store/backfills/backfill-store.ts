import { type Selectable, sql, type Transaction } from 'kysely'
import { isRefusedValue } from '../../sql/database-faults.ts'
import { type Timeline, type Window } from '../../time/window.ts'
import { type BackfillCounts, backfillCounts } from './backfill-counts.ts'
import { assertSound, BrokenRow, soundRows } from '../values/broken-row.ts'
import { type Database } from '../connection/database.ts'
import { isToRun, nextWindows, type Planned } from './backfill-windows.ts'
import { type Dialect } from '../connection/dialect.ts'
import { exactId } from '../values/exact-key.ts'
import { generationsOf, type StoredGeneration } from '../windows/generations.ts'
import { insertRuns } from '../runs/insert-rows.ts'
import { insertWindows } from '../windows/insert-windows.ts'
import { fromJson, toJson } from '../../json/json.ts'
import { optionalDate } from '../runs/run-row.ts'
import { type RunStore } from '../runs/run-store.ts'
import { windowsBefore, windowsFrom } from '../windows/stored-windows.ts'
import { type BackfillOnly, type BackfillOrder, type BackfillState } from '../../ledger/backfill.ts'
import { type BackfillTable, type Tables, type WindowState } from '../tables.ts'
import { upstreamChanged } from '../windows/upstream-change.ts'
import { type NewRun } from '../runs/new-run.ts'

/** What a backfill was asked to do. */
export interface NewBackfill {
  readonly jobId: string
  /** Start of the first window and end of the last. */
  readonly from: Date
  readonly to: Date
  readonly order: BackfillOrder
  readonly only: BackfillOnly
  /** Windows under way at once, over all nodes. */
  readonly parallel: number
  readonly priority: number
  /** Override of the job's config for its runs. */
  readonly config: unknown
  /** Windows in the range. */
  readonly total: number
}

/** A backfill as it stands. */
export interface BackfillRow extends NewBackfill {
  readonly id: number
  readonly state: BackfillState
  /** Up to where windows are planned; undefined: all are. */
  readonly cursor: Date | undefined
  /** Windows that were given a run. */
  readonly planned: number
  /** Windows that were left as they are, since they needed no run. */
  readonly passed: number
  /** How long it was under way, pauses left out, in milliseconds. */
  readonly activeMs: number
  readonly createdAt: Date
  readonly finishedAt: Date | undefined
}

export interface BackfillFilter {
  readonly jobId?: string
  readonly state?: BackfillState
  /** Default 100. Newest first. */
  readonly limit?: number
}

/** How a step makes runs of windows. */
export interface BackfillPlan {
  readonly timeline: (generations: readonly StoredGeneration[]) => Timeline
  /** The job depends on others: its windows wait for theirs. */
  readonly waits: boolean
  /** With the keys of the job's limits. */
  readonly runOf: (window: Window, backfill: BackfillRow) => NewRun
}

/** What a step has done. */
export interface BackfillStep {
  /** Windows; 0: enough of them wait for their runs, or nothing is left to plan. */
  readonly looked: number
  /** Runs that are in the queue now. */
  readonly queued: number
  /** The state that the backfill came to. */
  readonly ended?: BackfillState
  /** A window whose run the database refuses: it has failed. */
  readonly refused?: { readonly window: Window; readonly refusal: unknown }
}

interface StepPlan extends BackfillPlan {
  /** Windows. */
  readonly most: number
  /** Why the run of the next window can't be stored. */
  readonly refusal?: unknown
}

const NO_STEP: BackfillStep = { looked: 0, queued: 0 }

/** Windows or runs of one statement of a cancel. */
const SWEPT = 500
/** Windows of one step, which is one transaction; small enough to be garbage soon: with 1,000 a process that plans years grows by 150 MB. */
const STEP = 100
/** Windows of a backfill that wait in the queue at most; a cursor stands for the others. */
export const MOST_WAITING = 2_000
/** Another writer may make a window at the same moment; then the step is begun anew. */
const MOST_TRIES = 5

/**
 * Backfills: a range of windows and a cursor in it.
 *
 * Order of locks: the job's row, the backfill, then windows.
 */
export class BackfillStore {
  readonly #database: Database
  readonly #runs: RunStore

  constructor(database: Database, runs: RunStore) {
    this.#database = database
    this.#runs = runs
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
      if (dialect.name === 'sqlite') return (await insert.returning('id').executeTakeFirstOrThrow()).id
      return Number((await insert.executeTakeFirstOrThrow()).insertId)
    })
  }

  /** @throws BrokenRow when its row can't be read */
  async find(id: number): Promise<BackfillRow | undefined> {
    const { db, dialect } = this.#database
    const row = await db
      .selectFrom('piko_backfill')
      .selectAll()
      .select(dialect.now().as('now'))
      .where('id', '=', id)
      .executeTakeFirst()
    return row && backfillOf(row, dialect.date(row.now), dialect)
  }

  async list({ jobId, state, limit = 100 }: BackfillFilter = {}): Promise<BackfillRow[]> {
    const { db, dialect } = this.#database
    let query = db
      .selectFrom('piko_backfill')
      .selectAll()
      .select(dialect.now().as('now'))
      .orderBy('id', 'desc')
      .limit(limit)
    if (jobId !== undefined) query = query.where('job_id', '=', exactId(jobId))
    if (state !== undefined) query = query.where('state', '=', state)
    return soundRows(dialect, 'piko_backfill', await query.execute(), this.#database.broken.report).map((row) =>
      backfillOf(row, dialect.date(row.now), dialect),
    )
  }

  /** Those that a leader has something to do for. */
  async unfinished(): Promise<{ id: number; jobId: string; state: BackfillState }[]> {
    const rows = await this.#database.db
      .selectFrom('piko_backfill')
      .select(['id', 'job_id', 'state'])
      .where('state', 'in', ['running', 'cancelling'])
      .orderBy('id')
      .execute()
    return rows.map((row) => ({ id: row.id, jobId: row.job_id, state: row.state }))
  }

  counts(id: number): Promise<BackfillCounts> {
    return backfillCounts(this.#database, id)
  }

  /** Changes the state if it is one of `from`. False: it was not. */
  async change(id: number, from: readonly BackfillState[], to: BackfillState): Promise<boolean> {
    const { dialect } = this.#database
    return this.#database.transaction(async (trx) => {
      const row = await this.#lock(trx, id)
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
      return true
    })
  }

  /** Its waiting windows are not to run. In small steps: what an interruption leaves out, the next call does. */
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
      await this.#database.retry(() =>
        db
          .updateTable('piko_window')
          .set({ state: 'cancelled', updated_at: dialect.now() })
          .where('id', 'in', ids)
          // One that got its run meanwhile is cancelled with it, and another backfill may have taken it over.
          .where('backfill_id', '=', id)
          .where('state', '=', 'waiting')
          .execute(),
      )
    }
  }

  /** Runs of a backfill's windows that have not ended, 500 at most. */
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
   * One step of a running backfill, in one transaction: looks at the next windows behind the cursor, queues runs for those that need
   * one and moves the cursor. When nothing is left to plan and to wait for, the backfill ends.
   *
   * A process that dies leaves either all of the step or nothing; two leaders at once take turns at the lock.
   *
   * What the database refuses is tried in smaller and smaller parts. A window that is refused alone has failed.
   *
   * @throws the refusal, when the window can't be stored as failed either
   * @throws BrokenRow when a row of the backfill, of its windows or of their bounds can't be read; nothing is written then
   */
  async step(id: number, jobId: string, plan: BackfillPlan): Promise<BackfillStep> {
    for (let most = STEP, tries = 1; ;) {
      try {
        return await this.#database.transaction((trx) => this.#step(trx, id, jobId, { ...plan, most }))
      } catch (error) {
        if (this.#database.dialect.isDuplicate(error) && tries++ < MOST_TRIES) continue
        if (error instanceof BrokenRow || !isRefusedValue(error)) throw error
        if (most === 1)
          return this.#database.transaction((trx) => this.#step(trx, id, jobId, { ...plan, most, refusal: error }))
        most = Math.ceil(most / 2)
      }
    }
  }

  async #step(trx: Transaction<Tables>, id: number, jobId: string, plan: StepPlan): Promise<BackfillStep> {
    const { dialect } = this.#database
    // The planner and a change of the schedule hold this lock too: the windows' bounds stand still.
    await trx.selectFrom('piko_job').select('id').where('id', '=', jobId).modifyEnd(dialect.forUpdate).execute()
    const backfill = await this.#lock(trx, id)
    if (backfill?.state !== 'running') return NO_STEP
    const waiting = await this.#waiting(trx, id)
    if (!backfill.cursor) return waiting > 0 ? NO_STEP : { ...NO_STEP, ended: await this.#end(trx, id) }
    const room = MOST_WAITING - waiting
    if (room < Math.min(STEP, backfill.total)) return NO_STEP
    const generations = (await generationsOf(trx, dialect, [jobId])).get(jobId) ?? []
    const stored = await (backfill.order === 'oldest' ? windowsFrom : windowsBefore)(
      trx,
      dialect,
      jobId,
      backfill.cursor,
    )
    const timeline = plan.timeline(generations).around(stored.windows)
    const next = nextWindows(timeline, backfill, backfill.cursor, plan.most)
    const planned = await this.#write(trx, backfill, next, plan)
    await trx
      .updateTable('piko_backfill')
      .set({
        cursor_at: next.cursor ? dialect.instant(next.cursor) : null,
        planned: backfill.planned + planned,
        passed: backfill.passed + next.windows.length - planned,
      })
      .where('id', '=', id)
      .execute()
    const [window] = next.windows
    const { refusal } = plan
    if (refusal !== undefined && window) return { looked: 1, queued: 0, refused: { window, refusal } }
    return { looked: next.windows.length, queued: plan.waits ? 0 : planned }
  }

  /** Gives runs to those of these windows that need one. Returns how many. */
  async #write(
    trx: Transaction<Tables>,
    backfill: BackfillRow,
    { windows }: Planned,
    { runOf, waits, refusal }: StepPlan,
  ): Promise<number> {
    const { dialect } = this.#database
    const known = await storedWindows(trx, dialect, backfill.jobId, windows)
    const wanted = windows.filter((window) => isToRun(backfill.only, known.get(window.start.getTime())?.state))
    const again = wanted.filter((window) => HAS_RUN.has(known.get(window.start.getTime())?.state))
    await upstreamChanged(trx, dialect, backfill.jobId, again, this.#database.broken.report)
    const hasRuns = !waits && refusal === undefined
    const rows = !hasRuns ? [] : wanted.map((window) => this.#runs.row(runOf(window, backfill)))
    const ids = await insertRuns(trx, dialect, rows)
    const given = wanted.map((window, index) => ({
      window,
      runId: ids[index] ?? null,
      windowId: known.get(window.start.getTime())?.id,
    }))
    const isNew = ({ windowId }: (typeof given)[number]): boolean => windowId === undefined
    const state = refusal !== undefined ? 'failed' : waits ? 'waiting' : 'pending'
    await this.#insertWindows(trx, backfill, given.filter(isNew), state)
    await this.#takeOver(
      trx,
      backfill,
      given.filter((one) => !isNew(one)),
      state,
    )
    return wanted.length
  }

  async #insertWindows(
    trx: Transaction<Tables>,
    { id, jobId }: BackfillRow,
    given: readonly { window: Window; runId: number | null }[],
    state: WindowState,
  ): Promise<void> {
    const windows = given.map(({ window, runId }) => ({
      ...{ jobId, window, state, runId: runId ?? undefined },
      backfillId: id,
    }))
    await insertWindows(trx, this.#database.dialect, windows)
  }

  /** Windows that were settled before belong to the new runs from now on. */
  async #takeOver(
    trx: Transaction<Tables>,
    { id }: BackfillRow,
    given: readonly { runId: number | null; windowId: number | undefined }[],
    state: WindowState,
  ): Promise<void> {
    if (given.length === 0) return
    const { dialect } = this.#database
    const cases = given.map(({ runId, windowId }) => sql`WHEN ${windowId} THEN ${runId}`)
    await trx
      .updateTable('piko_window')
      .set({
        state,
        run_id: state !== 'pending' ? null : sql<number>`CASE id ${sql.join(cases, sql` `)} END`,
        backfill_id: id,
        ...{ wait_job: null, wait_at: null, changed_to: null },
        updated_at: dialect.now(),
      })
      .where(
        'id',
        'in',
        given.flatMap(({ windowId }) => windowId ?? []),
      )
      .execute()
  }

  async #end(trx: Transaction<Tables>, id: number): Promise<BackfillState> {
    const { dialect } = this.#database
    const bad = await trx
      .selectFrom('piko_window')
      .select('id')
      .where('backfill_id', '=', id)
      .where('state', 'in', ['failed', 'cancelled', 'skipped'])
      .limit(1)
      .executeTakeFirst()
    const state = bad ? 'failed' : 'succeeded'
    await trx
      .updateTable('piko_backfill')
      .set({
        state,
        active_ms: (await this.#lock(trx, id))?.activeMs ?? 0,
        active_since: null,
        finished_at: dialect.now(),
      })
      .where('id', '=', id)
      .execute()
    return state
  }

  /** How many of its windows wait, counted up to the most that may. */
  async #waiting(trx: Transaction<Tables>, id: number): Promise<number> {
    const some = trx
      .selectFrom('piko_window')
      .select('id')
      .where('backfill_id', '=', id)
      .where('state', 'in', ['pending', 'waiting'])
      .limit(MOST_WAITING)
    const row = await trx
      .selectFrom(some.as('some'))
      .select((eb) => eb.fn.countAll<number>().as('count'))
      .executeTakeFirst()
    return Number(row?.count ?? 0)
  }

  async #lock(trx: Transaction<Tables>, id: number): Promise<BackfillRow | undefined> {
    const { dialect } = this.#database
    const row = await trx
      .selectFrom('piko_backfill')
      .selectAll()
      .select(dialect.now().as('now'))
      .where('id', '=', id)
      .modifyEnd(dialect.forUpdate)
      .executeTakeFirst()
    return row && backfillOf(row, dialect.date(row.now), dialect)
  }
}

/** A window in one of these runs again: those that depend on it are told. */
const HAS_RUN: ReadonlySet<WindowState | undefined> = new Set(['succeeded', 'stale'])

const ENDED: ReadonlySet<BackfillState> = new Set(['succeeded', 'failed', 'cancelled'])

/** What the ledger has of these windows, locked. */
async function storedWindows(
  trx: Transaction<Tables>,
  dialect: Dialect,
  jobId: string,
  windows: readonly Window[],
): Promise<Map<number, { id: number; state: WindowState }>> {
  if (windows.length === 0) return new Map()
  const starts = windows.map((window) => window.start.getTime())
  const rows = await trx
    .selectFrom('piko_window')
    .select(['id', 'start_at', 'state'])
    .where('job_id', '=', jobId)
    .where('start_at', '>=', dialect.instant(new Date(Math.min(...starts))))
    .where('start_at', '<=', dialect.instant(new Date(Math.max(...starts))))
    .modifyEnd(dialect.forUpdate)
    .execute()
  for (const row of rows) assertSound(dialect, 'piko_window', row)
  return new Map(rows.map((row) => [dialect.date(row.start_at).getTime(), { id: row.id, state: row.state }]))
}

/** @throws BrokenRow */
function backfillOf(row: Selectable<BackfillTable>, now: Date, dialect: Dialect): BackfillRow {
  assertSound(dialect, 'piko_backfill', row)
  const since = optionalDate(row.active_since, dialect)
  return {
    id: row.id,
    jobId: row.job_id,
    state: row.state,
    from: dialect.date(row.from_at),
    to: dialect.date(row.to_at),
    order: row.window_order,
    only: row.only_windows,
    parallel: row.parallel,
    priority: row.priority,
    config: fromJson(row.config),
    total: row.total,
    cursor: optionalDate(row.cursor_at, dialect),
    planned: row.planned,
    passed: row.passed,
    activeMs: Number(row.active_ms) + (since ? Math.max(0, now.getTime() - since.getTime()) : 0),
    createdAt: dialect.date(row.created_at),
    finishedAt: optionalDate(row.finished_at, dialect),
  }
}
