import { aClock } from '../../app/check-options.ts'
import { wrongCall } from '../../call-options.ts'
import { type Clock, systemClock } from '../../clock.ts'
import { RateGate } from '../../engine/claiming/rate-gate.ts'
import { LiveAttempt } from '../../engine/attempt/live-attempt.ts'
import { RunPipeline } from '../../engine/attempt/run-pipeline.ts'
import { timelineOf, zoneOfDefinition } from '../../engine/planning/plan-job.ts'
import { PrepareRun } from '../../engine/prepare-run.ts'
import { describe, isObject } from '../../errors-read.ts'
import { PikoError, toError } from '../../errors.ts'
import { Events } from '../../events.ts'
import { storableInput } from '../../job/schemas/run-input.ts'
import type { OutputOf, Typed } from '../../job/job-types.ts'
import type { JobDefinition } from '../../job/spec.ts'
import { fromJson, MAX_VALUE_BYTES, toJson } from '../../json/json.ts'
import { storableOutput } from '../../json/storable.ts'
import type { Logger } from '../../logger.ts'
import { anAbortSignal, anything, aTable, aText, type OptionChecks, readOptions, wholeNumber } from '../../options.ts'
import { runTimedOut } from '../../run/attempt.ts'
import type { FleetLimit } from '../../run/fleet-limit.ts'
import type { Claim, Outcome } from '../../run/run.ts'
import { SinkPool } from '../../sink/sink-pool.ts'
import type { SqlDatabase, SqlExecutor } from '../../sql/sql.ts'
import { fenceOf } from '../../store/runs/fence.ts'
import { momentOf, type WindowInput } from '../../time/local-dates.ts'
import type { Window } from '../../time/window.ts'
import { recordedSinks, type RecordedRows } from '../recorded-sinks.ts'
import { testedJob } from '../tested-job.ts'
import { type AddedItem, memoryCaches, memoryLocks, memoryShared, recordedItems } from './memory-parts.ts'
import { MemorySteps, needsStore } from './memory-steps.ts'

/** The maximum number of attempts of one run. A run that needs more is considered to wait in `ctx.until` forever. */
const MAX_WAITS = 10_000
const RUN_ID = 1

export interface RunJobOptions {
  readonly input?: unknown
  /** Values that override the job's config. */
  readonly config?: Readonly<Record<string, unknown>>
  /** The start of the window, as an instant or as a day in the job's zone. Required for a job with windows. */
  readonly window?: WindowInput
  /** The value of each resource of the job, by name. */
  readonly resources?: Readonly<Record<string, unknown>>
  /** The number of the attempt. Default 1. */
  readonly attempt?: number
  /** If this signal aborts, the run ends as if it were cancelled. */
  readonly signal?: AbortSignal
  /** The results of steps that earlier attempts have stored, by name. */
  readonly steps?: Readonly<Record<string, unknown>>
  /** The current values of shared values, by topic. Default: their initial values. */
  readonly shared?: Readonly<Record<string, unknown>>
  /** The executor that `ctx.commit` and steps with a transaction use. */
  readonly trx?: SqlExecutor
  /** The clock for timeouts and for pauses of steps. Default: the system clock. */
  readonly clock?: Clock
  /** The id of the job, if the class has several jobs. */
  readonly id?: string
}

/** A line that was logged with `ctx.log`. */
export interface LoggedLine {
  readonly level: keyof Logger
  readonly message: string | undefined
  readonly fields: object
}

export interface RunJobResult<Out = unknown> {
  /** The output as the database would return it. */
  readonly output: Out
  /** The rows that were written, by the names of the sinks, in the output form of their models. */
  readonly rows: Readonly<RecordedRows>
  readonly logs: readonly LoggedLine[]
  readonly progress: readonly { readonly done: number; readonly total?: number; readonly message?: string }[]
  /** The results of all steps by name, including those of earlier attempts. Pass them as `steps` to test the next attempt. */
  readonly steps: Readonly<Record<string, unknown>>
  /** The items that the handler added. Their functions are not called. */
  readonly items: readonly AddedItem[]
}

const CHECKS: OptionChecks<RunJobOptions> = {
  input: anything,
  config: anything,
  window: anything,
  resources: aTable,
  attempt: wholeNumber(1, 60_000),
  signal: anAbortSignal,
  steps: aTable,
  shared: aTable,
  trx: aTable,
  clock: aClock,
  id: aText,
}

/**
 * Calls a job's handler once, without a store, an app or a retry. Input, config, output and rows are checked as in a run. Sinks only record
 * their rows. Steps, locks, limits, caches and shared values live in memory. `ctx.until` does not wait. Its function is called again
 * immediately, and the handler starts again as in a real run.
 *
 * @param job a job of `defineJob`, or a class or an instance with `@job`
 * @throws PikoError `USAGE` naming all wrong options and missing resources; `INPUT_INVALID`, `CONFIG_INVALID`, `OUTPUT_INVALID`,
 * `SINK_ROW_INVALID`
 * @throws the error of the handler
 * @example
 * const { output, rows } = await runJob(prices, { input: ['anvil'], resources: { rates: fakeRates } })
 */
export async function runJob<const J extends Typed | object>(
  job: J,
  options: RunJobOptions = {},
): Promise<RunJobResult<J extends Typed ? OutputOf<J> : unknown>> {
  const { options: read, problems } = readOptions<RunJobOptions>(options, CHECKS, '{ input: … }')
  if (problems.length > 0) throw wrongCall('runJob', problems)
  const tested = testedJob('runJob', job, read.id)
  return (await new JobRun(tested, read).run()) as RunJobResult<J extends Typed ? OutputOf<J> : unknown>
}

class JobRun {
  readonly #job: JobDefinition
  readonly #options: RunJobOptions
  readonly #clock: Clock
  readonly #rows: RecordedRows = {}
  readonly #logs: LoggedLine[] = []
  readonly #progress: { done: number; total?: number; message?: string }[] = []
  readonly #items: AddedItem[] = []
  readonly #steps: MemorySteps
  readonly #caches = memoryCaches()
  #committed: { readonly value: unknown } | undefined

  constructor(job: JobDefinition, options: RunJobOptions) {
    assertResources(job, options.resources ?? {})
    const sinks = isObject(job.spec.sinks) ? recordedSinks(job.spec.sinks, this.#rows) : undefined
    this.#job = sinks ? { ...job, spec: { ...job.spec, sinks } } : job
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#steps = new MemorySteps(options.steps ?? {}, () => this.#trx('a step with a transaction'))
  }

  async run(): Promise<RunJobResult> {
    const pipeline = this.#pipeline()
    const claim = this.#claim()
    let claims = (this.#options.attempt ?? 1) + (this.#steps.size > 0 ? 1 : 0)
    try {
      for (let waits = 0; waits < MAX_WAITS; waits++) {
        const outcome = await this.#attempt(pipeline, { ...claim, fence: fenceOf(RUN_ID, Math.min(claims++, 60_000)) })
        if (outcome.kind === 'success') return this.#result(outcome.output)
        if (outcome.kind !== 'waiting') throw errorOf(outcome)
        this.#steps.pass(outcome.afterMs)
        this.#items.length = 0
      }
    } finally {
      await this.#caches.close()
    }
    throw new PikoError(
      'USAGE',
      `runJob: ctx.until of job "${this.#job.id}" was not ready after ${MAX_WAITS} calls; make its function ready, or give \`for\``,
    )
  }

  #result(returned: unknown): RunJobResult {
    const output = this.#committed ? this.#committed.value : returned
    return {
      output: fromJson(toJson(storableOutput(output, this.#job.id, MAX_VALUE_BYTES), 'output')),
      rows: this.#rows,
      logs: this.#logs,
      progress: this.#progress,
      steps: this.#steps.results,
      items: this.#items,
    }
  }

  #claim(): Claim {
    const job = this.#job
    const { input, config, attempt = 1 } = this.#options
    const window = windowOf(job, this.#options.window)
    const now = new Date(this.#clock.now())
    return {
      ...{ runId: RUN_ID, jobId: job.id, kind: 'manual', attempt, fence: 0, runAt: now, tick: undefined, window },
      config: new PrepareRun(() => undefined).storable(job, config),
      input: storableInput(job, input, MAX_VALUE_BYTES),
    }
  }

  async #attempt(pipeline: RunPipeline, claim: Claim): Promise<Outcome> {
    const attempt = new LiveAttempt(claim, 'runJob', this.#job, this.#clock.now(), {
      runLog: () => this.#log,
      onAbort: () => {},
    })
    const { signal } = this.#options
    const cancel = (): void => attempt.abort(signal?.reason)
    // The handler is not called, just like in a run that is cancelled before it begins.
    if (signal?.aborted) throw toError(signal.reason)
    signal?.addEventListener('abort', cancel, { once: true })
    const over = new AbortController()
    const { timeoutMs } = this.#job.policy
    if (timeoutMs !== undefined)
      void this.#clock.sleep(timeoutMs, over.signal).then(() => {
        if (!over.signal.aborted) attempt.abort(runTimedOut(claim, timeoutMs))
      })
    try {
      return await pipeline.run(attempt)
    } finally {
      over.abort()
      signal?.removeEventListener('abort', cancel)
      attempt.isOver = true
    }
  }

  #pipeline(): RunPipeline {
    const events = new Events()
    const clock = this.#clock
    const sql = noDatabase()
    return new MemoryPipeline({
      resources: {
        borrow: (_map, { signal }) => {
          signal.throwIfAborted()
          return Promise.resolve({ values: Object.freeze({ ...this.#options.resources }), release: async () => {} })
        },
      },
      sinks: new SinkPool({ env: { sql, log: this.#log } }),
      store: {
        commit: (_owner, claim, fn, { isWanted }) => this.#commit(claim, fn, isWanted),
        steps: this.#steps,
        rates: { reserve: () => Promise.reject(needsStore('a rate limit')) },
        database: { sql, maxValueBytes: MAX_VALUE_BYTES, assertOutside: () => {} },
      },
      locks: memoryLocks(),
      shared: memoryShared(this.#options.shared ?? {}),
      caches: this.#caches,
      ...{ clock, events },
      prepare: new PrepareRun(() => undefined),
      progress: {
        report: (_attempt, done, total, message) =>
          void this.#progress.push({
            done,
            ...(total !== undefined && { total }),
            ...(message !== undefined && { message }),
          }),
      },
      rateGate: new RateGate({
        rates: { exchange: () => Promise.reject(needsStore('a rate limit')) },
        ...{ clock, events, holdsLease: () => true },
      }),
      items: recordedItems(this.#job, this.#items),
      abandoned: new AbortController().signal,
    })
  }

  async #commit<T>(claim: Claim, fn: (trx: SqlExecutor) => Promise<T>, isWanted: () => void): Promise<T> {
    const value = await fn(this.#trx('ctx.commit'))
    storableOutput(value, claim.jobId, MAX_VALUE_BYTES)
    isWanted()
    this.#committed = { value }
    return value
  }

  #trx(call: string): SqlExecutor {
    if (this.#options.trx) return this.#options.trx
    throw needsStore(call)
  }

  get #log(): Logger {
    const line =
      (level: keyof Logger) =>
      (first: object | string, message?: string): void => {
        this.#logs.push(
          typeof first === 'string' ? { level, message: first, fields: {} } : { level, message, fields: first },
        )
      }
    return {
      trace: line('trace'),
      debug: line('debug'),
      info: line('info'),
      warn: line('warn'),
      error: line('error'),
    }
  }
}

/** The rate limit allows everything, because a test must not wait for it. */
class MemoryPipeline extends RunPipeline {
  override limit(attempt: LiveAttempt): FleetLimit {
    return () => ({
      take: () => {
        attempt.throwIfAborted()
        return Promise.resolve()
      },
      tryTake: () => Promise.resolve(true),
    })
  }
}

function assertResources(job: JobDefinition, given: Readonly<Record<string, unknown>>): void {
  const wanted = isObject(job.spec.resources) ? Object.keys(job.spec.resources) : []
  const problems = [
    ...wanted
      .filter((name) => !Object.hasOwn(given, name))
      .map((name) => `resources has no ${describe(name)}, which job "${job.id}" borrows; pass a value for it`),
    ...Object.keys(given)
      .filter((name) => !wanted.includes(name))
      .map((name) => `resources has ${describe(name)}, which job "${job.id}" does not borrow`),
  ]
  if (problems.length > 0) throw wrongCall('runJob', problems)
}

function windowOf(job: JobDefinition, given: WindowInput | undefined): Window | undefined {
  const { windows } = job.policy
  if (!windows) {
    if (given === undefined) return undefined
    throw wrongCall('runJob', [`window is given, but job "${job.id}" has no windows`])
  }
  const zone = zoneOfDefinition(job)
  const example = 'its start, such as "2026-01-01" or "2026-01-01T00:00:00Z"'
  if (given === undefined)
    throw wrongCall('runJob', [`window is missing, but job "${job.id}" has windows; pass ${example}`])
  const start = momentOf('runJob: window', given, zone)
  const timeline = timelineOf(job, windows)
  const window = timeline.startingAt(start)
  if (window) return window
  const around = timeline.containing(start)
  const nearest = around ? `; the window around it starts at ${around.start.toISOString()}` : ''
  throw new PikoError(
    'WINDOW_UNKNOWN',
    `runJob: no window of job "${job.id}" starts at ${start.toISOString()}${nearest}`,
    { details: { jobId: job.id, start: start.toISOString() } },
  )
}

function errorOf(outcome: Exclude<Outcome, { kind: 'success' | 'waiting' }>): Error {
  return 'error' in outcome ? outcome.error : toError(new PikoError('STOPPED', 'the run was interrupted'))
}

function noDatabase(): SqlDatabase {
  const refuse = (): Promise<never> => Promise.reject(needsStore('SQL'))
  return { dialect: 'sqlite', query: refuse, exec: refuse, transaction: refuse }
}
