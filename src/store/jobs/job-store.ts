import {
  type ExpressionBuilder,
  type Kysely,
  type Selectable,
  sql,
  type SqlBool,
  type Transaction,
  type UpdateObject,
} from 'kysely'
import { isFaultOfItem } from '../../sql/database-faults.ts'
import { batchesOf, sentBytes } from '../../sql/statement-size.ts'
import { FIRST_INSTANT_MS } from '../../time/instant.ts'
import { assertSound, type BrokenRow, soundRows } from '../values/broken-row.ts'
import { type BrokenRows } from '../values/broken-rows.ts'
import { type Database } from '../connection/database.ts'
import { writeDependencies } from '../windows/dependency-store.ts'
import { type Dialect } from '../connection/dialect.ts'
import { exactId } from '../values/exact-key.ts'
import { addGeneration, generationsOf, type StoredGeneration } from '../windows/generations.ts'
import { halved } from '../statements/halved.ts'
import { insertRuns } from '../runs/insert-rows.ts'
import { insertWindows } from '../windows/insert-windows.ts'
import { mapInTurns } from '../connection/loop-turn.ts'
import { inPages } from '../statements/pages.ts'
import { optionalDate } from '../runs/run-row.ts'
import { isActive } from '../runs/run-states.ts'
import { windowsBeyond } from '../windows/stored-windows.ts'
import { type RunStore } from '../runs/run-store.ts'
import { type JobTable, type Tables } from '../tables.ts'
import { updatePlans } from './update-plans.ts'
import { withoutPlanned } from '../windows/without-planned.ts'
import {
  type DueJob,
  type PlanDecision,
  type PlanResult,
  type RefusedPlan,
  type Agenda,
  type PlanScope,
} from './plan.ts'
import { type JobRegistration, type AddedJob, type JobRow } from './job-row.ts'

const ALL_JOBS: PlanScope = { except: [] }

/** Registration and the planner's cursors. */
export class JobStore {
  readonly #database: Database
  readonly #runs: RunStore

  constructor(database: Database, runs: RunStore) {
    this.#database = database
    this.#runs = runs
  }

  /** Where a row is reported of which a job of this store can't be read. */
  get broken(): BrokenRows {
    return this.#database.broken
  }

  /**
   * Writes what the code says about its jobs. A pause survives; a job whose schedule is unchanged keeps its cursors, so
   * that what was missed meanwhile is seen; a changed schedule goes on where the old one's windows end.
   *
   * @throws BrokenRow: where a job of these goes on can't be read, and nothing is written
   * @returns jobs that nodes with older code do not plan: those that were not known, or that had windows and have none, or the other way
   */
  async register(registrations: readonly JobRegistration[]): Promise<AddedJob[]> {
    const { dialect } = this.#database
    // A statement takes 32,766 parameters on SQLite.
    const limits = { maxRows: 1_000, maxBytes: dialect.sizes.batch }
    const added: AddedJob[] = []
    for (const batch of batchesOf(registrations, registrationBytes, limits)) {
      added.push(...(await this.#registerChunk(batch, dialect)))
    }
    return added
  }

  async #registerChunk(registrations: readonly JobRegistration[], dialect: Dialect): Promise<AddedJob[]> {
    return this.#database.transaction(async (trx) => {
      const rows = await trx
        .selectFrom('piko_job')
        .selectAll()
        .where(
          'id',
          'in',
          registrations.map((job) => job.id),
        )
        .execute()
      const known = new Map(rows.map((row) => [row.id, row]))
      const added = registrations.filter((job) => !known.has(job.id))
      if (added.length > 0) {
        const insert = trx.insertInto('piko_job').values(
          added.map((job) => ({
            id: job.id,
            description: job.description?.slice(0, 500) ?? null,
            schedule: job.schedule,
            code_schedule: job.schedule,
            planned_schedule: job.schedule,
            windows: job.windows,
            next_tick: job.begin.nextTick ? dialect.instant(job.begin.nextTick) : null,
            plan_at: job.begin.nextTick ? dialect.instant(job.begin.nextTick) : null,
            ledger_start: job.begin.windowCursor ? dialect.instant(job.begin.windowCursor) : null,
            window_cursor: job.begin.windowCursor ? dialect.instant(job.begin.windowCursor) : null,
            created_at: dialect.now(),
            updated_at: dialect.now(),
          })),
        )
        // Another node that starts with the same jobs at this moment has written the same rows.
        await (dialect.name === 'sqlite' ? insert.onConflict((oc) => oc.doNothing()) : insert.ignore()).execute()
        await this.#beginGenerations(trx, added)
      }
      for (const job of registrations) await this.#change(trx, job, known.get(job.id))
      await writeDependencies(
        trx,
        registrations.map(({ id, dependsOn = [], onUpstreamChange = 'ignore' }) => ({
          jobId: id,
          upstreams: dependsOn,
          onChange: onUpstreamChange,
        })),
      )
      return registrations.flatMap((job) => addedJob(job, known.get(job.id)) ?? [])
    })
  }

  async #beginGenerations(trx: Transaction<Tables>, jobs: readonly JobRegistration[]): Promise<void> {
    const { dialect } = this.#database
    const rows = jobs.flatMap(({ id, schedule, begin: { windowCursor } }) =>
      windowCursor && schedule !== null
        ? { job_id: id, start_at: dialect.instant(windowCursor), schedule, created_at: dialect.now() }
        : [],
    )
    if (rows.length === 0) return
    const insert = trx.insertInto('piko_generation').values(rows)
    await (dialect.name === 'sqlite' ? insert.onConflict((oc) => oc.doNothing()) : insert.ignore()).execute()
  }

  async #change(trx: Transaction<Tables>, job: JobRegistration, row: Selectable<JobTable> | undefined): Promise<void> {
    if (!row) return
    const { dialect } = this.#database
    // What somebody has set in the database stands, whatever the code says now.
    const isOverridden = row.schedule !== row.code_schedule
    const isRescheduled = row.windows !== job.windows || (!isOverridden && row.schedule !== job.schedule)
    const description = job.description?.slice(0, 500) ?? null
    if (!isRescheduled && row.code_schedule === job.schedule && row.description === description) return
    await trx
      .updateTable('piko_job')
      .set({
        description,
        updated_at: dialect.now(),
        code_schedule: job.schedule,
        ...(isRescheduled && (await this.#reschedule(trx, job, row))),
        // The planner takes it up as if it had been edited now.
        ...(isOverridden && { schedule: row.schedule }),
      })
      .where('id', '=', job.id)
      .execute()
  }

  /** Where a job whose schedule or windows have changed in the code goes on. */
  async #reschedule(
    trx: Transaction<Tables>,
    job: JobRegistration,
    row: Selectable<JobTable>,
  ): Promise<UpdateObject<Tables, 'piko_job'>> {
    const { dialect } = this.#database
    const { schedule } = job
    const { id, ledger_start, window_cursor } = row
    assertSound(dialect, 'piko_job', { id, ledger_start, window_cursor })
    const nextTick = job.begin.nextTick ? dialect.instant(job.begin.nextTick) : null
    const changes = { schedule, planned_schedule: schedule, windows: job.windows }
    const { windowCursor } = job.begin
    if (job.windows === null || schedule === null || !windowCursor) {
      return { ...changes, next_tick: nextTick, plan_at: nextTick, ledger_start: null, window_cursor: null }
    }
    const stored = (await generationsOf(trx, dialect, [job.id])).get(job.id)
    const ledger = ledgerOf(job, windowCursor, row, stored?.[0]?.schedule ?? schedule, dialect)
    await addGeneration(trx, dialect, job.id, ledger.cursor, schedule)
    return {
      ...changes,
      next_tick: nextTick,
      // The planner finds the next tick from the cursor that was kept.
      plan_at: dialect.now(),
      ledger_start: dialect.instant(ledger.start),
      window_cursor: dialect.instant(ledger.cursor),
    }
  }

  /**
   * One pass of planning, in one transaction: reads and locks due jobs, lets `decide` say what is to happen, and writes
   * runs, windows and cursors together. Two planners at once are harmless: a job's row is locked by one of them, and the
   * tick is unique besides.
   *
   * When something was planned before (somebody has set a cursor back, or given windows to a job whose ticks have fired),
   * the pass is repeated in smaller and smaller parts, and what exists is passed over: the other jobs go on, and the cursor moves forward
   * again. So it is when the database refuses a job's plan, or a job's rows can't be read: that job is left as it is.
   *
   * @param until   jobs whose `plan_at` is not after this are due
   * @param decide  pure; may be called again when the transaction is retried; leaves out what is to stay as it is
   * @param asksActive the jobs for which `active` matters; for the others it is 0
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
          // What exists already is looked for only where it is in the way.
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
    const pending = await pendingWindows(trx, windowed)
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
        // A job with windows goes by its cursor; one without a next tick is due for the last time, to be told so.
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
      runs.map((run) => this.#runs.row(run)),
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
    for (const chunk of chunksOf(windows, 1_000)) await insertWindows(trx, dialect, chunk)
    for (const chunk of chunksOf(decisions, 1_000)) await updatePlans(trx, dialect, chunk)
  }

  /**
   * Runs under way of those of these jobs that are due. In one statement: a run that another planner makes for the same tick moves
   * the job's `plan_at` in the same transaction, so it is never among them.
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

  /**
   * Pauses a job's schedule, or lets it go on. Runs that are queued or running are not touched. False: there is no such job.
   */
  async setPaused(jobId: string, isPaused: boolean): Promise<boolean> {
    const { db, dialect } = this.#database
    const { numUpdatedRows } = await this.#database.retry(() =>
      db
        .updateTable('piko_job')
        .set({ is_paused: isPaused ? 1 : 0, updated_at: dialect.now() })
        .where('id', '=', exactId(jobId))
        .executeTakeFirstOrThrow(),
    )
    return numUpdatedRows > 0n
  }

  /** The schedule in force from the next poll on; see `edited`. */
  async setSchedule(jobId: string, schedule: string | null): Promise<void> {
    const { db, dialect } = this.#database
    await this.#database.retry(() =>
      db.updateTable('piko_job').set({ schedule, updated_at: dialect.now() }).where('id', '=', jobId).execute(),
    )
  }

  async agenda(scope = ALL_JOBS): Promise<Agenda> {
    const { db, dialect } = this.#database
    const next = db
      .selectFrom('piko_job')
      .select('plan_at')
      .where('plan_at', 'is not', null)
      .where('is_paused', '=', 0)
      .where((eb) => inScope(eb, scope))
      .orderBy('plan_at')
      .limit(1)
    const edited = db.selectFrom('piko_job').select('id').where(IS_EDITED).limit(1)
    const row = await db
      .selectNoFrom([dialect.now().as('now'), next.as('plan_at'), edited.as('edited')])
      .executeTakeFirstOrThrow()
    const now = dialect.date(row.now)
    return {
      now,
      nextPlanAt: planTime(row.plan_at, now, dialect),
      hasEdits: row.edited !== null,
    }
  }

  /** Jobs whose schedules somebody has edited since they were planned. */
  async edited(): Promise<{ id: string; schedule: string | null }[]> {
    return this.#database.db.selectFrom('piko_job').select(['id', 'schedule']).where(IS_EDITED).execute()
  }

  /**
   * Plans an edited job anew, unless its schedule was edited again meanwhile. The windows of a job that has them go on where the
   * old ones end.
   *
   * @param spec the edited schedule as the code would write it; undefined without one
   * @returns false: it was edited again, or another node has taken it up
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

  /** How the windows of a job were bounded over time, oldest first; none before a node has started with it. */
  async generations(jobId: string): Promise<readonly StoredGeneration[]> {
    const { db, dialect } = this.#database
    return (await generationsOf(db, dialect, [jobId])).get(jobId) ?? []
  }

  /** @throws BrokenRow when its row can't be read */
  async find(jobId: string): Promise<JobRow | undefined> {
    const fail = (row: BrokenRow): never => {
      throw row
    }
    return (await this.list([jobId], fail))[0]
  }

  /** All jobs that the database knows, or those named, by id; `onBroken` gets the rows that can't be read. */
  async list(jobIds?: readonly string[], onBroken = this.#database.broken.report): Promise<JobRow[]> {
    if (jobIds?.length === 0) return []
    const { db, dialect } = this.#database
    let query = db.selectFrom('piko_job').selectAll().orderBy('id')
    if (jobIds) query = query.where('id', 'in', jobIds.map(exactId))
    const rows = await inPages<Selectable<JobTable>>(Infinity, (limit, last) =>
      (last ? query.where('id', '>', last.id) : query).limit(limit).execute(),
    )
    return mapInTurns(soundRows(dialect, 'piko_job', rows, onBroken), (row) => jobOf(row, dialect))
  }
}

function jobOf(row: Selectable<JobTable>, dialect: Dialect): JobRow {
  return {
    id: row.id,
    description: row.description ?? undefined,
    schedule: row.schedule,
    codeSchedule: row.code_schedule,
    plannedSchedule: row.planned_schedule,
    windows: row.windows,
    isPaused: row.is_paused !== 0,
    nextTick: optionalDate(row.next_tick, dialect),
    planAt: optionalDate(row.plan_at, dialect),
    windowCursor: optionalDate(row.window_cursor, dialect),
  }
}

/** One that somebody has edited into what is no instant is due if it sorts as such: planning the job writes it anew. */
function planTime(value: Date | string | null, now: Date, dialect: Dialect): Date | undefined {
  try {
    return optionalDate(value, dialect)
  } catch {
    // A date of zeros sorts first.
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

/**
 * Where a rescheduled job's ledger begins and goes on. Windows go on where the old ones end. When the first window was moved
 * to an earlier start that the old windows continue, the planner goes back to it and passes over what exists.
 *
 * @param first the schedule of the oldest windows
 */
function ledgerOf(
  job: JobRegistration,
  begin: Date,
  row: Selectable<JobTable>,
  first: string,
  dialect: Dialect,
): { start: Date; cursor: Date } {
  const start = optionalDate(row.ledger_start, dialect)
  const cursor = optionalDate(row.window_cursor, dialect)
  if (!start || !cursor) return { start: begin, cursor: begin }
  const isExtended = begin < start && row.code_schedule === job.schedule && job.isBoundary?.(start, first) === true
  return isExtended ? { start: begin, cursor: begin } : { start, cursor }
}

/** Those of backfills are left out: however many of them wait in the queue, live windows are planned. */
async function pendingWindows(trx: Transaction<Tables>, jobIds: readonly string[]): Promise<Map<string, number>> {
  if (jobIds.length === 0) return new Map()
  const rows = await trx
    .selectFrom('piko_window')
    .select((eb) => ['job_id', eb.fn.countAll<number>().as('count')])
    .where('job_id', 'in', jobIds)
    .where('state', 'in', ['pending', 'waiting'])
    .where('backfill_id', 'is', null)
    .groupBy('job_id')
    .execute()
  return new Map(rows.map((row) => [row.job_id, Number(row.count)]))
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

function addedJob(
  { id, windows, begin }: JobRegistration,
  row: Selectable<JobTable> | undefined,
): AddedJob | undefined {
  if (!row) return { id, planAt: begin.nextTick }
  if ((row.windows === null) === (windows === null)) return undefined
  // The planner finds the first window from the cursor, and is due for that at once.
  return { id, planAt: windows === null ? begin.nextTick : new Date(FIRST_INSTANT_MS) }
}

const REGISTRATION_BYTES = 600

function registrationBytes({ description, schedule, windows }: JobRegistration): number {
  // The schedule goes into three columns.
  return REGISTRATION_BYTES + sentBytes(description) + 3 * sentBytes(schedule) + sentBytes(windows)
}

function* chunksOf<T>(items: readonly T[], size: number): Generator<T[]> {
  for (let index = 0; index < items.length; index += size) yield items.slice(index, index + size)
}
