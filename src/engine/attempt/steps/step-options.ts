import { checkedCall } from '../../../call-options.ts'
import { describe, PikoError } from '../../../errors.ts'
import type { StepMapOptions, StepOptions, UntilOptions } from '../../../job/steps.ts'
import { aFunction, flag, type OptionChecks, wholeNumber } from '../../../options.ts'
import { policyOf, type RetryPolicy } from '../../../run/retry.ts'
import { aRetry } from '../../../run/retry-checks.ts'
import type { WaitPolicy } from '../../../run/step.ts'
import { durationMs, MAX_STORED_MS } from '../../../time/duration.ts'
import { aDuration } from '../../../time/duration-check.ts'
import { isKey } from '../../../store/values/exact-key.ts'

/** The checked options of a step. */
export interface StepPolicy {
  readonly retry: RetryPolicy
  readonly timeoutMs: number | undefined
  readonly isTransaction: boolean
}

const MAX_NAME_CHARACTERS = 128
const DEFAULT_CONCURRENCY = 8

const NO_RETRY = policyOf({})
const USUAL: StepPolicy = { retry: NO_RETRY, timeoutMs: undefined, isTransaction: false }

const aTime = aDuration(1, MAX_STORED_MS)

const STEP: OptionChecks<StepOptions> = { retry: aRetry, timeout: aTime }

const CALLS = {
  'ctx.step': { ...STEP, transaction: flag } satisfies OptionChecks<StepOptions & { transaction?: boolean }>,
  'ctx.stepMap': { ...STEP, key: aFunction, concurrency: wholeNumber(1) } satisfies OptionChecks<
    StepMapOptions<unknown>
  >,
  'ctx.until': { every: aTime, for: aTime } satisfies OptionChecks<UntilOptions>,
}

export type StepCall = keyof typeof CALLS

/** Reads the options of `ctx.step`. @throws PikoError `USAGE` that names all problems of the options */
export function stepPolicyOf(given: (StepOptions & { readonly transaction?: boolean }) | undefined): StepPolicy {
  if (given === undefined) return USUAL
  const { retry, timeout, transaction = false } = checkedCall('ctx.step', CALLS['ctx.step'], given)
  return {
    retry: retry ? policyOf(retry) : NO_RETRY,
    timeoutMs: timeout === undefined ? undefined : durationMs(timeout),
    isTransaction: transaction,
  }
}

/** Reads the options of `ctx.stepMap`. @throws PikoError `USAGE` */
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

/** Reads the options of `ctx.until`. @throws PikoError `USAGE` */
export function waitPolicyOf(given: UntilOptions): WaitPolicy {
  const { every, for: most } = checkedCall('ctx.until', CALLS['ctx.until'], given)
  if (every === undefined) {
    throw new PikoError(
      'USAGE',
      "ctx.until: every is missing; expected the time between two calls, such as { every: '30s' }",
    )
  }
  return { everyMs: durationMs(every), forMs: most === undefined ? undefined : durationMs(most) }
}

/** Checks the name and the function of a step. @throws PikoError `USAGE` */
export function assertStep(call: StepCall, name: unknown, fn: unknown): void {
  const problems = [
    ...(isKey(name, MAX_NAME_CHARACTERS) ? [] : [nameProblem(name)]),
    ...(typeof fn === 'function' ? [] : [`its function is ${describe(fn)}; expected a function`]),
  ]
  if (problems.length > 0) throw new PikoError('USAGE', `${call}: ${problems.join('; ')}`, { details: { problems } })
}

/**
 * Returns the name of an item's step.
 *
 * @throws PikoError `USAGE`
 */
export function itemName(name: string, key: unknown, index: number): string {
  const isUsable = typeof key === 'string' || typeof key === 'number'
  const whole = isUsable ? `${name}:${key}` : ''
  if (isUsable && isKey(whole, MAX_NAME_CHARACTERS)) return whole
  const problem = isUsable
    ? `for item ${index}, ${nameProblem(whole)}`
    : `the key of item ${index} is ${describe(key)}; expected a string or a number: give key, such as { key: (item) => item.id }`
  throw new PikoError('USAGE', `ctx.stepMap: ${problem}`, { details: { name, index } })
}

function nameProblem(name: unknown): string {
  return `the name of a step is ${describe(name)}; expected a string without lone surrogates of 1 to ${MAX_NAME_CHARACTERS} characters`
}
