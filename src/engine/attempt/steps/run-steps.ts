import { counted } from '../../../counted.ts'
import { untilAborted } from '../../../signals/until-aborted.ts'
import type { Clock } from '../../../clock.ts'
import { describe, type ErrorCode, isPikoError, PikoError } from '../../../errors.ts'
import type { StepMapOptions, StepOptions, StepScope, UntilOptions } from '../../../job/steps.ts'
import { MAX_VALUE_BYTES } from '../../../json/json.ts'
import { NoRetryError } from '../../../run/retry-errors.ts'
import { nextLookMs } from '../../../run/step.ts'
import type { SqlExecutor } from '../../../sql/sql.ts'
import { claimsIn, fenceOf, MAX_CLAIMS_OF_WAITS } from '../../../store/runs/fence.ts'
import { STORED_BY_ANOTHER } from '../../../store/steps/commit-step.ts'
import type { NewStep } from '../../../store/steps/new-step.ts'
import type { StepStore, StoredStep } from '../../../store/steps/step-store.ts'
import type { StepAttempt } from './step-attempt.ts'
import { stepTimedOut, triedCall } from './step-call.ts'
import {
  assertStep,
  type StepCall,
  stepMapOptionsOf,
  type StepPolicy,
  stepPolicyOf,
  waitPolicyOf,
} from './step-options.ts'
import { type StepText, stepText } from './step-text.ts'
import { namedItems } from './named-items.ts'
import type { StepWriter } from './step-writer.ts'
import { isPassing, retried } from '../../loop/retried.ts'

/** The store methods that steps use. */
export type StepStorage = Pick<StepStore, 'add' | 'stored' | 'commit' | 'isInTransaction'>

export interface StepParts {
  readonly store: StepStorage
  readonly writer: StepWriter
  readonly clock: Clock
  readonly maxValueBytes: () => number
  readonly abandoned: AbortSignal
}

type StepFunction = (step: StepScope) => unknown
type TransactionFunction = (trx: SqlExecutor, step: StepScope) => unknown
type Options = StepOptions & { readonly transaction?: boolean }

const NONE: ReadonlyMap<string, StoredStep> = new Map()

/** The steps of one attempt: those that earlier attempts have stored, and new ones. */
export class RunSteps {
  readonly #attempt: StepAttempt
  readonly #parts: StepParts
  /** The names that this attempt has used. */
  readonly #names = new Set<string>()
  readonly #open = new Set<Promise<unknown>>()
  #stored: Promise<ReadonlyMap<string, StoredStep>> | undefined
  #readAt = 0
  #seq = 0

  constructor(attempt: StepAttempt, parts: StepParts) {
    this.#attempt = attempt
    this.#parts = parts
  }

  step(name: string, fn: StepFunction | TransactionFunction, options?: Options): Promise<unknown> {
    return this.#begun('ctx.step', () => this.#step(name, fn, options))
  }

  #step(name: string, fn: StepFunction | TransactionFunction, options: Options | undefined): Promise<unknown> {
    return this.#tracked(async () => {
      assertStep('ctx.step', name, fn)
      const policy = stepPolicyOf(options)
      return this.#named('ctx.step', name, (stored) => this.#stepOnce(name, fn, policy, stored))
    })
  }

  stepMap<T>(
    name: string,
    items: Iterable<T> | AsyncIterable<T>,
    fn: (item: T, index: number, step: StepScope) => unknown,
    options: StepMapOptions<T> = {},
  ): Promise<PromiseSettledResult<unknown>[]> {
    return this.#begun('ctx.stepMap', async () => {
      assertStep('ctx.stepMap', name, fn)
      const { step, keyOf, concurrency } = stepMapOptionsOf(options)
      const named = namedItems(name, items, keyOf, (taken) => this.#duplicate(taken))
      const call = ({ item, name: itemName }: { item: T; name: string }, index: number): Promise<unknown> =>
        this.#step(itemName, (scope: StepScope) => fn(item, index, scope), step)
      const { fanOut } = await import('../../../calls/fan-out.ts')
      return fanOut(named, call, concurrency, this.#attempt.signal)
    })
  }

  until(name: string, fn: StepFunction, options: UntilOptions): Promise<unknown> {
    return this.#begun('ctx.until', async () => {
      assertStep('ctx.until', name, fn)
      const policy = waitPolicyOf(options)
      return this.#named('ctx.until', name, (stored) => this.#look(name, fn, policy, stored))
    })
  }

  /** Waits for steps that the handler has begun but not awaited. They must not run at the same time as the next attempt's steps. */
  async idle(): Promise<void> {
    while (this.#open.size > 0) await Promise.allSettled([...this.#open])
  }

  /**
   * Refuses calls after the handler has ended, because they could run at the same time as the next attempt. A `stepMap` that has begun
   * still runs all its items.
   */
  async #begun<T>(call: StepCall, begin: () => Promise<T>): Promise<T> {
    if (!this.#attempt.isHandled) return this.#tracked(begin)
    this.#attempt.throwIfAborted()
    throw this.#refusal(call, 'after its handler has ended; await every step in the handler')
  }

  #tracked<T>(begin: () => Promise<T>): Promise<T> {
    const work = begin()
    this.#open.add(work)
    // The caller gets a separate promise. If it is never awaited, its rejection is still reported as unhandled.
    return work.finally(() => this.#open.delete(work))
  }

  /** Reserves a name, and returns the stored result of the step or the result of `use`. Frees the name if this fails. */
  async #named(
    call: StepCall,
    name: string,
    use: (stored: StoredStep | undefined) => Promise<unknown>,
  ): Promise<unknown> {
    this.#assertUsable(call)
    if (this.#names.has(name)) throw this.#duplicate(name)
    this.#names.add(name)
    try {
      const stored = (await this.#allStored()).get(name)
      const result = stored?.isFinished ? await this.#asked(() => stored.read()) : undefined
      if (result) return result.value
      this.#attempt.throwIfAborted()
      return await use(stored)
    } catch (error) {
      this.#names.delete(name)
      throw error
    }
  }

  #assertUsable(call: StepCall): void {
    const attempt = this.#attempt
    attempt.throwIfAborted()
    if (attempt.commit !== 'none')
      throw this.#refusal(call, 'in or after ctx.commit, which ends the run; call it before')
    if (this.#parts.store.isInTransaction)
      throw this.#refusal(
        call,
        'inside of a transaction: it would be remembered even if the transaction is rolled back; call it before or after the transaction',
      )
  }

  #refusal(call: StepCall, problem: string): PikoError {
    const { runId, jobId } = this.#attempt.claim
    return new PikoError('USAGE', `run ${runId} of job "${jobId}" called ${call} ${problem}`)
  }

  /**
   * Reads the stored steps once per attempt; large results are read only when needed. The first claim of a run has no stored steps and
   * needs no query.
   */
  #allStored(): Promise<ReadonlyMap<string, StoredStep>> {
    const { runId, fence } = this.#attempt.claim
    if (fence === fenceOf(runId, 1)) return Promise.resolve(NONE)
    this.#stored ??= this.#asked(() => this.#parts.store.stored(runId)).then(
      (stored) => {
        this.#readAt = this.#parts.clock.monotonic()
        return stored
      },
      (error: unknown) => {
        this.#stored = undefined
        throw error
      },
    )
    return this.#stored
  }

  async #stepOnce(
    name: string,
    fn: StepFunction | TransactionFunction,
    policy: StepPolicy,
    stored: StoredStep | undefined,
  ): Promise<unknown> {
    if (policy.isTransaction) return this.#inTransaction(name, fn as TransactionFunction, policy, stored !== undefined)
    const begunAt = this.#parts.clock.monotonic()
    const { text, tries } = await triedCall(this.#attempt, name, policy, this.#parts.clock, async (one) => ({
      text: this.#textOf(name, await one.run(() => (fn as StepFunction)(scopeOf(one)))),
      tries: one.attempt,
    }))
    await this.#add(name, { result: text.json, ms: this.#since(begunAt), tries, isFinished: true })
    return text.value
  }

  async #inTransaction(name: string, fn: TransactionFunction, policy: StepPolicy, replaces: boolean): Promise<unknown> {
    const attempt = this.#attempt
    const { store, clock, abandoned } = this.#parts
    const begunAt = clock.monotonic()
    const owner = { nodeId: attempt.nodeId, claim: attempt.claim }
    const value = await triedCall(attempt, name, policy, clock, (one) =>
      store.commit<unknown>({
        ...owner,
        ...{ name, replaces, signal: one.signal, giveUp: abandoned, isWanted: () => attempt.throwIfAborted() },
        fn: async (trx) => {
          attempt.throwIfAborted()
          const text = this.#textOf(name, await one.run(() => fn(trx, scopeOf(one))))
          const fields = { result: text.json, ms: this.#since(begunAt), tries: one.attempt, isFinished: true }
          return { value: text.value, step: this.#newStep(name, fields) }
        },
      }),
    )
    if (value !== STORED_BY_ANOTHER) return value
    const other = await this.#asked(async () => (await store.stored(attempt.claim.runId, name)).get(name)?.read())
    if (other) return other.value
    throw this.#fault('STEP_RESULT', name, "was stored by another claim, whose row is gone or can't be read")
  }

  async #look(
    name: string,
    fn: StepFunction,
    policy: ReturnType<typeof waitPolicyOf>,
    stored: StoredStep | undefined,
  ): Promise<unknown> {
    const attempt = this.#attempt
    const { clock } = this.#parts
    const begunAt = clock.monotonic()
    const waited = stored && !stored.isFinished ? stored : undefined
    const tries = (waited?.tries ?? 0) + 1
    const one: StepScope = { attempt: tries, signal: attempt.signal }
    const value = await fn(one)
    const waitedMs = waited ? waited.waitedMs + clock.monotonic() - this.#readAt : 0
    const since = waited?.waitingSince
    if (value) {
      const { json, value: kept } = this.#textOf(name, value)
      const ms = waited ? Math.round(waitedMs) : this.#since(begunAt)
      await this.#add(name, { result: json, ms, tries, isFinished: true, waitingSince: since })
      return kept
    }
    const afterMs = nextLookMs(policy, waitedMs)
    if (afterMs === undefined)
      throw stepTimedOut(attempt, name, `it is not ready after ${counted(tries, 'call')} in ${policy.forMs} ms`)
    if (claimsIn(attempt.claim) > MAX_CLAIMS_OF_WAITS) throw outOfLooks(attempt, name, tries)
    // Another wait may already be ending the attempt. This wait is also stored, because its time begins now.
    if (!isPikoError(attempt.abortReason, 'STEP_WAITING')) attempt.throwIfAborted()
    attempt.waitMs = Math.min(attempt.waitMs ?? Infinity, Math.max(1, Math.round(afterMs)))
    const ms = Math.round(waitedMs)
    await this.#add(name, { result: null, ms, tries, isFinished: false, waitingSince: since ?? 'now' })
    attempt.throwIfAborted()
    const reason = waiting(attempt, name, attempt.waitMs)
    attempt.abort(reason)
    throw attempt.abortReason ?? reason
  }

  #textOf(name: string, value: unknown): StepText {
    return stepText(value, name, this.#attempt.claim, Math.min(MAX_VALUE_BYTES, this.#parts.maxValueBytes()))
  }

  async #add(name: string, fields: StepFields): Promise<void> {
    // An abort ends the handler's wait. The attempt itself still waits until the row is stored.
    const adding = this.#tracked(() => this.#parts.writer.add(this.#attempt, this.#newStep(name, fields)))
    try {
      await untilAborted(adding, this.#attempt.signal)
    } catch (error) {
      if (error instanceof PikoError && error.code === 'LEASE_LOST') this.#attempt.abort(error)
      throw error
    }
  }

  #newStep(name: string, fields: StepFields): NewStep {
    const { nodeId, claim } = this.#attempt
    return { nodeId, claim, name, seq: ++this.#seq, ...fields }
  }

  #since(begunAt: number): number {
    return Math.round(this.#parts.clock.monotonic() - begunAt)
  }

  /** Repeats `ask` while the database does not answer and the attempt continues. */
  #asked<T>(ask: () => Promise<T>): Promise<T> {
    const { clock, abandoned } = this.#parts
    return retried(ask, {
      clock,
      signal: this.#attempt.signal,
      isFinal: (thrown) => {
        this.#attempt.throwIfAborted()
        return abandoned.aborted || !isPassing(thrown)
      },
    })
  }

  #duplicate(name: string): PikoError {
    const advice = 'a name is remembered once: make it unique, as in `page:${page}`'
    return this.#fault('STEP_DUPLICATE', name, `is used twice; ${advice}`)
  }

  #fault(code: ErrorCode, name: string, text: string): PikoError {
    const { runId, jobId } = this.#attempt.claim
    return new PikoError(code, `step ${describe(name)} of run ${runId} of job "${jobId}" ${text}`, {
      details: { runId, jobId, step: name },
    })
  }
}

type StepFields = Pick<NewStep, 'result' | 'ms' | 'tries' | 'isFinished' | 'waitingSince'>

function scopeOf({ attempt, signal }: StepScope): StepScope {
  return { attempt, signal }
}

/** Returns the error for a run that has been claimed too many times. The run is not retried. */
function outOfLooks(attempt: StepAttempt, name: string, tries: number): PikoError {
  const why = `it is not ready after ${tries} calls, and the run has been claimed more than ${MAX_CLAIMS_OF_WAITS} times; set a longer "every"`
  return stepTimedOut(attempt, name, why, new NoRetryError('a run can be claimed only 65535 times'))
}

function waiting({ claim: { runId, jobId } }: StepAttempt, name: string, afterMs: number): PikoError {
  return new PikoError(
    'STEP_WAITING',
    `step "${name}" of run ${runId} of job "${jobId}" is not ready; this attempt does not count, and the run continues in ${afterMs} ms`,
    { details: { runId, jobId, step: name, afterMs } },
  )
}
