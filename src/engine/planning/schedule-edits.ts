import { databaseFault } from '../../sql/database-faults.ts'
import { messageOf } from '../../errors-read.ts'
import { PikoError, toError } from '../../errors.ts'
import type { Settings } from '../../settings/settings.ts'
import type { Events } from '../../events.ts'
import type { JobRegistry } from '../../job/registry.ts'
import type { JobDefinition } from '../../job/spec.ts'
import { isOptionFault } from '../../option-function.ts'
import type { PlanStore } from '../../store/jobs/plan-store.ts'
import { BrokenRow } from '../../store/values/broken-row.ts'
import { Schedule, scheduleJson, type ScheduleSpec } from '../../time/schedule.ts'
import type { LoopHealth } from '../loop/loop-health.ts'
import type { Leader } from '../node/leader.ts'
import type { OwnPlans } from './own-plans.ts'
import { boundsOf, scheduleInForce } from './plan-job.ts'

/** How long a job that can't be planned is skipped: its functions throw, or another node has added or removed its windows. */
export const PAUSE_MS = 10_000

/** If the leader has not applied an edit after this many poll intervals, its code does not know the job. */
const LEFT_EDIT = 2

/** A job whose schedule a user has edited. */
export type Edit = Awaited<ReturnType<PlanStore['edited']>>[number]

interface LeftEdit {
  readonly schedule: string | null
  readonly sinceMs: number
}

/** A job's schedule and next tick after an edit. */
interface NewTime {
  readonly spec: ScheduleSpec | undefined
  readonly nextTick: Date | undefined
}

export interface ScheduleEditsParts {
  readonly plans: PlanStore
  readonly registry: JobRegistry
  readonly leader: Leader
  readonly own: OwnPlans
  readonly events: Events
  readonly loops: LoopHealth
  /** The loop that reports failures. */
  readonly loop: string
  readonly pollIntervalMs: Settings['piko']['pollIntervalMs']
}

/** Applies schedules that were edited in `piko_job`, by a person or by a tool. */
export class ScheduleEdits {
  readonly #parts: ScheduleEditsParts
  /** Edited schedules that can't be read. */
  readonly #refused = new Map<string, string | null>()
  /** Jobs with a failed function or an unreadable row. Each has a time until which its edits are skipped. */
  readonly #paused = new Map<string, number>()
  /** Edits that the leader had not applied when this node last read them. */
  #left: ReadonlyMap<string, LeftEdit> = new Map()

  constructor(parts: ScheduleEditsParts) {
    this.#parts = parts
  }

  /** Forgets which unreadable schedules were reported. Called when this node becomes leader, because the leader must report them itself. */
  beginLead(): void {
    this.#refused.clear()
  }

  async apply(edits: readonly Edit[], now: Date): Promise<void> {
    for (const { id, schedule } of edits) {
      const job = this.#parts.registry.find(id)
      if (!job || this.#refused.get(id) === schedule || this.#isPaused(id, now)) continue
      const time = this.#read(job, schedule, now)
      if (time) await this.#replan(job, schedule, time, now)
    }
  }

  /** Applies the edits that the leader has not applied. */
  async applyLeft(edits: readonly Edit[], now: Date): Promise<void> {
    const before = this.#left
    const nowMs = now.getTime()
    this.#left = new Map(
      edits.map(({ id, schedule }) => {
        const known = before.get(id)
        return [id, { schedule, sinceMs: known?.schedule === schedule ? known.sinceMs : nowMs }]
      }),
    )
    const leftMs = this.#parts.pollIntervalMs * LEFT_EDIT
    await this.apply(
      edits.filter(({ id }) => nowMs - (this.#left.get(id)?.sinceMs ?? nowMs) >= leftMs),
      now,
    )
  }

  async #replan(
    { id, policy: { windows } }: JobDefinition,
    schedule: string | null,
    { spec, nextTick }: NewTime,
    now: Date,
  ): Promise<void> {
    const { plans, own, events, loops, loop, pollIntervalMs } = this.#parts
    try {
      // With a grid, the schedule decides only when windows run, and not their bounds.
      const bounds = spec && windows ? boundsOf(windows, spec) : spec
      const isReplanned = await plans.replan(id, schedule, bounds && scheduleJson(bounds), nextTick)
      this.#refused.delete(id)
      if (isReplanned) own.keep(id, nextTick)
      if (isReplanned) events.emit('schedule.changed', { jobId: id, schedule })
    } catch (thrown) {
      // Except during an outage, the other jobs must still be planned if a readable schedule can't be stored.
      if (databaseFault(thrown) === 'outage') throw thrown
      if (thrown instanceof BrokenRow) {
        this.#paused.set(id, now.getTime() + PAUSE_MS)
        plans.broken.report(thrown)
      } else loops.failed({ loop, thrown, retryInMs: pollIntervalMs, failures: 1 })
    }
  }

  #read(job: JobDefinition, schedule: string | null, now: Date): NewTime | undefined {
    const { leader, events, loop } = this.#parts
    try {
      const spec = scheduleInForce(job, schedule)
      // For a job with windows, the planner finds the next tick from the cursor.
      return { spec, nextTick: spec && (job.policy.windows ? now : Schedule.of(spec, job.id).next(now)) }
    } catch (thrown) {
      if (isOptionFault(thrown, job.id)) {
        // The row is valid, but a function of the job fails.
        this.#paused.set(job.id, now.getTime() + PAUSE_MS)
        if (leader.isLeader)
          events.emit('loop.failed', { loop, error: unplannable(job.id, thrown), retryInMs: PAUSE_MS })
        return undefined
      }
      // This is reported once. The previous schedule stays valid until a user corrects the row.
      this.#refused.set(job.id, schedule)
      if (leader.isLeader) events.emit('schedule.refused', { jobId: job.id, schedule, error: toError(thrown) })
      return undefined
    }
  }

  #isPaused(jobId: string, now: Date): boolean {
    return (this.#paused.get(jobId) ?? -Infinity) > now.getTime()
  }
}

/** Returns the error for a job that can't be planned. Its cause is the error of the function. */
export function unplannable(jobId: string, thrown: unknown): PikoError {
  const isOption = isOptionFault(thrown, jobId)
  return new PikoError('JOB_INVALID', `job "${jobId}" can't be planned: ${messageOf(thrown)}`, {
    cause: isOption && thrown.cause !== undefined ? thrown.cause : thrown,
    details: isOption ? { ...thrown.details } : { jobId },
  })
}
