import { checkedCall } from '../../../call-options.ts'
import { describe, PikoError } from '../../../errors.ts'

import type { StepMapOptions, StepOptions, UntilOptions } from '../../../job/steps.ts'
import {
  aFunction,
  expecting,
  flag,
  oneOf,
  type OptionCheck,
  type OptionChecks,
  readOptions,
  wholeNumber,
} from '../../../options.ts'
import type { RetryPolicy, RetrySpec } from '../../../run/retry.ts'
import type { WaitPolicy } from '../../../run/step.ts'
import { durationMs, MAX_STORED_MS, readDuration } from '../../../time/duration.ts'
import { isKey } from '../../../store/values/exact-key.ts'

/** The checked options of a step. */
export interface StepPolicy {
  readonly retry: RetryPolicy
  readonly timeoutMs: number | undefined
  readonly isTransaction: boolean
}

const MAX_NAME_CHARACTERS = 128
const DEFAULT_CONCURRENCY = 8

const NO_RETRY: RetryPolicy = { limit: 0, backoff: 'exponential', baseMs: 1_000, maxMs: 300_000, jitter: true }
const USUAL: StepPolicy = { retry: NO_RETRY, timeoutMs: undefined, isTransaction: false }

const aLength = (minMs: number): OptionCheck =>
  expecting(
    `a number with a unit (ms, s, m, h, d) up to ten years${minMs > 0 ? ', above 0' : ''}, such as "10s"`,
    (value) => {
      const reading = readDuration(value, MAX_STORED_MS)
      return 'ms' in reading && reading.ms >= minMs
    },
  )

const RETRY: OptionChecks<RetrySpec> = {
  limit: wholeNumber(0),
  backoff: oneOf('fixed', 'exponential'),
  base: aLength(0),
  max: aLength(0),
  jitter: flag,
  retryIf: aFunction,
}

const aRetry: OptionCheck = (value) => {
  const { problems } = readOptions(value, RETRY, '{ limit: 3 }', ['limit'])
  return problems.length === 0 ? undefined : `is wrong: ${problems.join('; ')}`
}

const STEP: OptionChecks<StepOptions> = { retry: aRetry, timeout: aLength(1) }

const CALLS = {
  'ctx.step': { ...STEP, transaction: flag } satisfies OptionChecks<StepOptions & { transaction?: boolean }>,
  'ctx.stepMap': { ...STEP, key: aFunction, concurrency: wholeNumber(1) } satisfies OptionChecks<
    StepMapOptions<unknown>
  >,
  'ctx.until': { every: aLength(1), for: aLength(1) } satisfies OptionChecks<UntilOptions>,
}

export type StepCall = keyof typeof CALLS

/** @throws PikoError `USAGE` that names all problems of the options */
export function stepPolicyOf(given: (StepOptions & { readonly transaction?: boolean }) | undefined): StepPolicy {
  if (given === undefined) return USUAL
  const { retry, timeout, transaction = false } = checkedCall('ctx.step', CALLS['ctx.step'], given)
  return {
    retry: retry ? retryPolicyOf(retry) : NO_RETRY,
    timeoutMs: timeout === undefined ? undefined : durationMs(timeout),
    isTransaction: transaction,
  }
}

function retryPolicyOf({ limit, backoff, base, max, jitter, retryIf }: RetrySpec): RetryPolicy {
  return {
    limit,
    backoff: backoff ?? NO_RETRY.backoff,
    baseMs: base === undefined ? NO_RETRY.baseMs : durationMs(base),
    maxMs: max === undefined ? NO_RETRY.maxMs : durationMs(max),
    jitter: jitter ?? NO_RETRY.jitter,
    retryIf,
  }
}

/** @throws PikoError `USAGE` */
export function stepMapOptionsOf<T>(given: StepMapOptions<T>): {
  readonly step: StepOptions
  readonly keyOf: (item: T, index: number) => unknown
  readonly concurrency: number
} {
  const {
    key,
    concurrency = DEFAULT_CONCURRENCY,
    ...step
  } = checkedCall('ctx.stepMap', CALLS['ctx.stepMap'], given as StepMapOptions<unknown>)
  return { step, concurrency, keyOf: key ?? ((item) => item) }
}

/** @throws PikoError `USAGE` */
export function waitPolicyOf(given: UntilOptions): WaitPolicy {
  const { every, for: most } = checkedCall('ctx.until', CALLS['ctx.until'], given)
  if (every === undefined) {
    throw new PikoError('USAGE', "ctx.until: every is missing; expected how often to look, such as { every: '30s' }")
  }
  return { everyMs: durationMs(every), forMs: most === undefined ? undefined : durationMs(most) }
}

/** @throws PikoError `USAGE` */
export function assertStep(call: StepCall, name: unknown, fn: unknown): void {
  const problems = [
    ...(isKey(name, MAX_NAME_CHARACTERS) ? [] : [nameProblem(name)]),
    ...(typeof fn === 'function' ? [] : [`its function is ${describe(fn)}; expected a function`]),
  ]
  if (problems.length > 0) throw new PikoError('USAGE', `${call}: ${problems.join('; ')}`, { details: { problems } })
}

/** The name of an item's step. @throws PikoError `USAGE` */
export function itemName(name: string, key: unknown, index: number): string {
  const isUsable = typeof key === 'string' || typeof key === 'number'
  const whole = isUsable ? `${name}:${key}` : ''
  if (isUsable && isKey(whole, MAX_NAME_CHARACTERS)) return whole
  const problem = isUsable
    ? `for item ${index}, ${nameProblem(whole)}`
    : `the key of item ${index} is ${describe(key)}; expected a text or a number: give key, such as { key: (item) => item.id }`
  throw new PikoError('USAGE', `ctx.stepMap: ${problem}`, { details: { name, index } })
}

function nameProblem(name: unknown): string {
  return `the name of a step is ${describe(name)}; expected a text without lone surrogates of 1 to ${MAX_NAME_CHARACTERS} characters`
}
