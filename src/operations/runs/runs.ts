import { describe, PikoError } from '../../errors.ts'
import { changing, HISTORY_TABLES, refusedChange } from '../../engine/refused-changes.ts'
import type { Attempt } from '../../run/attempt.ts'
import { type Progress, progressOf } from '../../run/progress.ts'
import { ENDED_STATES, type Run } from '../../run/run.ts'
import type { RunLogLine } from '../../run/run-log.ts'
import type { StepRecord } from '../../run/step.ts'
import type { RunLogFilter } from '../../store/history/run-log-store.ts'
import type { CancelFilter, CancelResult } from '../../store/runs/cancel-store.ts'
import type { RetentionStep } from '../../store/history/retention-store.ts'
import type { RunTimeline, TimelineFilter } from '../../store/runs/timeline-runs.ts'
import type { RunSummary } from '../../store/runs/run-summary.ts'
import type { RunFilter } from '../../store/runs/run-filter.ts'
import type { ReplayFilter, ReplayResult } from '../../store/runs/replay-store.ts'
import type { Refused } from '../../store/statements/each-apart.ts'
import type { SpilledRows } from '../../store/sinks/spill-store.ts'
import type { Store } from '../../store/store.ts'
import { durationMs } from '../../time/duration.ts'
import { instantOf } from '../../time/instant.ts'
import { optionsOf } from '../call-options.ts'
import type { CancelOptions, PruneOptions, ReplayOptions } from '../operation-options.ts'
import { mapInTurns } from '../../loop-turn.ts'
import { isList, nearestName } from '../../options.ts'
import { safely } from '../../errors-read.ts'
import type { Reach } from '../reach.ts'
import { type FollowOptions, followRun, type RunNews } from './follow-run.ts'

/** A run in a list. */
export interface ListedRun extends Run {
  /** The last progress that the run's handler reported with `ctx.progress`; undefined if it reported none since the run's last claim. */
  readonly progress: Progress | undefined
}

/** A run with its history. */
export interface RunDetails extends ListedRun {
  /** The batch of the run; undefined if it has none. */
  readonly batchId: number | undefined
  /** The attempts, oldest first, including those before a replay. */
  readonly attempts: readonly Attempt[]
  /** The finished steps of its handler, whose results are stored, in the order in which they finished. */
  readonly steps: readonly StepRecord[]
  /** How many rows each host stored on its disk while a target was down, by sink and host. */
  readonly spilled: readonly SpilledRows[]
  /** How many rows of the run the targets of its sinks have refused. */
  readonly deadRows: number
}

/** `app.runs`: existing runs. `app.run` and `app.enqueue` create runs. */
export class Runs {
  readonly #reach: () => Pick<Reach, 'store' | 'runLogs' | 'progress' | 'watch' | 'changed'>

  constructor(reach: () => Pick<Reach, 'store' | 'runLogs' | 'progress' | 'watch' | 'changed'>) {
    this.#reach = reach
  }

  /**
   * Lists runs, newest first.
   *
   * @param filter.limit default 100
   */
  async list(filter: RunFilter = {}): Promise<ListedRun[]> {
    const { store } = this.#reach()
    return this.#withProgress(await store.runs.list(optionsOf('runs.list', filter)))
  }

  /**
   * Returns a page of runs, newest first. The time that this takes is limited. So a search that finds little may return fewer runs than
   * `limit` and still have a next page.
   *
   * @example
   * const { runs, next } = await app.runs.page({ state: 'failed', error: 'ETIMEDOUT' })
   * const older = next === undefined ? undefined : await app.runs.page({ state: 'failed', error: 'ETIMEDOUT', before: next })
   */
  async page(
    filter: RunFilter = {},
  ): Promise<{ readonly runs: readonly ListedRun[]; readonly next: number | undefined }> {
    const { store } = this.#reach()
    const { runs, next } = await store.runs.page(optionsOf('runs.page', filter))
    return { runs: await this.#withProgress(runs), next }
  }

  /**
   * Returns the current work of all nodes: runs by state, the length and age of the queue, how late runs start, and how far windows are
   * behind. It reads only through indexes, and counts only up to 10,000.
   */
  async summary(): Promise<RunSummary> {
    return this.#reach().store.runs.summary()
  }

  /**
   * Returns the runs that waited or ran in a range of time, newest first, for the bars of a timeline. The time that this takes is limited.
   * `isWhole` is false if these are only a part of the runs.
   *
   * @param filter.limit default 1,000
   * @throws PikoError `USAGE` for a range that does not end after it begins
   * @example
   * const { runs } = await app.runs.timeline({ from: '2026-03-01T00:00:00Z', to: '2026-03-01T01:00:00Z' })
   */
  async timeline(filter: TimelineFilter): Promise<RunTimeline> {
    const options = optionsOf('runs.timeline', filter)
    if (instantOf('from', options.from) >= instantOf('to', options.to)) {
      throw new PikoError(
        'USAGE',
        `app.runs.timeline got from ${describe(options.from)} and to ${describe(options.to)}; expected a range that ends after it begins`,
      )
    }
    return this.#reach().store.runs.timeline(options)
  }

  /** Adds the progress of the runs, in one query. A queued run that was never claimed has no progress. */
  async #withProgress(runs: readonly Run[]): Promise<ListedRun[]> {
    const { store, progress } = this.#reach()
    const ids = runs.filter(({ startedAt }) => startedAt !== undefined).map(({ id }) => id)
    if (ids.length > 0) await progress.stored(ids)
    const reports = await store.progress.of(ids)
    return mapInTurns(runs, (run) => ({ ...run, progress: progressOf(run, reports.get(run.id)) }))
  }

  /**
   * Returns one run with its attempts and steps.
   *
   * @throws PikoError `RUN_UNKNOWN`
   */
  async show(runId: number): Promise<RunDetails> {
    const { store } = this.#reach()
    const [run] = (await this.#withProgress([await runOf(store, runId)])) as [ListedRun]
    return {
      ...run,
      batchId: await store.batches.batchOfRun(runId),
      attempts: await store.attempts.list(run),
      steps: await store.steps.list(runId),
      spilled: await store.spills.ofRun(runId),
      deadRows: await store.deadRows.count({ runId }),
    }
  }

  /**
   * Returns log lines of a run's handler, oldest first. `[history] run_logs` sets the lowest stored level, and `run_log_lines` the maximum
   * number of lines per attempt. Lines are stored within two seconds.
   *
   * @param filter.limit default 1,000
   * @throws PikoError `RUN_UNKNOWN`
   */
  async logs(runId: number, filter: RunLogFilter = {}): Promise<RunLogLine[]> {
    const { store, runLogs } = this.#reach()
    await runOf(store, runId)
    return runLogs.list(runId, optionsOf('runs.logs', filter))
  }

  /**
   * Follows a run on any node until it has ended: its log lines, its progress and its states. Earlier log lines come first.
   * Over a link to the node of the run, news arrives within 200 ms, otherwise within two seconds.
   *
   * @throws PikoError `RUN_UNKNOWN`
   * @example
   * for await (const news of app.runs.follow(17)) if (news.kind === 'line') console.log(news.line.message)
   */
  async *follow(runId: number, options: FollowOptions = {}): AsyncGenerator<RunNews, void, undefined> {
    const checked = optionsOf('runs.follow', options)
    const { store, watch } = this.#reach()
    const find = async (): Promise<ListedRun> => {
      const [run] = await this.#withProgress([await runOf(store, runId)])
      return run as ListedRun
    }
    yield* followRun(
      {
        find,
        lines: (id, filter) => this.#reach().runLogs.list(id, filter),
        watch: (id, nodeId, onNews) => watch.open(id, nodeId, onNews),
      },
      runId,
      checked,
    )
  }

  /**
   * Cancels one run on any node. A queued run is `cancelled` immediately. A running one is returned with `cancelRequestedAt`: its node
   * aborts `ctx.signal` with `RUN_CANCELLED` within two seconds, or immediately over a link, and the run is not retried. A run that has
   * ended is returned unchanged.
   *
   * @throws PikoError `RUN_UNKNOWN`, `CHANGE_REFUSED`
   */
  cancel(runId: number): Promise<Run>
  /**
   * Cancels all matching runs that have not ended.
   *
   * @returns how many queued runs it ended, and how many running ones it asked to stop; with `dryRun` how many it would end or ask
   * @throws PikoError `USAGE` for an empty filter, `CHANGE_REFUSED` if the database refuses to cancel some runs
   * @example
   * await app.runs.cancel({ jobId: 'sync_orders', state: 'queued' })
   */
  cancel(options: CancelOptions): Promise<CancelResult>
  async cancel(which: number | CancelOptions): Promise<Run | CancelResult> {
    const { store, changed } = this.#reach()
    const runId = typeof which === 'number' ? which : undefined
    const options: CancelOptions = typeof which === 'number' ? { ids: [which] } : optionsOf('runs.cancel', which)
    const { dryRun = false, ...filter } = options
    if (runId !== undefined) await runOf(store, runId)
    assertChosen(filter, 'app.runs.cancel')
    if (dryRun) return store.cancels.preview(filter)
    const refused: Refused[] = []
    const request = () => store.cancels.request(filter, (one) => refused.push(one))
    const result = await changing('the request to cancel runs', 'piko_node', request)
    if (result.requested > 0) changed.runsCancelled()
    assertNone(refusedChange('cancelled', refused, 'piko_run and piko_window'))
    return runId === undefined ? result : runOf(store, runId)
  }

  /**
   * Returns one failed or cancelled run to the queue, as if it had never run, and makes its window pending. Has no effect on other runs, or
   * if the run's window has run again since.
   *
   * @throws PikoError `RUN_UNKNOWN`, `CHANGE_REFUSED`; `BATCH_CANCELLED` while the run's batch is being cancelled
   */
  replay(runId: number): Promise<Run>
  /**
   * Returns failed (or cancelled) runs to the queue, as if they had never run, and makes their windows pending. Leaves a run unchanged if
   * its window has run again since.
   * @returns how many runs it queued and how many it left unchanged; with `dryRun` how many it would queue or leave
   * @throws PikoError `USAGE` for an empty filter, `CHANGE_REFUSED` if the database refuses the change; `BATCH_CANCELLED` if the batch of a
   * run is being cancelled; all other runs are queued then
   * @example
   * const { count } = await app.runs.replay({ jobId: 'sync_orders', since: '2026-01-01T00:00:00Z', dryRun: true })
   */
  replay(options: ReplayOptions): Promise<ReplayResult>
  async replay(which: number | ReplayOptions): Promise<Run | ReplayResult> {
    const { store, changed } = this.#reach()
    const runId = typeof which === 'number' ? which : undefined
    const options: ReplayOptions = typeof which === 'number' ? { ids: [which] } : optionsOf('runs.replay', which)
    const { dryRun = false, from, ...filter } = options
    if (runId !== undefined) await runOf(store, runId)
    assertChosen(filter, 'app.runs.replay')
    if (from !== undefined && filter.ids) await assertStep(store, filter.ids, from)
    if (dryRun) return store.replays.preview(filter, from)
    const refused: Refused[] = []
    const cancelling: PikoError[] = []
    const result = await store.replays.replay(filter, from, {
      onRefused: (one) => void refused.push(one),
      onReopened: (batch) => changed.batch(batch),
      onCancelling: (error) => void cancelling.push(error),
    })
    if (result.count > 0) changed.runsQueued(result.count)
    for (const error of cancelling) throw error
    assertNone(refusedChange('queued again', refused, 'piko_run, piko_window, piko_backfill and piko_attempt'))
    return runId === undefined ? result : runOf(store, runId)
  }

  /**
   * Deletes ended runs with their attempts and log lines, in small steps. `[history]` does the same automatically. The ledger of windows
   * stays.
   *
   * @returns how many runs it deleted; with `dryRun` how many it would delete
   * @throws PikoError `DURATION_INVALID`, `CHANGE_REFUSED` if the database refuses to delete some runs
   * @example
   * await app.runs.prune({ olderThan: '7d', states: ['succeeded'] })
   */
  async prune(options: PruneOptions): Promise<number> {
    const { store, changed } = this.#reach()
    const { olderThan, states = ENDED_STATES, jobId, dryRun = false } = optionsOf('runs.prune', options)
    const filter = { olderThanMs: durationMs(olderThan, 'olderThan of app.runs.prune'), states, jobId }
    let count = 0
    const refused: Refused[] = []
    for (let after: number | undefined = 0; after !== undefined;) {
      const step: RetentionStep = await store.retention.step(filter, after, dryRun)
      count += step.count
      refused.push(...step.refused)
      after = step.next
    }
    if (count > 0 && !dryRun) changed.runsDeleted(count)
    assertNone(refusedChange('deleted', refused, HISTORY_TABLES))
    return count
  }
}

function assertNone(refusal: PikoError | undefined): void {
  if (refusal) throw refusal
}

async function runOf({ runs, database }: Store, runId: number): Promise<Run> {
  const run = await runs.find(runId)
  if (run) return run
  throw new PikoError('RUN_UNKNOWN', `there is no run ${describe(runId)}`, {
    details: { runId, location: database.location },
  })
}

/** Refuses a name that no step of the runs has. A misspelt name would otherwise have no effect, and nobody would notice. */
async function assertStep({ steps }: Store, ids: readonly number[], name: string): Promise<void> {
  const [first] = ids
  if (first === undefined || (await steps.isKnown(ids, name))) return
  const nearest = nearestName(
    name,
    (await steps.list(first)).map((step) => step.name),
  )
  const hint = nearest === undefined ? `piko runs show ${first} lists its steps` : `did you mean ${describe(nearest)}?`
  throw new PikoError('USAGE', `app.runs.replay: none of these runs has stored a step ${describe(name)}; ${hint}`, {
    details: { from: name },
  })
}

/** Refuses an empty filter: it would change every run, which is probably a mistake. */
function assertChosen(filter: CancelFilter | ReplayFilter, call: string): void {
  const { ids, jobId, state } = filter
  if (ids === undefined && jobId === undefined && state === undefined) {
    throw new PikoError('USAGE', `${call}(${describe(filter)}) names no runs; give ids, jobId or state`)
  }
  // Without this check, null would mean all runs.
  if (ids !== undefined && !(isList(ids) && safely(() => ids.every((id) => Number.isSafeInteger(id)), false))) {
    throw new PikoError('USAGE', `${call}: ids are ${describe(ids)}; expected the numbers of runs`)
  }
  if ('since' in filter && filter.since !== undefined) instantOf(`since of ${call}`, filter.since)
  if ('until' in filter && filter.until !== undefined) instantOf(`until of ${call}`, filter.until)
}
