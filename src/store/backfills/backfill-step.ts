import { sql, type Transaction } from 'kysely'
import type { BackfillState } from '../../ledger/backfill.ts'
import { toError } from '../../errors.ts'
import { runError } from '../../run/run-error.ts'
import { isRefusedValue } from '../../sql/database-faults.ts'
import type { Timeline, Window } from '../../time/window.ts'
import type { Database } from '../connection/database.ts'
import type { Dialect } from '../connection/dialect.ts'
import { recordFailures } from '../notices/record-failures.ts'
import { insertRuns } from '../runs/insert-rows.ts'
import { type NewRun, newRow } from '../runs/new-run.ts'
import type { Tables, WindowState } from '../tables.ts'
import { assertSound, BrokenRow } from '../values/broken-row.ts'
import { generationsOf, type StoredGeneration } from '../windows/generations.ts'
import { insertWindows } from '../windows/insert-windows.ts'
import { windowsBefore, windowsFrom } from '../windows/stored-windows.ts'
import { upstreamChanged } from '../windows/upstream-change.ts'
import { type BackfillRow, lockBackfill } from './backfill-row.ts'
import { isToRun, nextWindows, type Planned } from './backfill-windows.ts'
import { noteRows } from '../events/notes.ts'

/** How a step creates the runs of windows. */
export interface BackfillPlan {
  readonly timeline: (generations: readonly StoredGeneration[]) => Timeline
  /** Whether the job has upstream jobs, so that its windows wait for the windows of those jobs. */
  readonly waits: boolean
  /** Creates a run, with the keys of the job's limits. */
  readonly runOf: (window: Window, backfill: BackfillRow) => NewRun
}

export interface BackfillStep {
  /** How many windows this step handled; 0 if the backfill is not running, too many of its windows have not ended, or all are planned. */
  readonly looked: number
  /** The number of runs that this step queued. */
  readonly queued: number
  /** The state in which the backfill has ended; undefined if it has not ended. */
  readonly ended?: BackfillState
  /** A window that has failed because the database refuses its run. */
  readonly refused?: { readonly window: Window; readonly refusal: unknown }
}

interface StepPlan extends BackfillPlan {
  /** The maximum number of windows of this step. */
  readonly max: number
  /** If set: why the run of the next window can't be stored. */
  readonly refusal?: unknown
}

const NO_STEP: BackfillStep = { looked: 0, queued: 0 }

/**
 * The maximum number of windows that one step handles. A step is one transaction. The number is small, so that the objects of a step are
 * freed early: with 1,000 windows, a process that plans years would need 150 MB more memory.
 */
const STEP = 100
/**
 * The maximum number of a backfill's windows in the states `pending` and `waiting`. For the windows after these, only the cursor is stored.
 */
export const MAX_WAITING = 2_000
/** The maximum number of tries of a step. A step begins again if another writer creates a window at the same moment. */
const MAX_TRIES = 5

/** Does one step of a running backfill. See `BackfillStore.step`. */
export async function stepBackfill(
  database: Database,
  id: number,
  jobId: string,
  plan: BackfillPlan,
): Promise<BackfillStep> {
  for (let max = STEP, tries = 1; ;) {
    try {
      return await database.transaction((trx) => stepIn(trx, database, id, jobId, { ...plan, max }))
    } catch (error) {
      if (database.dialect.isDuplicate(error) && tries++ < MAX_TRIES) continue
      if (error instanceof BrokenRow || !isRefusedValue(error)) throw error
      if (max === 1)
        return database.transaction((trx) => stepIn(trx, database, id, jobId, { ...plan, max, refusal: error }))
      max = Math.ceil(max / 2)
    }
  }
}

async function stepIn(
  trx: Transaction<Tables>,
  database: Database,
  id: number,
  jobId: string,
  plan: StepPlan,
): Promise<BackfillStep> {
  const { dialect } = database
  // The planner and a change of the schedule also lock this row, so the bounds of the windows can't change.
  await trx.selectFrom('piko_job').select('id').where('id', '=', jobId).modifyEnd(dialect.forUpdate).execute()
  const backfill = await lockBackfill(trx, dialect, id)
  if (backfill?.state !== 'running') return NO_STEP
  const waiting = await countWaiting(trx, id)
  if (!backfill.cursor) return waiting > 0 ? NO_STEP : { ...NO_STEP, ended: await endBackfill(trx, dialect, id) }
  const room = MAX_WAITING - waiting
  if (room < Math.min(STEP, backfill.total)) return NO_STEP
  const generations = (await generationsOf(trx, dialect, [jobId])).get(jobId) ?? []
  const storedAround = backfill.order === 'oldest' ? windowsFrom : windowsBefore
  const stored = await storedAround(trx, dialect, jobId, backfill.cursor)
  const timeline = plan.timeline(generations).around(stored.windows)
  const next = nextWindows(timeline, backfill, backfill.cursor, plan.max)
  const planned = await writeWindows(trx, database, backfill, next, plan)
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

/** If a window in one of these states runs again, the windows that depend on it are marked. */
const HAS_RUN: ReadonlySet<WindowState | undefined> = new Set(['succeeded', 'stale'])

/**
 * Stores the windows that need a run, and returns how many. Creates their runs, unless the windows wait for other windows or the run was
 * refused.
 */
async function writeWindows(
  trx: Transaction<Tables>,
  { dialect, broken }: Database,
  backfill: BackfillRow,
  { windows }: Planned,
  { runOf, waits, refusal }: StepPlan,
): Promise<number> {
  const { id: backfillId, jobId } = backfill
  const known = await lockWindows(trx, dialect, jobId, windows)
  const wanted = windows.filter((window) => isToRun(backfill.only, known.get(window.start.getTime())?.state))
  const again = wanted.filter((window) => HAS_RUN.has(known.get(window.start.getTime())?.state))
  await upstreamChanged(trx, dialect, jobId, again, broken.report)
  const hasRuns = !waits && refusal === undefined
  const rows = !hasRuns ? [] : wanted.map((window) => newRow(dialect, runOf(window, backfill)))
  const ids = await insertRuns(trx, dialect, rows)
  const state: WindowState = refusal !== undefined ? 'failed' : waits ? 'waiting' : 'pending'
  const given = wanted.map((window, index) => ({
    ...{ jobId, window, state, runId: ids[index], backfillId },
    windowId: known.get(window.start.getTime())?.id,
  }))
  const added = given.filter(({ windowId }) => windowId === undefined)
  await insertWindows(trx, dialect, added)
  await takeOver(
    trx,
    dialect,
    backfillId,
    given.flatMap(({ windowId, runId }) => (windowId === undefined ? [] : { windowId, runId })),
    state,
  )
  if (refusal !== undefined) {
    const error = runError(toError(refusal))
    await recordFailures(
      trx,
      dialect,
      wanted.map((window) => ({ jobId, window, error })),
    )
  }
  return wanted.length
}

/** Moves windows that have ended to this backfill, with the new state and their new runs, if any. */
async function takeOver(
  trx: Transaction<Tables>,
  dialect: Dialect,
  backfillId: number,
  given: readonly { readonly windowId: number; readonly runId: number | undefined }[],
  state: WindowState,
): Promise<void> {
  if (given.length === 0) return
  const cases = given.map(({ runId, windowId }) => sql`WHEN ${windowId} THEN ${runId ?? null}`)
  await trx
    .updateTable('piko_window')
    .set({
      state,
      run_id: state !== 'pending' ? null : sql<number>`CASE id ${sql.join(cases, sql` `)} END`,
      backfill_id: backfillId,
      ...{ wait_job: null, wait_at: null, changed_to: null },
      updated_at: dialect.now(),
    })
    .where(
      'id',
      'in',
      given.map(({ windowId }) => windowId),
    )
    .execute()
  noteRows(
    trx,
    'windows',
    given.map(({ windowId }) => windowId),
  )
}

async function endBackfill(trx: Transaction<Tables>, dialect: Dialect, id: number): Promise<BackfillState> {
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
      active_ms: (await lockBackfill(trx, dialect, id))?.activeMs ?? 0,
      active_since: null,
      finished_at: dialect.now(),
    })
    .where('id', '=', id)
    .execute()
  noteRows(trx, 'backfills', [id])
  return state
}

/** Counts the backfill's windows in the states `pending` and `waiting`, up to `MAX_WAITING`. */
async function countWaiting(trx: Transaction<Tables>, id: number): Promise<number> {
  const some = trx
    .selectFrom('piko_window')
    .select('id')
    .where('backfill_id', '=', id)
    .where('state', 'in', ['pending', 'waiting'])
    .limit(MAX_WAITING)
  const row = await trx
    .selectFrom(some.as('some'))
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .executeTakeFirst()
  return Number(row?.count ?? 0)
}

/** Reads and locks the rows of these windows. */
async function lockWindows(
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
