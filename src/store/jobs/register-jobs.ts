import type { Selectable, Transaction, UpdateObject } from 'kysely'
import { batchesOf, sentBytes } from '../../sql/statement-size.ts'
import { FIRST_INSTANT_MS, readInstant } from '../../time/instant.ts'
import type { Database } from '../connection/database.ts'
import type { Dialect } from '../connection/dialect.ts'
import { fromJson } from '../../json/json.ts'
import { note } from '../events/notes.ts'
import { optionalDate } from '../runs/run-row.ts'
import type { JobTable, Tables } from '../tables.ts'
import { assertSound } from '../values/broken-row.ts'
import { writeDependencies } from '../windows/dependencies.ts'
import { addGeneration, generationsOf } from '../windows/generations.ts'
import type { AddedJob, JobRegistration } from './job-row.ts'

/** Writes the jobs as declared in code. See `JobStore.register`. */
export async function registerJobs(database: Database, registrations: readonly JobRegistration[]): Promise<AddedJob[]> {
  // SQLite accepts 32,766 parameters per statement.
  const limits = { maxRows: 1_000, maxBytes: database.dialect.sizes.batch }
  const added: AddedJob[] = []
  for (const batch of batchesOf(registrations, registrationBytes, limits)) {
    added.push(...(await registerChunk(database, batch)))
  }
  return added
}

async function registerChunk(database: Database, registrations: readonly JobRegistration[]): Promise<AddedJob[]> {
  const { dialect } = database
  return database.transaction(async (trx) => {
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
      const now = dialect.now()
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
          deadline_ms: job.deadlineMs ?? null,
          hooks: job.hooks ?? null,
          created_at: now,
          updated_at: now,
        })),
      )
      // Another node that starts at the same time writes the same rows, so duplicates are ignored.
      await dialect.insertIgnore(insert).execute()
      await beginGenerations(trx, dialect, added)
      note(trx, () => added.map(({ id: jobId }) => ({ kind: 'job' as const, jobId, change: 'added' as const })))
    }
    for (const job of registrations) await changeJob(trx, dialect, job, known.get(job.id))
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

async function beginGenerations(
  trx: Transaction<Tables>,
  dialect: Dialect,
  jobs: readonly JobRegistration[],
): Promise<void> {
  const rows = jobs.flatMap(({ id, schedule, bounds, begin: { windowCursor } }) =>
    windowCursor && schedule !== null
      ? {
          job_id: id,
          start_at: dialect.instant(windowCursor),
          schedule: bounds ?? schedule,
          created_at: dialect.now(),
        }
      : [],
  )
  if (rows.length === 0) return
  const insert = trx.insertInto('piko_generation').values(rows)
  await dialect.insertIgnore(insert).execute()
}

async function changeJob(
  trx: Transaction<Tables>,
  dialect: Dialect,
  job: JobRegistration,
  row: Selectable<JobTable> | undefined,
): Promise<void> {
  if (!row) return
  // An override in the database takes precedence over the schedule in the code.
  const isOverridden = row.schedule !== row.code_schedule
  const isRescheduled = row.windows !== job.windows || (!isOverridden && row.schedule !== job.schedule)
  const description = job.description?.slice(0, 500) ?? null
  const told = { deadline_ms: job.deadlineMs ?? null, hooks: job.hooks ?? null }
  const isToldSame =
    (row.deadline_ms === null ? null : Number(row.deadline_ms)) === told.deadline_ms && row.hooks === told.hooks
  if (!isRescheduled && isToldSame && row.code_schedule === job.schedule && row.description === description) return
  await trx
    .updateTable('piko_job')
    .set({
      description,
      ...told,
      updated_at: dialect.now(),
      code_schedule: job.schedule,
      ...(isRescheduled && (await reschedule(trx, dialect, job, row))),
      // The planner treats the override like a new edit.
      ...(isOverridden && { schedule: row.schedule }),
    })
    .where('id', '=', job.id)
    .execute()
}

/**
 * Returns the changes to the row of a job whose schedule or windows have changed in the code. Also stores the schedule that sets the bounds
 * of its new windows.
 */
async function reschedule(
  trx: Transaction<Tables>,
  dialect: Dialect,
  job: JobRegistration,
  row: Selectable<JobTable>,
): Promise<UpdateObject<Tables, 'piko_job'>> {
  const { schedule } = job
  const bounds = job.bounds ?? schedule
  const { id, ledger_start, window_cursor } = row
  assertSound(dialect, 'piko_job', { id, ledger_start, window_cursor })
  const nextTick = job.begin.nextTick ? dialect.instant(job.begin.nextTick) : null
  const changes = { schedule, planned_schedule: schedule, windows: job.windows }
  const { windowCursor } = job.begin
  if (job.windows === null || bounds === null || !windowCursor) {
    return { ...changes, next_tick: nextTick, plan_at: nextTick, ledger_start: null, window_cursor: null }
  }
  const stored = (await generationsOf(trx, dialect, [job.id])).get(job.id)
  // If the code moves `windows.start` to an earlier time and there are no windows yet, the ledger begins again at the new start.
  const cursor = optionalDate(window_cursor, dialect)
  const isAtStart = cursor !== undefined && cursor.getTime() === declaredStart(row)
  const beginsAgain = isAtStart && windowCursor < cursor && !(await hasWindow(trx, job.id))
  const ledger = beginsAgain
    ? { start: windowCursor, cursor: windowCursor }
    : ledgerOf(job, windowCursor, row, stored?.[0]?.schedule ?? bounds, dialect)
  await addGeneration(trx, dialect, job.id, ledger.cursor, bounds)
  return {
    ...changes,
    next_tick: nextTick,
    // The planner finds the next tick from the cursor.
    plan_at: dialect.now(),
    ledger_start: dialect.instant(ledger.start),
    window_cursor: dialect.instant(ledger.cursor),
  }
}

/**
 * Returns where the ledger of a job begins and continues if its schedule or windows have changed. It continues at the end of the old
 * windows. Exception: the code only moves the first start earlier, and one of the windows from the new start begins exactly at the old one.
 * Then the planner returns to the new start, and skips the windows that exist.
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
  const isSame = codeBounds(row) === (job.bounds ?? job.schedule)
  const isExtended = begin < start && isSame && job.isBoundary?.(start, first) === true
  return isExtended ? { start: begin, cursor: begin } : { start, cursor }
}

/** Returns `windows.start` in ms, as declared by the code that last registered the job. */
function declaredStart({ windows }: Selectable<JobTable>): number | undefined {
  const begin = readInstant((fromJson(windows) as { readonly start?: unknown } | undefined)?.start)
  return 'date' in begin ? begin.date.getTime() : undefined
}

async function hasWindow(trx: Transaction<Tables>, jobId: string): Promise<boolean> {
  const row = await trx.selectFrom('piko_window').select('id').where('job_id', '=', jobId).limit(1).executeTakeFirst()
  return row !== undefined
}

/** Returns the schedule that sets the bounds of the windows, as declared by the code that last registered the job. */
function codeBounds({ windows, code_schedule }: Selectable<JobTable>): string | null {
  const grid = (fromJson(windows) as { readonly grid?: unknown } | undefined)?.grid
  return grid === undefined ? code_schedule : JSON.stringify(grid)
}

function addedJob(
  { id, windows, begin }: JobRegistration,
  row: Selectable<JobTable> | undefined,
): AddedJob | undefined {
  if (!row) return { id, planAt: begin.nextTick }
  if ((row.windows === null) === (windows === null)) return undefined
  // The job is due immediately, so that the planner finds the first window from the cursor.
  return { id, planAt: windows === null ? begin.nextTick : new Date(FIRST_INSTANT_MS) }
}

const REGISTRATION_BYTES = 600

function registrationBytes({ description, schedule, windows }: JobRegistration): number {
  // The schedule is stored in three columns.
  return REGISTRATION_BYTES + sentBytes(description) + 3 * sentBytes(schedule) + sentBytes(windows)
}
