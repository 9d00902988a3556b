import { isObject, propertyOf } from '../errors-read.ts'
import { describe, PikoError } from '../errors.ts'
import {
  aFunction,
  oneOf,
  type OptionCheck,
  type OptionChecks,
  placed,
  problemOf,
  problemsText,
  readOptions,
  wholeNumber,
} from '../options.ts'
import { DEFAULT_RETRY_BASE_MS, DEFAULT_RETRY_MAX_MS, type RetryPolicy, type RetrySpec } from '../run/retry.ts'
import { RETRY_CHECKS } from '../run/retry-checks.ts'
import { durationMs } from '../time/duration.ts'
import { aDuration } from '../time/duration-check.ts'
import type { DeadLetterOptions, SinkGuarantee, SinkRules, SpillOptions } from './sink.ts'
import { LONGEST_TIMER_MS } from '../clock.ts'

/** The rules of a sink with their defaults filled in. */
export interface SinkPolicy {
  readonly batchSize: number
  readonly batchBytes: number
  readonly lingerMs: number | undefined
  readonly writers: number
  readonly key: ((row: unknown) => unknown) | undefined
  readonly guarantee: SinkGuarantee | undefined
  readonly retry: RetryPolicy | undefined
  /** The time limit of one delivery. */
  readonly timeoutMs: number
  /** How many refused rows one attempt may store as dead letters. Undefined: a refused row fails the run. */
  readonly tolerate: number | undefined
  readonly spill: SpillPolicy | undefined
}

export interface SpillPolicy {
  readonly maxBytes: number
  readonly waitMs: number
  readonly retryEveryMs: number
  readonly isOutage: ((error: Error) => boolean) | undefined
}

const DEFAULT_BATCH_SIZE = 1_000
const DEFAULT_BATCH_BYTES = 8_000_000
const DEFAULT_TIMEOUT_MS = 300_000
const DEFAULT_TOLERATE = 100
const DEFAULT_SPILL_BYTES = 1_000_000_000
const DEFAULT_SPILL_WAIT_MS = 30_000
const DEFAULT_RETRY_EVERY_MS = 10_000
const MAX_WRITERS = 64
const MIN_SPILL_BYTES = 65_536

const EACH_DEAD: OptionChecks<DeadLetterOptions> = { tolerate: wholeNumber(0) }
const EACH_SPILL: OptionChecks<SpillOptions> = {
  maxBytes: wholeNumber(MIN_SPILL_BYTES),
  wait: aDuration(0, LONGEST_TIMER_MS),
  retryEvery: aDuration(1, LONGEST_TIMER_MS),
  isOutage: aFunction,
}

/** The checks of the rules that every sink has, by option. */
export const RULE_CHECKS: OptionChecks<SinkRules> = {
  batchSize: wholeNumber(1),
  batchBytes: wholeNumber(1),
  linger: aDuration(1, LONGEST_TIMER_MS),
  writers: wholeNumber(1, MAX_WRITERS),
  key: aFunction,
  guarantee: oneOf('transactional', 'idempotent', 'atLeastOnce'),
  retry: group(RETRY_CHECKS, '{ limit: 5 }', ['limit']),
  timeout: aDuration(1, LONGEST_TIMER_MS),
  deadLetters: flagOr(group(EACH_DEAD, '{ tolerate: 100 }')),
  spill: flagOr(group(EACH_SPILL, '{ maxBytes: 1_000_000_000 }')),
}

export const RULE_NAMES = Object.keys(RULE_CHECKS) as (keyof SinkRules)[]

/** Returns the problems of a sink's rules: wrong values, and rules that contradict each other. */
export function ruleProblems(rules: SinkRules): string[] {
  const alone = RULE_NAMES.flatMap((name) => {
    const value: unknown = rules[name]
    const problem = value === undefined ? undefined : problemOf(RULE_CHECKS[name], value)
    return problem === undefined ? [] : [placed(name, problem)]
  })
  return [...alone, ...misfits(rules)]
}

/** Returns the problems of rules that contradict each other. */
export function misfits(rules: unknown): string[] {
  const repeating = ['retry', 'deadLetters', 'spill'].filter((name) => Boolean(propertyOf(rules, name)))
  const guarantee = propertyOf(rules, 'guarantee')
  const problems: string[] = []
  if (guarantee === undefined && repeating.length > 0) {
    const verb = repeating.length === 1 ? 'delivers' : 'deliver'
    problems.push(
      `${repeating.join(' and ')} ${verb} rows again, but the sink has no guarantee, so rows might be stored twice; expected guarantee: ` +
        "'idempotent', 'transactional' or 'atLeastOnce'",
    )
  }
  if (guarantee === 'transactional' && repeating.includes('spill')) {
    problems.push(
      "spill delivers rows after the end of their run, which is impossible with guarantee: 'transactional'; expected 'idempotent' or " +
        "'atLeastOnce'",
    )
  }
  return problems
}

/**
 * Checks the rules of a sink and adds the defaults.
 *
 * @param name the sink's name, for messages
 * @throws PikoError `SINK_FAILED` naming every wrong rule
 */
export function policyOf(name: string, rules: SinkRules): SinkPolicy {
  const problems = ruleProblems(rules)
  if (problems.length > 0) throw invalidSink(name, problems)
  const { batchSize = DEFAULT_BATCH_SIZE, batchBytes = DEFAULT_BATCH_BYTES, writers = 1, key, guarantee } = rules
  const { linger, retry, timeout, deadLetters, spill } = rules
  return {
    ...{ batchSize, batchBytes, writers, guarantee },
    key: key as ((row: unknown) => unknown) | undefined,
    lingerMs: linger === undefined ? undefined : durationMs(linger),
    retry: retry && retryPolicyOf(retry),
    timeoutMs: timeout === undefined ? DEFAULT_TIMEOUT_MS : durationMs(timeout),
    tolerate: deadLetters ? ((deadLetters === true ? undefined : deadLetters.tolerate) ?? DEFAULT_TOLERATE) : undefined,
    spill: spill ? spillPolicyOf(spill === true ? {} : spill) : undefined,
  }
}

function retryPolicyOf({ limit, backoff = 'exponential', base, max, jitter = true, retryIf }: RetrySpec): RetryPolicy {
  return {
    ...{ limit, backoff, jitter, retryIf },
    baseMs: base === undefined ? DEFAULT_RETRY_BASE_MS : durationMs(base),
    maxMs: max === undefined ? DEFAULT_RETRY_MAX_MS : durationMs(max),
  }
}

function spillPolicyOf({ maxBytes = DEFAULT_SPILL_BYTES, wait, retryEvery, isOutage }: SpillOptions): SpillPolicy {
  return {
    ...{ maxBytes, isOutage },
    waitMs: wait === undefined ? DEFAULT_SPILL_WAIT_MS : durationMs(wait),
    retryEveryMs: retryEvery === undefined ? DEFAULT_RETRY_EVERY_MS : durationMs(retryEvery),
  }
}

/** Returns the `SINK_FAILED` error for a sink with wrong options. */
export function invalidSink(name: unknown, problems: readonly string[]): PikoError {
  const what = problemsText(`sink ${typeof name === 'string' ? name : describe(name)}`, problems)
  return new PikoError('SINK_FAILED', what, { details: { problems } })
}

/** Creates a check for an option that is an object of options. The check names all problems of these options. */
function group<T extends object>(checks: OptionChecks<T>, example: string, required: (keyof T)[] = []): OptionCheck {
  return (value) => {
    if (!isObject(value)) return `is ${describe(value)}; expected an object, such as ${example}`
    const { problems } = readOptions(value, checks, example, required)
    return problems.length === 0
      ? undefined
      : `has ${problems.length === 1 ? 'a problem' : 'problems'}: ${problems.join('; ')}`
  }
}

function flagOr(check: OptionCheck): OptionCheck {
  return (value) => (typeof value === 'boolean' ? undefined : check(value))
}
