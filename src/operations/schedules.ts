import { PikoError } from '../errors.ts'
import { zoneOfDefinition } from '../engine/planning/plan-job.ts'
import { isOverridden, storedJob, zoneOfJob, zoneOfSchedule } from '../engine/planning/stored-job.ts'
import { changing } from '../engine/refused-changes.ts'
import type { AnyJob, KnownJob } from '../job/job-types.ts'
import type { JobRow } from '../store/jobs/job-row.ts'
import { unknownJob } from '../store/jobs/unknown-job.ts'
import type { Store } from '../store/store.ts'
import type { DueParts } from '../time/due-windows.ts'
import { momentOf } from '../time/local-dates.ts'
import { type DueWindow, type Preview, type PreviewBounds, previewer, type PreviewTick } from '../time/preview.ts'
import { Schedule, scheduleJson, type ScheduleSpec } from '../time/schedule.ts'
import { defaultsOf } from '../time/stored-schedule.ts'
import { optionsOf } from './call-options.ts'
import { fromJson } from '../json/json.ts'
import { loopTurn } from '../loop-turn.ts'
import { jobIdOf } from './job-id.ts'
import type { PreviewOptions, ScheduleFilter } from './operation-options.ts'
import type { Reach } from './reach.ts'

const DEFAULT_COUNT = 10
/** How many jobs one query reads. */
const PAGE = 1_000

/** The schedule of a job, as it is stored. */
export interface ScheduleStatus {
  readonly jobId: string
  /** The current schedule; null if the job runs only on request. */
  readonly schedule: ScheduleSpec | null
  /** The schedule in code; null if there is none. */
  readonly codeSchedule: unknown
  readonly isOverridden: boolean
  readonly isPaused: boolean
  /** Why the stored schedule can't be read; `schedule` is then the one that is used instead. */
  readonly problem: string | undefined
  readonly nextTick: Date | undefined
}

function scheduleStatus(row: JobRow): ScheduleStatus {
  const { schedule, problem } = storedJob(row)
  return {
    jobId: row.id,
    schedule,
    codeSchedule: fromJson(row.codeSchedule) ?? null,
    isOverridden: isOverridden(row),
    isPaused: row.isPaused,
    problem: problem ?? undefined,
    nextTick: row.nextTick,
  }
}

/** `app.schedules`: schedules that are set at run time and replace those in code. */
export class Schedules {
  readonly #reach: () => Pick<Reach, 'store' | 'registry'>

  constructor(reach: () => Pick<Reach, 'store' | 'registry'>) {
    this.#reach = reach
  }

  /** Lists the schedules of all jobs in the database, by job. */
  async list(filter: ScheduleFilter = {}): Promise<ScheduleStatus[]> {
    const { jobIds, limit = Infinity, ...which } = optionsOf('schedules.list', filter)
    const { store } = this.#reach()
    const found: ScheduleStatus[] = []
    for (let { after } = which, isLast = false; !isLast && found.length < limit;) {
      const size = Math.min(PAGE, limit - found.length)
      const { jobs, next } = await store.jobs.page({
        ...which,
        ...(jobIds && { ids: jobIds }),
        ...(after !== undefined && { after }),
        limit: size,
      })
      for (const row of jobs) found.push(scheduleStatus(row))
      isLast = next === undefined
      after = next
    }
    return found
  }

  /**
   * Overrides the schedule declared in code, or disables it (null). Takes effect on all nodes within one poll, and survives deploys until
   * {@link clear}. New windows continue where the old ones end.
   *
   * @param schedule with null, the job runs only on request
   * @throws PikoError `JOB_UNKNOWN`, `SCHEDULE_INVALID`, `CHANGE_REFUSED`
   * @example
   * await app.schedules.set('report', { kind: 'cron', cron: '0 6 * * 1-5', timezone: 'Europe/Rome' })
   */
  async set<const J extends AnyJob>(asked: KnownJob<J>, schedule: ScheduleSpec | null): Promise<void> {
    const jobId = jobIdOf('app.schedules.set', asked)
    const { store } = this.#reach()
    const job = await jobOf(store, jobId)
    if (schedule) Schedule.of(schedule, jobId)
    if (schedule?.kind === 'at' && job.windows !== null) {
      throw new PikoError(
        'SCHEDULE_INVALID',
        `job "${jobId}" has windows: its schedule must be "cron" or "every", not "at"`,
        {
          details: { jobId, at: schedule.at },
        },
      )
    }
    await override(store, jobId, schedule && scheduleJson(schedule))
  }

  /**
   * Removes the override, so that the schedule in code applies again.
   *
   * @throws PikoError `JOB_UNKNOWN`, `CHANGE_REFUSED`
   */
  async clear<const J extends AnyJob>(asked: KnownJob<J>): Promise<void> {
    const jobId = jobIdOf('app.schedules.clear', asked)
    const { store } = this.#reach()
    await override(store, jobId, (await jobOf(store, jobId)).codeSchedule)
  }

  /**
   * Returns the next ticks of a job, with its current schedule or with the given one. Each tick has its local time in the job's zone and
   * the windows that are due then. Changes nothing.
   *
   * @throws PikoError `JOB_UNKNOWN` for a job that neither this app nor the database knows, `SCHEDULE_INVALID`, `USAGE`; `JOB_INVALID`
   * if a calendar's function fails
   * @example
   * const { ticks } = await app.schedules.preview('report', { from: '2026-03-01T00:00:00Z', count: 40 })
   */
  async preview<const J extends AnyJob>(asked: KnownJob<J>, options: PreviewOptions = {}): Promise<Preview> {
    const jobId = jobIdOf('app.schedules.preview', asked)
    const { store, registry } = this.#reach()
    const { from, count = DEFAULT_COUNT, schedule: tried } = optionsOf('schedules.preview', options)
    const row = await store.jobs.find(jobId)
    const job = registry.find(jobId)
    const policy = job?.policy
    if (!row && !policy) throw unknownJob(jobId)
    if (tried) Schedule.of(tried, jobId)
    const zone = tried ? zoneOfSchedule(tried) : row ? zoneOfJob(row) : job ? zoneOfDefinition(job) : 'UTC'
    const start = from === undefined ? new Date() : momentOf('from of app.schedules.preview', from, zone)
    const schedule =
      tried ??
      (row && (isOverridden(row) || !policy)
        ? storedJob(row, { when: defaultsOf(policy?.schedule).when }).schedule
        : policy?.schedule)
    const bounds = policy ? policy.windows : row && boundsOf(row)
    return schedule ? inTurns(schedule, start, count, bounds ?? 'none', jobId) : { ticks: [], windows: [] }
  }
}

/** Yields to the event loop between the ticks, because each tick of a schedule with hundreds of cron expressions takes milliseconds. */
async function inTurns(
  schedule: ScheduleSpec,
  start: Date,
  count: number,
  bounds: PreviewBounds | 'none',
  jobId: string,
): Promise<Preview> {
  const ticks: PreviewTick[] = []
  const windows: DueWindow[] = []
  const preview = previewer(schedule, bounds, jobId)
  let from = start
  while (ticks.length < count) {
    if (loopTurn.isDue(false)) await loopTurn.next()
    const next = preview(from, 1)
    const [tick] = next.ticks
    if (!tick) break
    ticks.push(tick)
    windows.push(...next.windows)
    from = new Date(tick.at.getTime() + 1)
  }
  return { ticks, windows }
}

function override({ jobs }: Store, jobId: string, schedule: string | null): Promise<void> {
  return changing(`the schedule of job "${jobId}"`, 'piko_job', () => jobs.setSchedule(jobId, schedule))
}

async function jobOf({ jobs }: Store, jobId: string): Promise<JobRow> {
  const job = await jobs.find(jobId)
  if (!job) throw unknownJob(jobId)
  return job
}

function boundsOf({ windows }: JobRow): PreviewBounds | undefined {
  if (windows === null) return undefined
  const { start, end, ...due } = JSON.parse(windows) as DueParts & { readonly start: string; readonly end?: string }
  return { ...due, start: new Date(start), end: end === undefined ? undefined : new Date(end) }
}
