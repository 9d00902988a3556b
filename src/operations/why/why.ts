import type { JobPolicy } from '../../job/spec.ts'
import type { Run } from '../../run/run.ts'
import { defaultsOf } from '../../time/stored-schedule.ts'
import type { ListedNode } from '../nodes.ts'
import { excludedBy } from './excluded.ts'
import type { WaitFacts } from './why-waits.ts'
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
  /** The instant that the sentence explains: the requested one, otherwise a tick or the start of a window. */
  readonly tick: Date | undefined
  readonly runId: number | undefined
  /**
   * For a job with windows: whether the instant is the start of the explained window, the tick at which it is due, or inside the window.
   */
  readonly takenAs: TakenAs | undefined
  /** The decision of each rule, in order, with its evidence, up to the first rule that stopped the job or is making it wait. */
  readonly steps: readonly WhyStep[]
}

/** What an explanation needs besides the store. */
export interface WhySources {
  /** The job in this process's code. */
  readonly policy: JobPolicy | undefined
  /** Lists the nodes; called only if the explained run is queued and due. */
  readonly nodes: () => Promise<readonly ListedNode[]>
}

/** How many queued runs are read to find one that is due. */
const MAX_QUEUED = 100

/**
 * Explains a job at an instant. Default: the oldest window that waits for other jobs; if none waits, the last planned tick, or the oldest
 * run that is due if the run of that tick has ended.
 *
 * @throws PikoError `JOB_UNKNOWN`
 */
export async function whyOf(
  store: Store,
  jobId: string,
  given: WindowInput | undefined,
  sources: WhySources,
): Promise<Why> {
  const { jobs, plans, runs, nodes, windows, dependencies, backfills } = store
  const job = await jobs.find(jobId)
  if (!job) throw unknownJob(jobId)
  const zone = zoneOfJob(job)
  const asked = given === undefined ? undefined : momentOf('tick', given, zone)
  const due = storedDue(job)
  const firstWaiting = asked ? undefined : await dependencies.firstWaiting(jobId)
  const waitingSince = firstWaiting && (due?.at(firstWaiting.end) ?? firstWaiting.end)
  const { now } = await plans.agenda()
  const planned = await runs.findTick(jobId, asked ?? waitingSince)
  // Without an instant, a waiting run is more interesting than a tick whose run has ended.
  const fired = asked || waitingSince || isOpen(planned) ? planned : ((await waitingRun(store, job, now)) ?? planned)
  const tick = asked ?? waitingSince ?? fired?.tick ?? fired?.window?.start
  const isExact = asked !== undefined || (fired !== undefined && fired.tick === undefined)
  const named = tick && job.windows !== null ? await windowAt(store, jobId, tick, due, isExact) : undefined
  const { window } = named ?? {}
  const unrun = asked && !window && job.windows !== null ? await unrunAt(store, job, asked) : undefined
  const takenAs = named?.takenAs ?? (unrun && (unrun.start.getTime() === asked?.getTime() ? 'start' : 'inside'))
  // If the instant only selects a window, the run of this tick is not the answer: the window may have run again later, or only in a
  // backfill.
  const ofTick = window && takenAs !== 'tick' ? undefined : fired
  const run = window?.runId === undefined ? ofTick : ((await runs.find(window.runId)) ?? ofTick)
  const { schedule, problem } = storedJob(job, { when: defaultsOf(sources.policy?.schedule).when })
  const backfill = run?.backfillId === undefined ? undefined : await backfills.find(run.backfillId)
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
    backfill,
    liveNodes: await nodes.countLive(),
    excluded: tick && excludedBy(schedule ?? undefined, tick),
    wait: waits ? await waitFacts(store, run, now, backfill?.parallel, sources) : undefined,
  }
  return { sentence: whySentence(facts), tick, runId: run?.id, takenAs, steps: whySteps(facts) }
}

function isOpen(run: Run | undefined): boolean {
  return run?.state === 'queued' || run?.state === 'running'
}

/**
 * Returns the oldest due run among the newest queued runs of a job. If there is none and the job has no schedule, returns its newest run.
 */
async function waitingRun({ runs }: Store, { id: jobId, schedule }: JobRow, now: Date): Promise<Run | undefined> {
  const queued = await runs.list({ jobId, state: 'queued', limit: MAX_QUEUED })
  const due = queued.findLast(({ runAt }) => runAt <= now)
  if (due || schedule !== null) return due
  const [newest] = await runs.list({ jobId, limit: 1 })
  return newest
}

async function waitFacts(
  { waits, nodes }: Store,
  run: Run,
  now: Date,
  parallel: number | undefined,
  { policy, nodes: listNodes }: WhySources,
): Promise<WaitFacts> {
  const having = await nodes.having(run.jobId)
  const live = (await listNodes()).filter(({ isLive }) => isLive)
  return {
    ...{ runId: run.id, now, backfillId: run.backfillId, hasCode: policy !== undefined },
    waits: await waits.read(run, policy?.limits ?? {}, parallel),
    nodes: live.map(({ id, host, pid, isDraining, running, slots }) => ({
      ...{ id, name: `${host} (${pid})`, isDraining, running, slots, hasJob: having.get(id) },
    })),
  }
}

/** Returns the window that contains an instant, if it is not in the ledger: it is not planned yet, or planning began later. */
async function unrunAt({ jobs, windows }: Store, job: JobRow, instant: Date): Promise<UnrunWindow | undefined> {
  const timeline = storedTimeline(job, await jobs.generations(job.id))
  const { windows: stored } = await windows.stored(job.id, instant, 'after')
  const window = timeline?.around(stored).containing(instant)
  return window && { ...window, isLeftOut: job.windowCursor !== undefined && window.end <= job.windowCursor }
}

/**
 * Finds the window for an instant: the one that starts then, is due then, or contains it. Unless `isAsked`, the instant is always treated
 * as a tick.
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
