import { OVERLAPS } from '../../job/overlap.ts'
import { HOOK_KINDS, HOOK_OF } from '../../notice/notice.ts'
import type { JobDefinition, WindowPolicy } from '../../job/spec.ts'
import type { StoredGeneration } from '../../store/windows/generations.ts'
import type { StoredWindows } from '../../store/windows/stored-windows.ts'
import { DueWindows } from '../../time/due-windows.ts'
import { LAST_INSTANT_MS } from '../../time/instant.ts'
import { jitterOf } from '../../time/jitter.ts'
import { Schedule, scheduleJson, type ScheduleSpec } from '../../time/schedule.ts'
import { defaultsOf, storedSchedule, windowDefaults } from '../../time/stored-schedule.ts'
import { Timeline, type Window } from '../../time/window.ts'
import type { NewRun } from '../../store/runs/new-run.ts'
import type { DueJob, PlanDecision } from '../../store/jobs/plan.ts'
import type { JobRegistration } from '../../store/jobs/job-row.ts'

/** The maximum number of ticks or windows of one job that one pass plans. The next pass continues from there. */
const LARGEST_STEP = 500
/** The maximum number of pending and waiting windows of one job. When some end, more are planned. */
const MAX_PENDING = 1_000
const FULL_QUEUE_PAUSE_MS = 250

/** Returns the row to register for a job, and where planning begins if the job is new. */
export function registrationOf(job: JobDefinition, now: Date): JobRegistration {
  const { schedule: spec, windows, deadlineMs, hooks } = job.policy
  const kinds = HOOK_KINDS.filter((kind) => hooks[HOOK_OF[kind]] !== undefined)
  const begin = spec ? beginOf(job.id, spec, windows, now) : {}
  return {
    id: job.id,
    description: job.description,
    schedule: spec ? scheduleJson(spec) : null,
    ...(spec && windows && { bounds: scheduleJson(boundsOf(windows, spec)) }),
    windows: windows ? JSON.stringify(windows) : null,
    dependsOn: job.policy.dependsOn,
    onUpstreamChange: job.policy.onUpstreamChange,
    ...(deadlineMs !== undefined && { deadlineMs }),
    ...(kinds.length > 0 && { hooks: kinds.join(',') }),
    begin: { nextTick: begin.nextTick, windowCursor: begin.windowCursor },
    ...(spec &&
      windows && {
        isBoundary: (instant: Date, stored: string) =>
          timelineOf(job, windows, [{ start: windows.start, schedule: stored }]).startingAt(instant) !== undefined,
      }),
  }
}

interface Begin {
  readonly nextTick?: Date | undefined
  readonly windowCursor?: Date | undefined
}

function beginOf(jobId: string, spec: ScheduleSpec, windows: WindowPolicy | undefined, now: Date): Begin {
  if (!windows) return { nextTick: Schedule.of(spec, jobId).next(spec.kind === 'at' ? new Date(0) : now) }
  const timeline = new Timeline(Schedule.of(boundsOf(windows, spec), jobId), windows)
  const due = new DueWindows(windows, spec, jobId)
  const windowCursor = firstCursor(timeline, windows, due.lastEnd(now))
  const first = timeline.windowFrom(windowCursor)
  return { windowCursor, nextTick: first && due.at(first.end) }
}

/** Returns where planning begins for a new job with windows. @param lastEnd windows with a later end are not due yet */
function firstCursor(timeline: Timeline, windows: WindowPolicy, lastEnd: Date): Date {
  switch (windows.catchUp) {
    case 'all':
      return windows.start
    case 'latest':
      return timeline.latestBefore(lastEnd)?.start ?? windows.start
    case 'none':
      return timeline.latestBefore(lastEnd)?.end ?? windows.start
  }
}

/**
 * Returns the schedule that sets the bounds of a job's windows.
 *
 * @param schedule the job's own schedule
 */
export function boundsOf<S extends ScheduleSpec | undefined>({ grid }: WindowPolicy, schedule: S): ScheduleSpec | S {
  return grid ?? schedule
}

/** Returns the time zone of the dates that name a job's windows, as the job's code declares it. */
export function zoneOfDefinition({ policy: { windows, schedule } }: JobDefinition): string {
  const spec = windows ? boundsOf(windows, schedule) : schedule
  return (spec && 'timezone' in spec && spec.timezone) || 'UTC'
}

/**
 * Whether this code and the code that last registered the job agree about windows. During a deploy, one may have windows and the other not.
 * Then only nodes with the other code plan the job, because planning windows as ticks, or ticks as windows, would be wrong. Pure.
 */
export function isPlannedHere(job: JobDefinition, { hasWindows }: DueJob): boolean {
  return hasWindows === undefined || hasWindows === (job.policy.windows !== undefined)
}

/**
 * Decides what to plan for a job that is due. Pure.
 *
 * @param now the current time on the database's clock
 * @param until plans up to this instant; a run never starts before its tick
 */
export function planJob(job: JobDefinition, due: DueJob, now: Date, until: Date): PlanDecision {
  const { windows } = job.policy
  const spec = scheduleInForce(job, due.schedule)
  if (!spec)
    return {
      jobId: due.id,
      runs: [],
      skippedWindows: [],
      waitingWindows: [],
      nextTick: undefined,
      planAt: undefined,
      windowCursor: due.windowCursor,
    }
  return windows
    ? planWindows(
        job,
        windows,
        { free: timelineOf(job, windows, due.generations), rule: new DueWindows(windows, spec, job.id) },
        due,
        now,
        until,
      )
    : planTicks(job, Schedule.of(spec, job.id), due, now, until)
}

/**
 * Returns the schedule in the database, which a person may have edited.
 *
 * @throws PikoError `SCHEDULE_INVALID`
 */
export function scheduleInForce(job: JobDefinition, stored: string | null | undefined): ScheduleSpec | undefined {
  const { schedule, windows } = job.policy
  if (stored === undefined || (schedule && scheduleJson(schedule) === stored)) return schedule
  if (stored === null) return undefined
  const ofWindows = windows && windowDefaults(windows.start.toISOString())
  return storedSchedule(stored, { ...defaultsOf(schedule), ...ofWindows }, job.id)
}

/** Returns the windows of a job. Each is computed with the schedule that was valid at its time. */
export function timelineOf(
  job: JobDefinition,
  windows: WindowPolicy,
  generations: readonly StoredGeneration[] = [],
): Timeline {
  const known = generations.flatMap(({ start, schedule }) => {
    const spec = scheduleInForce(job, schedule)
    return spec ? { start, schedule: Schedule.of(spec, job.id) } : []
  })
  if (known.length > 0) return new Timeline(Schedule.across(known), windows)
  return new Timeline(Schedule.of(boundsOf(windows, job.policy.schedule as ScheduleSpec), job.id), windows)
}

function planTicks(job: JobDefinition, schedule: Schedule, due: DueJob, now: Date, until: Date): PlanDecision {
  const { misfireGraceMs, misfireLimit, overlap, priority } = job.policy
  // The number of active runs is known only at the tick itself.
  const { maxActive, isDecidedAtTick, cancels } = OVERLAPS[overlap]
  const horizon = isDecidedAtTick || cancels ? now : until
  const caughtUpFrom = misfiresFrom(schedule, new Date(now.getTime() - misfireGraceMs), misfireLimit)
  const runs: NewRun[] = []
  let { active } = due
  let tick: Date | undefined = due.nextTick
  while (tick && tick <= horizon && runs.length < LARGEST_STEP) {
    const next = schedule.next(tick)
    const isMisfire = now.getTime() - tick.getTime() > misfireGraceMs && tick < caughtUpFrom
    const isOvertaken = cancels && next !== undefined && next <= horizon
    const skipped = isMisfire ? 'misfire' : isOvertaken || active >= maxActive ? 'overlap' : undefined
    runs.push({ jobId: job.id, kind: 'scheduled', priority, runAt: startOf(job, tick), tick, skipped })
    if (skipped === undefined) active += 1
    tick = next
  }
  return {
    jobId: job.id,
    runs,
    skippedWindows: [],
    waitingWindows: [],
    nextTick: tick,
    planAt: tick,
    windowCursor: undefined,
  }
}

/** Returns the earliest of the last `limit` ticks before an instant, or the instant itself if there is none. */
function misfiresFrom(schedule: Schedule, before: Date, limit: number): Date {
  let from = before
  for (let count = 0; count < limit; count++) {
    const previous = schedule.previous(from)
    if (!previous) break
    from = previous
  }
  return from
}

function startOf({ id, policy }: JobDefinition, tick: Date): Date {
  return new Date(Math.min(LAST_INSTANT_MS, tick.getTime() + jitterOf(id, tick, policy.jitterMs)))
}

function planWindows(
  job: JobDefinition,
  windows: WindowPolicy,
  { free, rule }: { readonly free: Timeline; readonly rule: DueWindows },
  due: DueJob,
  now: Date,
  until: Date,
): PlanDecision {
  const { windows: stored, until: knownUntil } = due.beyond ?? NONE_BEYOND
  const timeline = free.around(stored)
  const exists = new Set(stored.map(({ start }) => start.getTime()))
  const lastEnd = rule.lastEnd(until)
  const horizon = knownUntil && knownUntil < lastEnd ? knownUntil : lastEnd
  const runs: NewRun[] = []
  const skippedWindows: Window[] = []
  const waitingWindows: Window[] = []
  const waits = job.policy.dependsOn.length > 0
  const planned = (): number => runs.length + waitingWindows.length
  const latest = windows.catchUp === 'latest' ? timeline.latestBefore(rule.lastEnd(now)) : undefined
  const room = MAX_PENDING - due.pending
  const place = (window: Window, following: Window | undefined): void => {
    const at = rule.at(window.end) ?? window.end
    const isSkipped =
      (latest !== undefined && window.end < latest.end) ||
      (windows.catchUp === 'none' && now.getTime() - at.getTime() > job.policy.misfireGraceMs)
    if (isSkipped) skippedWindows.push(window)
    else if (waits) waitingWindows.push(window)
    else {
      // A tick belongs to only one run: the run of the last window that is due at this tick.
      const isShared = following !== undefined && rule.at(following.end)?.getTime() === at.getTime()
      const run = { jobId: job.id, kind: 'scheduled', priority: job.policy.priority, window } as const
      runs.push({ ...run, runAt: startOf(job, at), tick: isShared ? undefined : at })
    }
  }
  let cursor = cursorOf(due, windows, stored)
  let next = timeline.windowFrom(cursor)
  let looked = 0
  while (next && next.end <= horizon && planned() < room && looked < LARGEST_STEP) {
    looked += 1
    cursor = next.end
    const following = timeline.windowFrom(cursor)
    if (!exists.has(next.start.getTime())) place(next, following)
    next = following
  }
  const isDue = next !== undefined && next.end <= lastEnd
  const nextDue = next && rule.at(next.end)
  const isCut = knownUntil !== undefined && (isDue || cursor < windows.start)
  return {
    jobId: job.id,
    runs,
    skippedWindows,
    waitingWindows,
    nextTick: nextDue,
    // `isCut` means that not all stored windows were read, so the next pass continues immediately from there.
    planAt: isDue && planned() >= room ? new Date(now.getTime() + FULL_QUEUE_PAUSE_MS) : isCut ? now : nextDue,
    // If `windows.start` is later than the cursor, the cursor moves only with the first window. So if the code moves the start back before
    // then, no time is left out.
    windowCursor: looked === 0 && !isCut ? (due.windowCursor ?? cursor) : cursor,
  }
}

const NONE_BEYOND: StoredWindows = { windows: [], until: undefined }

/**
 * Returns where planning continues. The code may declare a start after the cursor. If a person has moved the cursor back into a window,
 * planning continues at that window's end. Known windows of the ledger are never skipped.
 */
function cursorOf({ windowCursor, beyond }: DueJob, { start }: WindowPolicy, stored: readonly Window[]): Date {
  const wanted = windowCursor && windowCursor > start ? windowCursor : start
  const cursor = beyond?.until && beyond.until < wanted ? beyond.until : wanted
  return stored.find((window) => window.start < cursor && window.end > cursor)?.end ?? cursor
}
