import { PikoError, toError } from '../errors.ts'
import { type JobRegistry } from '../job/registry.ts'
import { cancelledError, runCancelled } from '../job/attempt.ts'
import { forbidsRetry, retryTimingOf } from '../job/retry-errors.ts'
import { type Claim, type Outcome, settle, type Transition } from '../job/run.ts'
import { type JobDefinition } from '../job/spec.ts'
import { type Logger } from '../job/context.ts'
import { withOffloadSignal } from '../offload/signal.ts'
import { type ResourceMap } from '../resource/resource.ts'
import { type ResourcePool } from '../resource/resource-pool.ts'
import { Service } from '../service/service.ts'
import { type SinkMap } from '../sink/sink.ts'
import { type SinkPool } from '../sink/sink-pool.ts'
import { type SqlDatabase, type SqlExecutor } from '../sink/sql.ts'
import { MOST_OUTPUT_BYTES, toJson } from '../store/json.ts'
import { type ConfigVersion } from '../store/config-store.ts'
import { type Store } from '../store/store.ts'
import { type Events } from '../telemetry/events.ts'
import { type Clock } from './clock.ts'
import { type Completer, type Stored } from './completer.ts'
import { Deadlines } from './deadlines.ts'
import { type Locks } from './locks.ts'
import { Pace } from './pace.ts'
import { mergeConfig, parseConfig } from './run-config.ts'
import { RunContext } from './run-context.ts'
import { RunLocks } from './run-locks.ts'

export interface ExecutorParts {
  readonly registry: JobRegistry
  readonly borrow: ResourcePool['borrow']
  readonly sinksFor: SinkPool['forRun']
  readonly sql: SqlDatabase
  readonly completer: Completer
  /** Runs `fn`, the run's completion and its window's state in one fenced transaction. */
  readonly commit: Store['commit']
  readonly lock: Locks['acquire']
  readonly events: Events
  readonly clock: Clock
  readonly nodeId: () => string
  /**
   * Told in how many milliseconds a run will be past its timeout and the grace time, should the event loop be blocked until then;
   * undefined: none will.
   */
  readonly onDeadline: (ms: number | undefined) => void
  /** Whether this node's lease is its own for sure. */
  readonly holdsLease: () => boolean
  /** The config that was saved for a job and is in force. */
  readonly savedConfig: (jobId: string) => ConfigVersion | undefined
  readonly runLog: (claim: Claim) => Logger
  readonly shutdownTimeoutMs: number
  /** In [0, 1), for the retry's jitter. */
  readonly random: () => number
  /** After its signal aborted, a handler has this long to come to an end; then the run is given up and its slot is free. */
  readonly graceMs: number
}

/** An attempt under way, and the one signal that ends it early. */
interface Attempt {
  readonly claim: Claim
  readonly nodeId: string
  readonly abort: AbortController
  /** The handler went on after the grace time, and was left alone. */
  isGivenUp: boolean
  /**
   * `'sent'`: nothing can stop the commit any more, and only its answer tells how the run ended. `'done'`: the handler has
   * ended the run by `ctx.commit`, and nothing that follows changes that.
   */
  commit: 'none' | 'begun' | 'sent' | 'done'
  committing: Promise<unknown>
}

/** A loop that is merely busy comes round within this. */
const BLOCKED_MARGIN_MS = 500

/** Of the shutdown timeout this share is left for handlers that end on their signal, and for writing their ends. */
const GIVE_BACK_SHARE = 0.2

/** Executes claims: one pipeline from the definition to the stored outcome. A stop drains it. */
export class Executor extends Service {
  readonly #parts: ExecutorParts
  // By attempt, not by run: a run whose lease was lost may be back here while its earlier attempt still comes to its end.
  readonly #attempts = new Set<Attempt>()
  readonly #executing = new Map<number, Promise<void>>()
  readonly #deadlines: Deadlines
  readonly #pace = new Pace()
  /** Aborts when a stop has waited long enough for a database that does not answer. */
  readonly #abandoned = new AbortController()

  constructor(parts: ExecutorParts) {
    super({ name: 'executor' })
    this.#parts = parts
    this.#deadlines = new Deadlines(parts.clock, (ms) =>
      parts.onDeadline(ms === undefined ? undefined : ms + parts.graceMs + BLOCKED_MARGIN_MS),
    )
  }

  /** Ends every attempt under way early; `reason` tells handlers and decides the outcome. */
  abortAll(reason: PikoError): void {
    for (const attempt of this.#attempts) attempt.abort.abort(reason)
  }

  /** Ends those attempts under way that have these fences: somebody cancelled their runs. */
  cancel(fences: readonly number[]): void {
    const wanted = new Set(fences)
    for (const { claim, abort } of this.#attempts) {
      if (wanted.has(claim.fence)) abort.abort(runCancelled(claim.runId))
    }
  }

  /** The runs whose handlers are under way and have no reason to end yet. */
  get cancellable(): number[] {
    return [...this.#attempts].filter(({ abort }) => !abort.signal.aborted).map(({ claim }) => claim.runId)
  }

  /** Runs under way. */
  get active(): number {
    return this.#executing.size
  }

  /** The fences of the claims under way, until their ends are stored. */
  get held(): ReadonlySet<number> {
    return new Set(this.#executing.keys())
  }

  /**
   * Executes a claim. Never rejects; resolves when the end of the attempt is stored or refused.
   *
   * @param nodeId under which the run was claimed
   */
  take(claim: Claim, nodeId: string): Promise<void> {
    const execution = this.#execute(claim, nodeId).finally(() => this.#executing.delete(claim.fence))
    this.#executing.set(claim.fence, execution)
    return execution
  }

  /**
   * Lets runs end until the deadline, then gives the rest back to the queue, uncounted. After a crash the runs go on:
   * they need nothing that a restart would make anew.
   */
  protected override async onStop(): Promise<void> {
    if (this.crashReason) return
    const { shutdownTimeoutMs, completer } = this.#parts
    const idle = this.#idle()
    const giveBackMs = shutdownTimeoutMs * GIVE_BACK_SHARE
    await this.#atMost(shutdownTimeoutMs - giveBackMs, idle)
    if (this.active === 0) return
    this.abortAll(new PikoError('STOPPED', 'this node stops; the run goes back to the queue and is not counted'))
    await this.#atMost(giveBackMs, idle)
    completer.abandon()
    this.#abandoned.abort()
  }

  async #idle(): Promise<void> {
    while (this.active > 0) await Promise.allSettled(this.#executing.values())
  }

  /** Waits `ms` at most, and leaves no timer behind when `work` ends first. */
  async #atMost(ms: number, work: Promise<void>): Promise<void> {
    const done = new AbortController()
    await Promise.race([work.then(() => done.abort()), this.#parts.clock.sleep(ms, done.signal)])
  }

  async #execute(claim: Claim, nodeId: string): Promise<void> {
    const { registry, clock, events } = this.#parts
    const job = registry.find(claim.jobId)
    const attempt: Attempt = {
      claim,
      nodeId,
      abort: new AbortController(),
      isGivenUp: false,
      commit: 'none',
      committing: Promise.resolve(),
    }
    const { runId, jobId } = claim
    const turn = this.#pace.turn()
    if (turn) await turn
    if (nodeId !== this.#parts.nodeId()) {
      // The lease was lost while the claim was under way: the run is no longer this node's.
      events.emit('run.lost', { runId, jobId, fence: claim.fence })
      return
    }
    if (!job) {
      await this.#store(attempt, { to: 'queued', delayMs: 0, counted: false })
      return
    }
    this.#attempts.add(attempt)
    const startedAt = clock.now()
    events.emit('run.started', {
      runId,
      jobId,
      attempt: claim.attempt,
      latenessMs: Math.max(0, startedAt - claim.runAt.getTime()),
    })
    let outcome = await this.#attempt(attempt, job)
    if (attempt.commit === 'sent') await attempt.committing.catch(() => {})
    this.#attempts.delete(attempt)
    const isCommitted = attempt.commit === 'done'
    let transition: Transition = isCommitted
      ? { to: 'succeeded' }
      : settle(claim, this.#withAdvice(outcome, job, claim), job.policy.retry, this.#parts.random())
    // A node that has lost its lease writes nothing more; the fence would refuse it anyway.
    const isLost = !isCommitted && (hasLostLease(attempt.abort.signal) || !this.#parts.holdsLease())
    const stored = isCommitted ? 'stored' : isLost ? 'lost' : await this.#store(attempt, transition)
    if (stored === 'lost') {
      events.emit('run.lost', { runId, jobId, fence: claim.fence })
      return
    }
    if (stored === 'cancelled') {
      outcome = { kind: 'cancelled', error: runCancelled(runId) }
      transition = { to: 'cancelled', error: cancelledError() }
    }
    events.emit('run.settled', {
      runId,
      jobId,
      attempt: claim.attempt,
      outcome: isCommitted ? 'success' : outcome.kind,
      state: transition.to,
      durationMs: clock.now() - startedAt,
      error: !isCommitted && 'error' in outcome ? outcome.error : undefined,
      retryInMs: retryInMs(transition, clock.now()),
      isGivenUp: attempt.isGivenUp,
    })
  }

  /** What the handler's error and the job's `retryIf` say about another attempt. */
  #withAdvice(outcome: Outcome, job: JobDefinition, claim: Claim): Outcome {
    if (outcome.kind !== 'failure' && outcome.kind !== 'timeout') return outcome
    const { error } = outcome
    const { retryIf } = job.policy.retry
    let isPermanent = outcome.isPermanent === true || forbidsRetry(error)
    try {
      isPermanent ||= retryIf?.(error) === false
    } catch (thrown) {
      this.#parts.runLog(claim).error({ err: thrown }, 'retryIf threw; the run is not tried again')
      isPermanent = true
    }
    return { ...outcome, isPermanent, retry: retryTimingOf(error) }
  }

  async #store(attempt: Attempt, transition: Transition): Promise<Stored> {
    try {
      return await this.#parts.completer.finish(attempt.nodeId, attempt.claim, transition)
    } catch {
      // The completer has reported why, and has given up only because the process ends: the lease does the rest.
      return 'lost'
    }
  }

  /** The attempt itself, and whatever ends it first. */
  async #attempt(attempt: Attempt, job: JobDefinition): Promise<Outcome> {
    const { signal } = attempt.abort
    const { timeoutMs } = job.policy
    const cancelDeadline =
      timeoutMs === undefined
        ? undefined
        : this.#deadlines.add(timeoutMs, () =>
            attempt.abort.abort(
              new PikoError(
                'RUN_TIMEOUT',
                `run ${attempt.claim.runId} of job "${job.id}" took longer than its timeout of ${timeoutMs} ms`,
              ),
            ),
          )
    try {
      return await this.#orGivenUp(attempt, this.#pipeline(attempt, job))
    } catch (thrown) {
      return outcomeOf(signal, toError(thrown))
    } finally {
      cancelDeadline?.()
    }
  }

  /** Waits for the pipeline, but after an abort no longer than the grace time. */
  async #orGivenUp(attempt: Attempt, pipeline: Promise<Outcome>): Promise<Outcome> {
    const { signal } = attempt.abort
    let takeBack: (() => void) | undefined
    const givenUp = new Promise<never>((_, reject) => {
      const onAbort = (): void => {
        takeBack = this.#deadlines.add(this.#parts.graceMs, () => {
          attempt.isGivenUp = true
          reject(toError(signal.reason))
        })
      }
      if (signal.aborted) onAbort()
      else signal.addEventListener('abort', onAbort, { once: true })
    })
    try {
      return await Promise.race([pipeline, givenUp])
    } finally {
      takeBack?.()
    }
  }

  async #pipeline(attempt: Attempt, job: JobDefinition): Promise<Outcome> {
    const { claim, abort } = attempt
    const { signal } = abort
    const { borrow, sinksFor, events, runLog, sql } = this.#parts
    const { runId, jobId, fence, window } = claim
    const saved = this.#parts.savedConfig(jobId)
    let config: unknown
    try {
      config = parseConfig(job, mergeConfig(saved?.config, claim.config))
    } catch (error) {
      return { kind: 'failure', error: withVersion(toError(error), saved), isPermanent: true }
    }
    const log = runLog(claim)
    const scope = { runId, jobId, attempt: claim.attempt, fence, signal, log }
    const borrowed = await borrow((job.spec.resources as ResourceMap | undefined) ?? {}, scope)
    const locks = new RunLocks(this.#parts.lock, signal)
    try {
      const runSinks = await sinksFor((job.spec.sinks as SinkMap | undefined) ?? {}, { ...scope, window, sql })
      try {
        const context = new RunContext({
          claim,
          config,
          resources: borrowed.values,
          sinks: runSinks.writers,
          signal,
          log,
          commit: (fn) => this.#commit(attempt, fn, () => runSinks.flush()),
          lock: locks.acquire,
          onProgress: (done, total, message) => events.emit('run.progress', { runId, jobId, done, total, message }),
        })
        const output = await withOffloadSignal(signal, () => job.handler(context, borrowed.values))
        // A commit that the handler did not wait for.
        if (attempt.commit !== 'none') await attempt.committing
        signal.throwIfAborted()
        // An output that can't be stored fails the run before anything of it is written, and with it only.
        toJson(output, 'output', MOST_OUTPUT_BYTES)
        await runSinks.flush()
        signal.throwIfAborted()
        await borrowed.release({ ok: true })
        return { kind: 'success', output }
      } catch (error) {
        await runSinks.discard()
        if (attempt.commit !== 'done') throw error
        log.error({ err: error }, 'the handler failed after ctx.commit; the run has succeeded')
        await borrowed.release({ ok: true })
        return { kind: 'success', output: undefined }
      }
    } catch (thrown) {
      await this.#returnAfter(borrowed, toError(thrown), log)
      throw thrown
    } finally {
      await locks.release(log)
    }
  }

  async #commit<T>(attempt: Attempt, fn: (trx: SqlExecutor) => Promise<T>, flush: () => Promise<void>): Promise<T> {
    const { claim } = attempt
    if (attempt.commit !== 'none') {
      throw new PikoError(
        'USAGE',
        `run ${claim.runId} of job "${claim.jobId}" called ctx.commit twice; it ends the run`,
      )
    }
    attempt.commit = 'begun'
    const committing = this.#commitOnce(attempt, fn, flush)
    attempt.committing = committing
    return committing
  }

  async #commitOnce<T>(attempt: Attempt, fn: (trx: SqlExecutor) => Promise<T>, flush: () => Promise<void>): Promise<T> {
    const { claim, nodeId, abort } = attempt
    const begin = (trx: SqlExecutor): Promise<T> => {
      abort.signal.throwIfAborted()
      attempt.commit = 'begun'
      return fn(trx)
    }
    const isWanted = (): void => {
      abort.signal.throwIfAborted()
      attempt.commit = 'sent'
    }
    try {
      abort.signal.throwIfAborted()
      await flush()
      const value = await this.#parts.commit(nodeId, claim, begin, { isWanted, giveUp: this.#abandoned.signal })
      attempt.commit = 'done'
      return value
    } finally {
      if (attempt.commit !== 'done') attempt.commit = 'none'
    }
  }

  /** The failure of the run stands; what returning its resources adds to it goes to the log. */
  async #returnAfter(borrowed: Awaited<ReturnType<ResourcePool['borrow']>>, error: Error, log: Logger): Promise<void> {
    try {
      await borrowed.release({ ok: false, error })
    } catch (failure) {
      if (failure !== error) log.error({ err: failure }, 'returning the resources of a failed run failed as well')
    }
  }
}

/** The schema of newer code may refuse what was saved for an older one. */
function withVersion(error: Error, saved: ConfigVersion | undefined): Error {
  if (!saved || !(error instanceof PikoError)) return error
  const message = `${error.message} (version ${saved.version} of the job's config is in force: piko config history ${saved.jobId})`
  return new PikoError(error.code, message, { details: { ...error.details, version: saved.version } })
}

function hasLostLease(signal: AbortSignal): boolean {
  return signal.aborted && signal.reason instanceof PikoError && signal.reason.code === 'LEASE_LOST'
}

/** Milliseconds until the next attempt of a run that is tried again. */
function retryInMs(transition: Transition, now: number): number | undefined {
  if (transition.to !== 'queued' || !transition.counted) return undefined
  return transition.at ? Math.max(0, transition.at.getTime() - now) : transition.delayMs
}

/** An abort explains whatever the handler threw after it. */
function outcomeOf(signal: AbortSignal, error: Error): Outcome {
  if (!signal.aborted) return { kind: 'failure', error }
  const reason = toError(signal.reason)
  switch (reason instanceof PikoError ? reason.code : undefined) {
    case 'RUN_TIMEOUT':
      return { kind: 'timeout', error: reason }
    case 'STOPPED':
    case 'LEASE_LOST':
      return { kind: 'interrupted' }
    default:
      return { kind: 'cancelled', error: reason }
  }
}
