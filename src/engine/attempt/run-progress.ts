import { describe, headline, safely } from '../../errors-read.ts'
import { PikoError, toError } from '../../errors.ts'
import type { Events } from '../../events.ts'
import { paceAfter, rateOf } from '../../run/progress.ts'
import { redactText } from '../../run/redact.ts'
import type { StopReason } from '../../service/lifecycle-parts.ts'
import type { NewProgress, ProgressStore } from '../../store/history/progress-store.ts'
import type { RunWatch } from '../fleet/run-watch.ts'
import { LoopService, type LoopServiceParts } from '../loop/loop-service.ts'
import type { LiveAttempt } from './live-attempt.ts'
import type { ReportedProgress } from './reported-progress.ts'

export interface RunProgressParts extends LoopServiceParts {
  readonly store: Pick<ProgressStore, 'save'>
  readonly events: Events
  readonly watch: RunWatch
}

/** The minimum time between two writes of a node. */
const WRITE_MS = 1_000
/** The minimum time between two writes while someone watches a run with a new report. */
const WATCHED_MS = 50
const MAX_MESSAGE = 500
/** The maximum length of a message that is searched for secrets, in characters. */
const MAX_SEARCHED = 10_000

/** Stores the progress that handlers report. At most once per second, it writes the newest report of each run in one batch. */
export class RunProgress extends LoopService {
  readonly #parts: RunProgressParts
  /** The attempts with a report that is not stored yet. */
  #waiting = new Set<LiveAttempt>()
  #writeAt = -Infinity
  #writing: Promise<void> | undefined

  constructor(parts: RunProgressParts) {
    super('run-progress', parts)
    this.#parts = parts
  }

  /** Records a handler's report. Never throws: an invalid report is ignored, with a warning in the run's log. */
  report(attempt: LiveAttempt, done: number, total: number | undefined, message: string | undefined): void {
    if (attempt.isOver) return
    const kept = (attempt.progress ??= newProgress())
    const problems = problemsOf(done, total, message)
    if (problems.length > 0) {
      if (kept.isFaultLogged) return
      kept.isFaultLogged = true
      safely(() => attempt.log.warn(`ctx.progress: ${problems.join('; ')}; such reports are ignored`), undefined)
      return
    }
    const { clock, events } = this.#parts
    const { runId, jobId } = attempt.claim
    kept.done = done
    kept.total = total ?? undefined
    kept.message = message ?? undefined
    kept.pace = paceAfter(kept.pace, done, clock.monotonic())
    if (this.#waiting.size === 0 || this.#parts.watch.has(runId)) this.wake()
    this.#waiting.add(attempt)
    events.emit('run.progress', { runId, jobId, done, total: kept.total, message: kept.message })
  }

  /** Stores immediately the progress that these runs have reported on this node. */
  async stored(runIds: readonly number[]): Promise<void> {
    // A write in progress may already carry these reports. If it fails, they wait again. It never carries reports that came after it began.
    await this.#writing?.catch(() => {})
    if (this.#waiting.size === 0) return
    const ids = new Set(runIds)
    if ([...this.#waiting].some(({ claim }) => ids.has(claim.runId))) await this.#write()
  }

  protected override async step(): Promise<number> {
    const { clock, watch } = this.#parts
    const isWatched = watch.size > 0 && [...this.#waiting].some(({ claim }) => watch.has(claim.runId))
    const waitMs = this.#writeAt - (isWatched ? WRITE_MS - WATCHED_MS : 0) - clock.monotonic()
    if (waitMs > 0) return waitMs
    await this.#write()
    return this.#waiting.size > 0 ? WRITE_MS : Infinity
  }

  protected override async onStop(why: StopReason): Promise<void> {
    await super.onStop()
    if (why !== 'stop') return
    await this.#write().catch((thrown: unknown) => {
      const runIds = [...this.#waiting].map(({ claim }) => claim.runId)
      this.#waiting.clear()
      this.#tell(lost(runIds, thrown))
    })
  }

  #write(): Promise<void> {
    return (this.#writing ??= this.#writeAll().finally(() => (this.#writing = undefined)))
  }

  async #writeAll(): Promise<void> {
    const attempts = this.#waiting
    if (attempts.size === 0) return
    this.#waiting = new Set()
    this.#writeAt = this.#parts.clock.monotonic() + WRITE_MS
    try {
      await this.#parts.store.save([...attempts].map(rowOf), (report, refusal) => this.#tell(refused(report, refusal)))
      if (this.#parts.watch.size > 0) this.#parts.watch.tell([...attempts].map(({ claim }) => claim.runId))
    } catch (thrown) {
      for (const attempt of attempts) this.#waiting.add(attempt)
      throw thrown
    }
  }

  #tell(thrown: PikoError): void {
    this.#parts.loops.failed({ loop: this.name, thrown, retryInMs: 0, failures: 1 })
  }
}

function newProgress(): ReportedProgress {
  return { done: 0, total: undefined, message: undefined, pace: undefined, isFaultLogged: false }
}

/** Returns the problems of a report. At run time, its values may have other types than TypeScript says. */
function problemsOf(done: unknown, total: unknown, message: unknown): string[] {
  const isAmount = (value: unknown): boolean => Number.isFinite(value) && (value as number) >= 0
  return [
    ...(isAmount(done) ? [] : [`done is ${describe(done)}; expected a number of 0 or more`]),
    ...(total === undefined || total === null || isAmount(total)
      ? []
      : [`total is ${describe(total)}; expected a number of 0 or more, or nothing`]),
    ...(message === undefined || message === null || typeof message === 'string'
      ? []
      : [`message is ${describe(message)}; expected a string`]),
  ]
}

function rowOf({ claim, progress }: LiveAttempt): NewProgress {
  const { done, total, message, pace } = progress ?? newProgress()
  const { runId, fence, attempt } = claim
  return { ...{ runId, fence, attempt, done, total }, message: messageOf(message), rate: pace && rateOf(pace) }
}

/** Redacts secrets before it truncates the message, because the pattern for secrets does not match a truncated connection string. */
function messageOf(message: string | undefined): string | undefined {
  if (message === undefined) return undefined
  const text = redactText(message.slice(0, MAX_SEARCHED))
  return (text.length > MAX_MESSAGE ? `${text.slice(0, MAX_MESSAGE - 1)}…` : text).toWellFormed()
}

function refused({ runId }: NewProgress, refusal: unknown): PikoError {
  return new PikoError(
    'RUN_UNSTORABLE',
    `the progress of run ${runId} can't be stored and is left out: ${headline(refusal)}; check triggers and constraints on piko_run_progress`,
    { cause: toError(refusal), details: { runId } },
  )
}

const MAX_NAMED = 20

function lost(runIds: readonly number[], thrown: unknown): PikoError {
  const named = runIds.slice(0, MAX_NAMED)
  const more = runIds.length > MAX_NAMED ? ` and ${runIds.length - MAX_NAMED} more` : ''
  return new PikoError(
    'RUN_UNSTORABLE',
    `the last progress of ${runIds.length === 1 ? 'run' : 'runs'} ${named.join(', ')}${more} is lost: the node stopped before the database stored it: ${headline(thrown)}`,
    { cause: toError(thrown), details: { runIds: named } },
  )
}
