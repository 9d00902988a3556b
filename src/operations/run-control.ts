import { describe, PikoError } from '../errors.ts'
import { type Attempt } from '../run/attempt.ts'
import { ENDED_STATES, type EndedState, type Run } from '../run/run.ts'
import { type CancelFilter, type CancelResult } from '../store/runs/cancel-store.ts'
import { type ReplayFilter, type ReplayResult } from '../store/runs/replay-store.ts'
import { type RetentionStep } from '../store/history/retention-store.ts'
import { type Store } from '../store/store.ts'
import { unknownJob } from '../store/jobs/unknown-job.ts'
import { type LedgerWindow } from '../store/windows/window-store.ts'
import { type Duration, durationMs } from '../time/duration.ts'
import { instantOf } from '../time/instant.ts'
import { storedJob } from '../engine/planning/stored-job.ts'
import { whySentence } from './why.ts'

/** Which ended runs to delete. */
export interface PruneOptions {
  /** Ended before this time. */
  readonly olderThan: Duration
  /** Default: `'succeeded'`, `'failed'`, `'cancelled'` and `'skipped'`. */
  readonly states?: readonly EndedState[]
  readonly jobId?: string | undefined
  /** Only count them. Default false. */
  readonly dryRun?: boolean
}

/** Why a job did or did not run. */
export interface Why {
  /** One sentence for people. */
  readonly sentence: string
  /** The tick that it is about. */
  readonly tick: Date | undefined
  readonly runId: number | undefined
}

/** What people do to runs that exist: cancel, replay, delete, look at their attempts. */
export class RunControl {
  readonly #store: Store
  readonly #onCancelled: () => void
  readonly #onReplayed: (count: number) => void
  readonly #onPruned: (count: number) => void

  /**
   * @param onCancelled runs of this node may be meant
   * @param onReplayed  so many runs are in the queue again
   * @param onPruned    so many were deleted
   */
  constructor(
    store: Store,
    {
      onCancelled,
      onReplayed,
      onPruned,
    }: {
      readonly onCancelled: () => void
      readonly onReplayed: (count: number) => void
      readonly onPruned: (count: number) => void
    },
  ) {
    this.#store = store
    this.#onCancelled = onCancelled
    this.#onReplayed = onReplayed
    this.#onPruned = onPruned
  }

  /** @throws PikoError `RUN_UNKNOWN` */
  async cancel(runId: number): Promise<Run> {
    this.#store.database.assertOutside('app.cancel')
    await this.find(runId)
    await this.cancelAll({ ids: [runId] })
    return this.find(runId)
  }

  async cancelAll(filter: CancelFilter): Promise<CancelResult> {
    this.#store.database.assertOutside('app.cancelAll')
    assertChosen(filter, 'cancelAll')
    const result = await this.#store.cancels.request(filter)
    if (result.requested > 0) this.#onCancelled()
    return result
  }

  async replay(filter: ReplayFilter): Promise<ReplayResult> {
    this.#store.database.assertOutside('app.replay')
    assertChosen(filter, 'replay')
    const result = await this.#store.replays.replay(filter)
    if (result.count > 0) this.#onReplayed(result.count)
    return result
  }

  async previewReplay(filter: ReplayFilter): Promise<ReplayResult> {
    assertChosen(filter, 'previewReplay')
    return this.#store.replays.preview(filter)
  }

  /** @throws PikoError `RUN_UNKNOWN` */
  async attempts(runId: number): Promise<Attempt[]> {
    return this.#store.attempts.list(await this.find(runId))
  }

  /** @throws PikoError `JOB_UNKNOWN` */
  async setPaused(jobId: string, isPaused: boolean): Promise<void> {
    this.#store.database.assertOutside(isPaused ? 'app.pause' : 'app.resume')
    if (!(await this.#store.jobs.setPaused(jobId, isPaused))) throw unknownJob(jobId)
  }

  /** @throws PikoError `JOB_UNKNOWN` */
  async why(jobId: string, asked: Date | undefined): Promise<Why> {
    const { jobs, plans, runs, nodes, windows, dependencies, backfills } = this.#store
    const job = await jobs.find(jobId)
    if (!job) throw unknownJob(jobId)
    const waitingSince = asked ? undefined : (await dependencies.firstWaiting(jobId))?.end
    const fired = await runs.findTick(jobId, asked ?? waitingSince)
    const tick = asked ?? waitingSince ?? fired?.tick
    const window = tick && job.windows !== null ? await this.#windowAt(jobId, tick, asked !== undefined) : undefined
    // A window may have been run again since, or by a backfill alone.
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

  /** Who names a window means its start; a tick that was planned is the end of one. */
  async #windowAt(jobId: string, instant: Date, isAsked: boolean): Promise<LedgerWindow | undefined> {
    const { windows } = this.#store
    const around = isAsked ? await windows.containing(jobId, instant) : undefined
    return around ?? windows.endingAt(jobId, instant)
  }

  /** Deletes ended runs in small steps. Returns how many. */
  async prune({ olderThan, states = ENDED_STATES, jobId, dryRun = false }: PruneOptions): Promise<number> {
    this.#store.database.assertOutside('app.prune')
    const filter = { olderThanMs: durationMs(olderThan, 'olderThan of app.prune'), states, jobId }
    let count = 0
    for (let after: number | undefined = 0; after !== undefined;) {
      const step: RetentionStep = await this.#store.retention.step(filter, after, dryRun)
      count += step.count
      after = step.next
    }
    if (count > 0 && !dryRun) this.#onPruned(count)
    return count
  }

  /** @throws PikoError `RUN_UNKNOWN` */
  async find(runId: number): Promise<Run> {
    const run = await this.#store.runs.find(runId)
    if (!run) throw new PikoError('RUN_UNKNOWN', `there is no run ${runId}`, { details: { runId } })
    return run
  }
}

/** An empty filter is a filter that somebody forgot to fill, not the wish to change every run there is. */
function assertChosen(filter: CancelFilter | ReplayFilter, what: string): void {
  const { ids, jobId, state } = filter
  if (ids === undefined && jobId === undefined && state === undefined) {
    throw new PikoError('USAGE', `app.${what}(${describe(filter)}) names no runs; give ids, jobId or state`)
  }
  if (ids?.some((id) => !Number.isSafeInteger(id))) {
    throw new PikoError('USAGE', `app.${what}: ids are ${describe(ids)}; expected the numbers of runs`)
  }
  if ('since' in filter && filter.since !== undefined) instantOf(`since of app.${what}`, filter.since)
}
