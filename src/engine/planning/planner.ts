import { OVERLAPS } from '../../job/overlap.ts'
import type { JobRegistry } from '../../job/registry.ts'
import type { PlanStore } from '../../store/jobs/plan-store.ts'
import type { CancelStore } from '../../store/runs/cancel-store.ts'
import type { Settings } from '../../settings/settings.ts'
import type { Events } from '../../events.ts'
import type { PrepareRun } from '../prepare-run.ts'
import type { Leader } from '../node/leader.ts'
import { LoopService, type LoopServiceParts } from '../loop/loop-service.ts'
import type { OwnPlans } from './own-plans.ts'
import { RefusedPlans } from './refused-plans.ts'
import { isPlannedHere, planJob } from './plan-job.ts'
import { PAUSE_MS, ScheduleEdits, unplannable } from './schedule-edits.ts'
import type { Agenda, DueJob, PlanDecision, PlanResult, PlanScope } from '../../store/jobs/plan.ts'

const JOBS_PER_PASS = 2_000
/** The approximate number of runs per transaction. The next pass plans the remaining jobs. */
const RUNS_PER_PASS = 10_000

/**
 * The normal number of passes per poll interval. The planner plans one interval in advance, so an edit or a pause affects every tick that
 * is at least one interval away. There is more than one pass per interval. So a pass may be late by a third of the interval without making
 * a tick late.
 */
const LOOKS = 1.5

/**
 * The maximum number of passes per poll interval. A pass begins as soon as the next known tick may be planned. Thousands of jobs may share
 * a tick, and planning them takes a part of the interval.
 */
const MAX_LOOKS = 4

/** How many poll intervals a follower waits at most between two passes. */
const MAX_FOLLOWER_PAUSE = 2

export interface PlannerParts extends LoopServiceParts {
  readonly plans: PlanStore
  readonly agenda: (scope: PlanScope) => Promise<Agenda>
  readonly registry: JobRegistry
  readonly leader: Leader
  readonly own: OwnPlans
  readonly cancels: Pick<CancelStore, 'request'>
  readonly prepare: PrepareRun
  readonly events: Events
  readonly pollIntervalMs: Settings['piko']['pollIntervalMs']
  /** Receives the due times of the planned runs. */
  readonly onPlanned: (runAts: readonly Date[]) => void
}

/**
 * Turns due ticks into runs, many jobs per transaction.
 *
 * The leader plans ahead. During a deploy its code may not know all jobs. So each other node plans its own jobs (see `OwnPlans`), even in
 * advance, but after the leader. It also plans overdue jobs and applies old edits that the leader's code may not know. A tick is stored
 * only once, so planning at the same time as the leader does no harm.
 */
export class Planner extends LoopService {
  readonly #parts: PlannerParts
  // The jobs of other nodes. This node does not plan them, because its code does not know them.
  readonly #unknown = new Set<string>()
  // Known jobs to which another node's code has added windows, or from which it has removed them. Each has a time, in epoch milliseconds,
  // until which only other nodes plan it.
  readonly #otherForm = new Map<string, number>()
  readonly #edits: ScheduleEdits
  readonly #setAside: RefusedPlans
  /** Jobs whose ticks cancel the previous runs. */
  readonly #cancelling: readonly string[]

  constructor(parts: PlannerParts) {
    super('planner', parts)
    this.#parts = parts
    const { plans, registry, leader, own, events, loops, pollIntervalMs } = parts
    this.#cancelling = [...registry].filter((job) => OVERLAPS[job.policy.overlap].cancels).map((job) => job.id)
    this.#setAside = new RefusedPlans(parts)
    this.#edits = new ScheduleEdits({ plans, registry, leader, own, events, loops, loop: this.name, pollIntervalMs })
    leader.onLead(() => {
      this.#edits.beginLead()
      this.wake()
    })
  }

  protected override async step(): Promise<number> {
    if (this.#parts.registry.size === 0) return Infinity
    return this.#parts.leader.isLeader ? this.#lead() : this.#follow()
  }

  async #lead(): Promise<number> {
    const agenda = await this.#look()
    if (agenda.hasEdits) await this.#edits.apply(await this.#parts.plans.edited(), agenda.now)
    const until = new Date(agenda.now.getTime() + this.#parts.pollIntervalMs)
    if (!agenda.nextPlanAt || agenda.nextPlanAt > until) return this.#pauseUntil(agenda)
    const { due, written } = await this.#plan(agenda.now, until, until)
    // After a full pass, more jobs may be due, so the next pass follows immediately. It does not if the pass stored only next ticks,
    // without runs or windows: then its jobs only wait for these ticks.
    const hasWritten = written.some(
      ({ runs, skippedWindows, waitingWindows }) => runs.length + skippedWindows.length + waitingWindows.length > 0,
    )
    if (due === JOBS_PER_PASS && (hasWritten || written.length === 0)) return 0
    return this.#pauseUntil(await this.#parts.agenda(this.#scope))
  }

  async #look(): Promise<Agenda> {
    const agenda = await this.#parts.agenda(this.#scope)
    for (const [id, untilMs] of this.#otherForm) if (untilMs <= agenda.now.getTime()) this.#otherForm.delete(id)
    return agenda
  }

  async #follow(): Promise<number> {
    const { now, nextPlanAt, hasEdits } = await this.#look()
    // The leader plans one interval ahead, in passes that are at most two thirds of an interval apart. So it has already planned every tick
    // that is this close.
    const turnMs = this.#parts.pollIntervalMs / MAX_LOOKS
    await this.#edits.applyLeft(hasEdits ? await this.#parts.plans.edited() : [], now)
    await this.#planOwn(now, new Date(now.getTime() + turnMs))
    const late = new Date(now.getTime() - turnMs)
    if (nextPlanAt && nextPlanAt <= late) await this.#plan(now, late, now)
    const lateInMs = (nextPlanAt?.getTime() ?? Infinity) + turnMs - now.getTime()
    const lookMs = Math.min(
      Math.max(this.#parts.pollIntervalMs / LOOKS, lateInMs),
      this.#parts.pollIntervalMs * MAX_FOLLOWER_PAUSE,
    )
    const ownInMs = this.#parts.own.nextMs - now.getTime()
    return Math.min(lookMs, Math.max(5, ownInMs > turnMs ? ownInMs - turnMs : ownInMs))
  }

  async #planOwn(now: Date, due: Date): Promise<void> {
    const only = this.#parts.own.dueBy(due, JOBS_PER_PASS)
    if (only.length === 0) return
    const { written } = await this.#plan(now, due, new Date(now.getTime() + this.#parts.pollIntervalMs), { only })
    this.#parts.own.settle(only, written, due)
  }

  /**
   * Which jobs to plan: a list of jobs to include or to exclude, whichever is shorter. Leaves out jobs that were refused recently, and
   * those that only other nodes can plan now.
   */
  get #scope(): PlanScope {
    const aside = new Set([...this.#setAside.current, ...this.#otherForm.keys()])
    return this.#unknown.size > this.#parts.registry.size
      ? { only: this.#parts.registry.ids.filter((id) => !aside.has(id)) }
      : { except: [...this.#unknown, ...aside] }
  }

  #pauseUntil({ now, nextPlanAt }: Agenda): number {
    const lookMs = this.#parts.pollIntervalMs / LOOKS
    if (!nextPlanAt) return lookMs
    const ms = nextPlanAt.getTime() - now.getTime()
    // Waits for the next tick if it comes within the interval.
    return Math.min(
      lookMs,
      ms > this.#parts.pollIntervalMs
        ? Math.max(this.#parts.pollIntervalMs / MAX_LOOKS, ms - this.#parts.pollIntervalMs)
        : Math.max(5, ms),
    )
  }

  /**
   * Runs one pass. All instants are on the database's clock, because the clocks of two nodes differ.
   *
   * @param due a job is due if its next planning time is not later than this
   * @param until the due jobs are planned up to this time
   */
  async #plan(now: Date, due: Date, until: Date, scope = this.#scope): Promise<PlanResult> {
    await this.#cancelOthers(now, scope)
    const result = await this.#parts.plans.plan(
      due,
      JOBS_PER_PASS,
      (jobs) => this.#decideAll(jobs, now, until),
      (jobId) => OVERLAPS[this.#parts.registry.find(jobId)?.policy.overlap ?? 'allow'].isDecidedAtTick,
      scope,
    )
    for (const { jobId, planAt } of result.written) this.#parts.own.keep(jobId, planAt)
    this.#report(result.written)
    for (const refused of result.refused) {
      this.#setAside.add(refused)
      this.#parts.own.giveUp(refused.jobId)
    }
    return result
  }

  /**
   * Cancels the earlier runs of jobs with `cancelOther` before their ticks are planned. If the process dies in between, no tick is lost,
   * and the next leader would have cancelled the same runs.
   */
  async #cancelOthers(now: Date, scope: PlanScope): Promise<void> {
    const jobIds = 'only' in scope ? this.#cancelling.filter((id) => scope.only.includes(id)) : this.#cancelling
    const ids = await this.#parts.plans.overlapped(now, jobIds)
    if (ids.length > 0) await this.#parts.cancels.request({ ids })
  }

  #decideAll(jobs: readonly DueJob[], now: Date, until: Date): PlanDecision[] {
    const decisions: PlanDecision[] = []
    let count = 0
    for (const job of jobs) {
      if (count >= RUNS_PER_PASS) break
      const decision = this.#decide(job, now, until)
      if (!decision) continue
      decisions.push(decision)
      count += decision.runs.length + decision.skippedWindows.length + decision.waitingWindows.length
    }
    return decisions
  }

  #decide(due: DueJob, now: Date, until: Date): PlanDecision | undefined {
    const job = this.#parts.registry.find(due.id)
    if (!job || !isPlannedHere(job, due)) {
      if (job) this.#otherForm.set(due.id, now.getTime() + PAUSE_MS)
      else this.#unknown.add(due.id)
      this.#parts.own.giveUp(due.id)
      return undefined
    }
    try {
      const decision = planJob(job, due, now, until)
      return { ...decision, runs: decision.runs.map((run) => this.#parts.prepare.keyed(job, run)) }
    } catch (thrown) {
      // A user's function may fail, and one job must not delay the others.
      const problem = unplannable(job.id, thrown)
      this.#parts.events.emit('loop.failed', { loop: this.name, error: problem, retryInMs: PAUSE_MS })
      return postponed(due, now)
    }
  }

  #report(decisions: readonly PlanDecision[]): void {
    const runAts: Date[] = []
    for (const { jobId, runs, skippedWindows } of decisions) {
      if (skippedWindows.length > 0) this.#parts.events.emit('windows.skipped', { jobId, count: skippedWindows.length })
      let planned = 0
      for (const run of runs) {
        if (run.skipped !== undefined && run.tick)
          this.#parts.events.emit('tick.skipped', { jobId, tick: run.tick, reason: run.skipped })
        else {
          planned += 1
          if (run.runAt) runAts.push(run.runAt)
        }
      }
      if (planned > 0) this.#parts.events.emit('runs.planned', { jobId, count: planned })
    }
    if (runAts.length > 0) this.#parts.onPlanned(runAts)
  }
}

function postponed(due: DueJob, now: Date): PlanDecision {
  return {
    jobId: due.id,
    runs: [],
    skippedWindows: [],
    waitingWindows: [],
    nextTick: due.nextTick,
    planAt: new Date(now.getTime() + PAUSE_MS),
    windowCursor: due.windowCursor,
  }
}
