import { type ExpressionBuilder, type Kysely, type Selectable, sql, type SqlBool, type Transaction } from 'kysely'
import { isFaultOfItem } from '../../sql/database-faults.ts'
import { FIRST_INSTANT_MS } from '../../time/instant.ts'
import type { Database } from '../connection/database.ts'
import type { Dialect } from '../connection/dialect.ts'
import { insertRuns } from '../runs/insert-rows.ts'
import { newRow } from '../runs/new-run.ts'
import { optionalDate } from '../runs/run-row.ts'
import { isActive } from '../runs/run-states.ts'
import { chunksOf } from '../statements/chunks.ts'
import { halved } from '../statements/halved.ts'
import { reusedStatement } from '../statements/reused-statement.ts'
import type { JobTable, Tables } from '../tables.ts'
import { assertSound } from '../values/broken-row.ts'
import type { BrokenRows } from '../values/broken-rows.ts'
import { addGeneration, generationsOf } from '../windows/generations.ts'
import { insertWindows } from '../windows/insert-windows.ts'
import { pendingWindows } from '../windows/pending-windows.ts'
import { windowsBeyond } from '../windows/stored-windows.ts'
import { withoutPlanned } from '../windows/without-planned.ts'
import type { Agenda, DueJob, PlanDecision, PlanResult, PlanScope, RefusedPlan } from './plan.ts'
import { updatePlans } from './update-plans.ts'

const ALL_JOBS: PlanScope = { except: [] }

/** The maximum number of rows in one statement. */
const MAX_ROWS = 1_000

interface AgendaRow {
  readonly now: Date | string
  readonly plan_at: Date | string | null
  readonly edited: string | null
}

function agendaQuery(db: Kysely<Tables>, dialect: Dialect, scope: PlanScope) {
  const next = db
    .selectFrom('piko_job')
    .select('plan_at')
    .where('plan_at', 'is not', null)
    .where('is_paused', '=', 0)
    .where((eb) => inScope(eb, scope))
    .orderBy('plan_at')
    .limit(1)
  const edited = db.selectFrom('piko_job').select('id').where(IS_EDITED).limit(1)
  return db.selectNoFrom([dialect.now().as('now'), next.as('plan_at'), edited.as('edited')])
}

const agendaOfAll = reusedStatement([], (db, dialect) => agendaQuery(db, dialect, ALL_JOBS))

/** What the planner reads and writes: the jobs that are due for planning, and what it has decided about them. */
export class PlanStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Receives the rows that can't be read. */
  get broken(): BrokenRows {
    return this.#database.broken
  }

  /**
   * Runs one pass of planning in one transaction. Reads and locks due jobs, calls `decide` for them, and writes runs, windows and cursors
   * together. Two simultaneous planners are harmless: only one of them can lock a job's row, and a tick is stored only once.
   *
   * Some runs or windows may already exist, if a user has set a cursor back or added windows to a job whose ticks have fired. The pass then
   * repeats in smaller and smaller parts and skips what exists. So other jobs continue, and the cursor moves forward again. The same
   * happens if the database refuses a job's plan or a row can't be read; that job stays unchanged.
   *
   * @param until jobs whose `plan_at` is not after this are due
   * @param decide pure; called again when the transaction is retried; a job without a decision stays unchanged
   * @param asksActive the jobs for which `active` is counted; for the others it is 0
   */
  async plan(
    until: Date,
    limit: number,
    decide: (jobs: readonly DueJob[]) => readonly PlanDecision[],
    asksActive: (jobId: string) => boolean = () => true,
    scope = ALL_JOBS,
  ): Promise<PlanResult> {
    try {
      return await this.#database.transaction(async (trx) => {
        const rows = await this.#lockDue(trx, until, limit, scope)
        const written = decide(await this.#describeDue(trx, rows, asksActive))
        await this.#writePlan(trx, written)
        return { due: rows.length, written, refused: [] }
      })
    } catch (error) {
      if (!isFaultOfItem(error)) throw error
      return this.#planInParts(until, limit, decide, asksActive, scope)
    }
  }

  async #planInParts(
    until: Date,
    limit: number,
    decide: (jobs: readonly DueJob[]) => readonly PlanDecision[],
    asksActive: (jobId: string) => boolean,
    scope: PlanScope,
  ): Promise<PlanResult> {
    const { db, dialect } = this.#database
    const jobs = await dueJobs(db, dialect.instant(until), limit, scope).execute()
    const refused: RefusedPlan[] = []
    const planned = await halved(
      jobs,
      (some) =>
        this.#database.transaction(async (trx) => {
          const only = some.map(({ id }) => id)
          const rows = await this.#lockDue(trx, until, some.length, { only })
          const decisions = decide(await this.#describeDue(trx, rows, asksActive))
          // Existing rows may be the reason why the larger part failed. They are read only for a part with a single job.
          const left = some.length > 1 ? decisions : await this.#notPlanned(trx, decisions)
          await this.#writePlan(trx, left)
          return left
        }),
      ({ id: jobId }, refusal) => {
        refused.push({ jobId, refusal })
        return []
      },
      isFaultOfItem,
    )
    return { due: jobs.length, written: planned.flat(), refused }
  }

  #notPlanned(trx: Transaction<Tables>, decisions: readonly PlanDecision[]): Promise<PlanDecision[]> {
    return Promise.all(decisions.map((decision) => withoutPlanned(trx, this.#database.dialect, decision)))
  }

  #lockDue(trx: Transaction<Tables>, until: Date, limit: number, scope: PlanScope): Promise<DueRow[]> {
    const { dialect } = this.#database
    return dueJobs(trx, dialect.instant(until), limit, scope).modifyEnd(dialect.forUpdateSkipLocked).execute()
  }

  async #describeDue(
    trx: Transaction<Tables>,
    rows: readonly DueRow[],
    asksActive: (jobId: string) => boolean,
  ): Promise<DueJob[]> {
    if (rows.length === 0) return []
    const { dialect } = this.#database
    for (const { id, next_tick, window_cursor } of rows)
      assertSound(dialect, 'piko_job', { id, next_tick, window_cursor })
    const ids = rows.map((row) => row.id)
    const windowed = rows.flatMap((row) => (row.windows === null ? [] : row.id))
    const pending = await pendingWindows(trx, dialect, windowed)
    const generations = await generationsOf(trx, dialect, windowed)
    const cursors = rows.flatMap(({ id, windows, window_cursor }): [string, Date][] =>
      windows === null ? [] : [[id, optionalDate(window_cursor, dialect) ?? new Date(FIRST_INSTANT_MS)]],
    )
    const beyond = await windowsBeyond(trx, dialect, new Map(cursors))
    const active = await activeRuns(trx, ids.filter(asksActive))
    return rows.map((row) => {
      const windowCursor = optionalDate(row.window_cursor, dialect)
      return {
        id: row.id,
        schedule: row.planned_schedule,
        // If no next tick is stored, the cursor of a job with windows stands in for it.
        nextTick: optionalDate(row.next_tick, dialect) ?? windowCursor,
        windowCursor,
        hasWindows: row.windows !== null,
        ...(row.windows !== null && { generations: generations.get(row.id) ?? [], beyond: beyond.get(row.id) }),
        pending: pending.get(row.id) ?? 0,
        active: active.get(row.id) ?? 0,
      }
    })
  }

  async #writePlan(trx: Transaction<Tables>, decisions: readonly PlanDecision[]): Promise<void> {
    const { dialect } = this.#database
    const runs = decisions.flatMap((decision) => decision.runs)
    const runIds = await insertRuns(
      trx,
      dialect,
      runs.map((run) => newRow(dialect, run)),
    )
    const windows = [
      ...runs.flatMap((run, index) =>
        run.window ? { jobId: run.jobId, window: run.window, state: 'pending' as const, runId: runIds[index] } : [],
      ),
      ...decisions.flatMap((decision) =>
        decision.skippedWindows.map((window) => ({
          jobId: decision.jobId,
          window,
          state: 'skipped' as const,
        })),
      ),
      ...decisions.flatMap(({ jobId, waitingWindows }) =>
        waitingWindows.map((window) => ({ jobId, window, state: 'waiting' as const })),
      ),
    ]
    for (const chunk of chunksOf(windows, MAX_ROWS)) await insertWindows(trx, dialect, chunk)
    for (const chunk of chunksOf(decisions, MAX_ROWS)) await updatePlans(trx, dialect, chunk)
  }

  /**
   * Returns the active runs of jobs that are due, read in one statement. If another planner creates a run for a tick, it also moves the
   * job's `plan_at` in the same transaction. So such a run is never included.
   */
  async overlapped(now: Date, jobIds: readonly string[]): Promise<number[]> {
    if (jobIds.length === 0) return []
    const { db, dialect } = this.#database
    const rows = await db
      .selectFrom('piko_job')
      .innerJoin('piko_run', 'piko_run.job_id', 'piko_job.id')
      .select('piko_run.id')
      .where('piko_job.id', 'in', jobIds)
      .where('piko_job.plan_at', '<=', dialect.instant(now))
      .where('piko_job.is_paused', '=', 0)
      .where(isActive)
      .execute()
    return rows.map((row) => row.id)
  }

  async agenda(scope = ALL_JOBS): Promise<Agenda> {
    const { db, dialect } = this.#database
    const isAll = 'except' in scope && scope.except.length === 0
    const query = isAll ? agendaOfAll(db, dialect, {}) : agendaQuery(db, dialect, scope).compile()
    const [row] = (await db.executeQuery<AgendaRow>(query)).rows
    if (!row) throw new Error('the database has not returned its time')
    const now = dialect.date(row.now)
    return {
      now,
      nextPlanAt: planTime(row.plan_at, now, dialect),
      hasEdits: row.edited !== null,
    }
  }

  /** Returns the jobs whose schedules a user has edited since they were planned. */
  async edited(): Promise<{ id: string; schedule: string | null }[]> {
    return this.#database.db.selectFrom('piko_job').select(['id', 'schedule']).where(IS_EDITED).execute()
  }

  /**
   * Plans a job again after an edit, unless its schedule was edited once more. New windows begin where the old ones end.
   *
   * @param spec the schedule that sets the bounds of new windows, as JSON from `scheduleJson`; undefined: none
   * @returns false if the job was edited again or another node has already planned it
   */
  async replan(
    jobId: string,
    schedule: string | null,
    spec: string | undefined,
    nextTick: Date | undefined,
  ): Promise<boolean> {
    const { dialect } = this.#database
    const tick = nextTick ? dialect.instant(nextTick) : null
    return this.#database.transaction(async (trx) => {
      const row = await trx
        .selectFrom('piko_job')
        .select(['id', 'schedule', 'planned_schedule', 'window_cursor'])
        .where('id', '=', jobId)
        .modifyEnd(dialect.forUpdate)
        .executeTakeFirst()
      if (row?.schedule !== schedule || row.planned_schedule === schedule) return false
      assertSound(dialect, 'piko_job', row)
      const cursor = optionalDate(row.window_cursor, dialect)
      if (cursor && spec !== undefined) await addGeneration(trx, dialect, jobId, cursor, spec)
      await trx
        .updateTable('piko_job')
        .set({ planned_schedule: schedule, next_tick: tick, plan_at: tick })
        .where('id', '=', jobId)
        .execute()
      return true
    })
  }
}

/**
 * Reads when a job is due. A user may have written a string that is not an instant. If the database considers this text due, planning the
 * job replaces it.
 */
function planTime(value: Date | string | null, now: Date, dialect: Dialect): Date | undefined {
  try {
    return optionalDate(value, dialect)
  } catch {
    // MySQL's date of zeros is before all other dates, so the job is due.
    return typeof value !== 'string' || value <= now.toISOString() ? now : undefined
  }
}

const IS_EDITED = sql<SqlBool>`COALESCE(schedule, '') <> COALESCE(planned_schedule, '')`

type DueRow = Pick<Selectable<JobTable>, 'id' | 'planned_schedule' | 'next_tick' | 'window_cursor' | 'windows'>

function inScope(eb: ExpressionBuilder<Tables, 'piko_job'>, scope: PlanScope) {
  if ('only' in scope) return eb('id', 'in', scope.only.length > 0 ? scope.only : [''])
  return scope.except.length > 0 ? eb('id', 'not in', scope.except) : eb.lit(true)
}

function dueJobs(db: Kysely<Tables>, until: Date | string, limit: number, scope: PlanScope) {
  return db
    .selectFrom('piko_job')
    .select(['id', 'planned_schedule', 'next_tick', 'window_cursor', 'windows'])
    .where('plan_at', '<=', until)
    .where('is_paused', '=', 0)
    .where((eb) => inScope(eb, scope))
    .orderBy('plan_at')
    .limit(limit)
}

async function activeRuns(trx: Transaction<Tables>, jobIds: readonly string[]): Promise<Map<string, number>> {
  if (jobIds.length === 0) return new Map()
  const rows = await trx
    .selectFrom('piko_run')
    .select((eb) => ['job_id', eb.fn.countAll<number>().as('count')])
    .where(isActive)
    .where('job_id', 'in', jobIds)
    .groupBy('job_id')
    .execute()
  return new Map(rows.map((row) => [row.job_id, Number(row.count)]))
}
