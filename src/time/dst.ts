import { isOneOf } from '../errors-read.ts'
import type { ScheduleFault } from './schedule-invalid.ts'

/**
 * What a cron schedule does when clocks change.
 *
 * `gap` applies to times that do not exist because clocks are set forward. `'skip'` skips them. With `'after'`, all of them together fire
 * once, at the first instant after the gap.
 * `overlap` applies to times that exist twice because clocks are set back. They fire the `'first'` time, the `'second'` time, or `'both'`
 * times.
 */
export interface DstRule {
  readonly gap: 'skip' | 'after'
  readonly overlap: 'first' | 'second' | 'both'
}

/**
 * With `'auto'`, a schedule with a wildcard hour (`*`, with or without a step) follows elapsed time: `skip` and `both`. A schedule with
 * fixed hours fires once for each of its times, and once for all times in a gap: `after` and `first`.
 */
export type DstPolicy = 'auto' | Partial<DstRule>

/** Returns the rule of a policy for a cron expression. Missing options have the values of `'auto'`. */
export function dstRule(policy: DstPolicy | undefined, isHourWild: boolean): DstRule {
  const auto: DstRule = isHourWild ? { gap: 'skip', overlap: 'both' } : { gap: 'after', overlap: 'first' }
  return policy === undefined || policy === 'auto' ? auto : { ...auto, ...policy }
}

/** Returns what is wrong with a user's policy, or undefined if it is valid. */
export function dstFault(policy: unknown): ScheduleFault | undefined {
  if (policy === undefined || policy === 'auto') return undefined
  const expected = `'auto' or { gap: 'skip' | 'after', overlap: 'first' | 'second' | 'both' }`
  const hint = 'omit it to get the behaviour of cronie'
  if (typeof policy !== 'object' || policy === null) return { option: 'dst', value: policy, expected, hint }
  const { gap, overlap, ...others } = policy as Record<string, unknown>
  const isRight =
    isOneOf([undefined, 'skip', 'after'], gap) &&
    isOneOf([undefined, 'first', 'second', 'both'], overlap) &&
    Object.keys(others).length === 0
  return isRight ? undefined : { option: 'dst', value: policy, expected, hint }
}
