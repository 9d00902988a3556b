import { storedDue, storedJob, storedTimeline, zoneOfJob } from '../../engine/planning/stored-job.ts'
import type { DueWindows } from '../../time/due-windows.ts'
import { momentOf, type WindowInput } from '../../time/local-dates.ts'
import type { JobRow } from '../../store/jobs/job-row.ts'
import { unknownJob } from '../../store/jobs/unknown-job.ts'
import type { Store } from '../../store/store.ts'
import type { LedgerWindow } from '../../store/windows/window-store.ts'
import { type UnrunWindow, whySentence } from './why-sentence.ts'
import { type WhyStep, whySteps } from './why-steps.ts'

/** How the requested instant relates to the window that it selects. */
export type TakenAs = 'start' | 'tick' | 'inside'

/** Why a job ran or did not run. */
export interface Why {
  /** The answer in one sentence, for people. */
  readonly sentence: string
  /** The tick that the sentence explains. */
  readonly tick: Date | undefined
  readonly runId: number | undefined
  /**
   * For a job with windows: whether the instant is the start of the explained window, the tick at which it is due, or inside the window.
   */
  readonly takenAs: TakenAs | undefined
  /** The decision of each rule, in order, with its evidence, up to the first rule that stopped the job. */
  readonly steps: readonly WhyStep[]
}

/** The maximum number of running runs that are named as evidence. */
const NAMED_RUNS = 5

/**
 * Explains a job at an instant. Default: its last planned tick.
 *
 * @throws PikoError `JOB_UNKNOWN`
 */
export async function whyOf(store: Store, jobId: string, given: WindowInput | undefined): Promise<Why> {
  const { jobs, plans, runs, nodes, windows, dependencies, backfills } = store
  const job = await jobs.find(jobId)
  if (!job) throw unknownJob(jobId)
  const zone = zoneOfJob(job)
  const asked = given === undefined ? undefined : momentOf('tick', given, zone)
  const due = storedDue(job)
  const firstWaiting = asked ? undefined : await dependencies.firstWaiting(jobId)
  const waitingSince = firstWaiting && (due?.at(firstWaiting.end) ?? firstWaiting.end)
  const fired = await runs.findTick(jobId, asked ?? waitingSince)
  const tick = asked ?? waitingSince ?? fired?.tick
  const named = tick && job.windows !== null ? await windowAt(store, jobId, tick, due, asked !== undefined) : undefined
  const { window } = named ?? {}
  const unrun = asked && !window && job.windows !== null ? await unrunAt(store, job, asked) : undefined
  const takenAs = named?.takenAs ?? (unrun && (unrun.start.getTime() === asked?.getTime() ? 'start' : 'inside'))
  // If the instant only selects a window, the run of this tick is not the answer: the window may have run again later, or only in a
  // backfill.
  const ofTick = window && takenAs !== 'tick' ? undefined : fired
  const run = window?.runId === undefined ? ofTick : ((await runs.find(window.runId)) ?? ofTick)
  const { now } = await plans.agenda()
  const { schedule, problem } = storedJob(job)
  const waits = run?.state === 'queued' && run.runAt <= now
  const facts = {
    jobId,
    now,
    schedule: schedule ?? undefined,
    // The job's name is removed, because the sentence already contains it.
    unread: problem?.replace(`job "${jobId}": `, ''),
    isPaused: job.isPaused,
    nextTick: job.nextTick,
    tick,
    run,
    window,
    unrun,
    takenAs,
    zone,
    due,
    blocker: window?.waitsFor && (await windows.containing(window.waitsFor.jobId, window.waitsFor.at)),
    backfill: run?.backfillId === undefined ? undefined : await backfills.find(run.backfillId),
    liveNodes: await nodes.countLive(),
    running: waits ? (await runs.list({ jobId, state: 'running', limit: NAMED_RUNS })).map(({ id }) => id) : [],
  }
  return { sentence: whySentence(facts), tick, runId: run?.id, takenAs, steps: whySteps(facts) }
}

/** Returns the window that contains an instant, if it is not in the ledger: it is not planned yet, or planning began later. */
async function unrunAt({ jobs, windows }: Store, job: JobRow, instant: Date): Promise<UnrunWindow | undefined> {
  const timeline = storedTimeline(job, await jobs.generations(job.id))
  const { windows: stored } = await windows.stored(job.id, instant, 'after')
  const window = timeline?.around(stored).containing(instant)
  return window && { ...window, isLeftOut: job.windowCursor !== undefined && window.end <= job.windowCursor }
}

/**
 * Finds the window for an instant: the one that starts then, is due then, or contains it. If the instant is a planned tick, it is always
 * treated as a tick.
 */
async function windowAt(
  { windows }: Store,
  jobId: string,
  instant: Date,
  due: DueWindows | undefined,
  isAsked: boolean,
): Promise<{ readonly window: LedgerWindow; readonly takenAs: TakenAs } | undefined> {
  const around = isAsked ? await windows.containing(jobId, instant) : undefined
  if (around?.start.getTime() === instant.getTime()) return { window: around, takenAs: 'start' }
  const last = await windows.endingBy(jobId, due?.lastEnd(instant) ?? instant)
  const isDue = last && (due ? due.at(last.end) : last.end)?.getTime() === instant.getTime()
  if (isDue) return { window: last, takenAs: 'tick' }
  return around && { window: around, takenAs: 'inside' }
}
