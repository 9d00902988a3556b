import { type ScheduleFault } from './schedule-invalid.ts'

/**
 * What a cron schedule does when the clocks change.
 *
 * `gap`: times that do not exist, because the clocks are set forward, are left out (`'skip'`), or fire once at the first
 * instant behind the gap, however many they are (`'after'`). `overlap`: times that exist twice, because the clocks are set back,
 * fire the `'first'` time, the `'second'`, or `'both'`.
 */
export interface DstRule {
  readonly gap: 'skip' | 'after'
  readonly overlap: 'first' | 'second' | 'both'
}

/**
 * `'auto'`: a schedule whose hour is a wildcard (`*`, also with a step) follows elapsed time: `skip` and `both`. One at fixed hours
 * fires exactly once for each of its times: `after` and `first`.
 */
export type DstPolicy = 'auto' | Partial<DstRule>

/** The rule of a policy for a cron expression; what a rule leaves open is as with `'auto'`. */
export function dstRule(policy: DstPolicy | undefined, isHourWild: boolean): DstRule {
  const auto: DstRule = isHourWild ? { gap: 'skip', overlap: 'both' } : { gap: 'after', overlap: 'first' }
  return policy === undefined || policy === 'auto' ? auto : { ...auto, ...policy }
}

/** What is wrong with a policy that somebody wrote; undefined: nothing. */
export function dstFault(policy: unknown): ScheduleFault | undefined {
  if (policy === undefined || policy === 'auto') return undefined
  const expected = `'auto' or { gap: 'skip' | 'after', overlap: 'first' | 'second' | 'both' }`
  const hint = 'leave it out for what cronie does'
  if (typeof policy !== 'object' || policy === null) return { option: 'dst', value: policy, expected, hint }
  const { gap, overlap, ...others } = policy as Record<string, unknown>
  const isRight =
    [undefined, 'skip', 'after'].includes(gap as string) &&
    [undefined, 'first', 'second', 'both'].includes(overlap as string) &&
    Object.keys(others).length === 0
  return isRight ? undefined : { option: 'dst', value: policy, expected, hint }
}
