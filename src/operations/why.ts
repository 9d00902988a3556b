import { storedJob } from '../engine/planning/stored-job.ts'
import { unknownJob } from '../store/jobs/unknown-job.ts'
import type { Store } from '../store/store.ts'
import type { LedgerWindow } from '../store/windows/window-store.ts'
import { whySentence } from './why-sentence.ts'

/** Why a job did or did not run. */
export interface Why {
  /** The answer in one sentence, for people. */
  readonly sentence: string
  /** The tick that the sentence explains. */
  readonly tick: Date | undefined
  readonly runId: number | undefined
}

/**
 * Explains a job at an instant; without one, at the last planned tick.
 *
 * @throws PikoError `JOB_UNKNOWN`
 */
export async function whyOf(store: Store, jobId: string, asked: Date | undefined): Promise<Why> {
  const { jobs, plans, runs, nodes, windows, dependencies, backfills } = store
  const job = await jobs.find(jobId)
  if (!job) throw unknownJob(jobId)
  const waitingSince = asked ? undefined : (await dependencies.firstWaiting(jobId))?.end
  const fired = await runs.findTick(jobId, asked ?? waitingSince)
  const tick = asked ?? waitingSince ?? fired?.tick
  const window = tick && job.windows !== null ? await windowAt(store, jobId, tick, asked !== undefined) : undefined
  // The window may have run again since, or only in a backfill.
  const ofTick = window && tick && window.end > tick ? undefined : fired
  const run = window?.runId === undefined ? ofTick : ((await runs.find(window.runId)) ?? ofTick)
  const { now } = await plans.agenda()
  const { schedule, problem } = storedJob(job)
  const sentence = whySentence({
    jobId,
    now,
    schedule: schedule ?? undefined,
    // The sentence names the job already.
    unread: problem?.replace(`job "${jobId}": `, ''),
    isPaused: job.isPaused,
    nextTick: job.nextTick,
    tick,
    run,
    window,
    blocker: window?.waitsFor && (await windows.containing(window.waitsFor.jobId, window.waitsFor.at)),
    backfill: run?.backfillId === undefined ? undefined : await backfills.find(run.backfillId),
    liveNodes: await nodes.countLive(),
  })
  return { sentence, tick, runId: run?.id }
}

/** Finds the window of an instant. A named window means its start; a planned tick is the end of a window. */
async function windowAt(
  { windows }: Store,
  jobId: string,
  instant: Date,
  isAsked: boolean,
): Promise<LedgerWindow | undefined> {
  const around = isAsked ? await windows.containing(jobId, instant) : undefined
  return around ?? windows.endingAt(jobId, instant)
}
