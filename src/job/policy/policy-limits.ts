import { isObject, propertyOf } from '../../errors-read.ts'
import { describe } from '../../errors.ts'
import type { AdmissionLimits } from '../../run/limits.ts'
import type { RetryPolicy } from '../../run/retry.ts'
import type { JobDurations } from '../job-durations.ts'
import { OVERLAPS } from '../overlap.ts'
import type { PolicyChecks } from './policy-checks.ts'
import type { JobPolicy, WindowPolicy } from '../spec.ts'

const MAX_MISFIRES = 10_000

export function retryOf(checks: PolicyChecks, { retryBaseMs, retryMaxMs }: JobDurations): RetryPolicy {
  const retry = checks.spec.retry ?? { limit: 0 }
  const limit = retry.limit === undefined ? -1 : (checks.integer('retry.limit', retry.limit) ?? 0)
  if (limit < 0) checks.faults.add(`retry.limit is ${describe(retry.limit)}; expected 0 or more`)
  checks.oneOf('retry.backoff', retry.backoff, ['fixed', 'exponential'])
  const { jitter = true, retryIf } = retry
  if (typeof jitter !== 'boolean') checks.faults.add(`retry.jitter is ${describe(jitter)}; expected true or false`)
  if (retryIf !== undefined && typeof retryIf !== 'function') {
    checks.faults.add(`retry.retryIf is ${describe(retryIf)}; expected a function (error) => boolean`)
  }
  return Object.freeze({
    limit,
    backoff: retry.backoff ?? 'exponential',
    baseMs: retryBaseMs,
    maxMs: retryMaxMs,
    jitter,
    retryIf,
  })
}

/** Whether this overlap policy runs one run after another. False for a value that is not a policy; another check reports that. */
function isOneByOne(overlap: unknown): boolean {
  return Object.entries(OVERLAPS).some(([name, rule]) => name === overlap && rule.isOneByOne)
}

export function misfireLimitOf(checks: PolicyChecks): number {
  const { misfire = 'skip', misfireLimit } = checks.spec
  checks.oneOf('misfire', misfire, ['skip', 'once', 'all'])
  const limit = checks.atLeastOne('misfireLimit', misfireLimit)
  if (limit !== undefined && (limit > MAX_MISFIRES || misfire !== 'all')) {
    checks.faults.add(`misfireLimit is ${limit}; expected at most ${MAX_MISFIRES}, together with misfire: 'all'`)
  }
  // A wrong value may be an object that can't be converted to the name of a property.
  if (typeof misfire !== 'string') return 0
  return { skip: 0, once: 1, all: limit ?? 100 }[misfire]
}

export function admissionOf(
  checks: PolicyChecks,
  windows: WindowPolicy | undefined,
  durations: JobDurations,
): Pick<JobPolicy, 'limits' | 'concurrencyKey' | 'rateKey'> {
  const { concurrency, overlap, rate } = checks.spec
  const keyed = isObject(concurrency) ? concurrency : undefined
  const whole = keyed ? undefined : checks.atLeastOne('concurrency', concurrency)
  const most = [whole, isOneByOne(overlap) ? 1 : undefined].filter((limit) => limit !== undefined)
  const limits: AdmissionLimits = {
    concurrency: most.length > 0 ? Math.min(...most) : undefined,
    parallel: windows?.parallel,
    perKey: keyed && checks.atLeastOne('concurrency.limit', propertyOf(keyed, 'limit') ?? null),
    rate:
      durations.rate &&
      Object.freeze({ ...durations.rate, isKeyed: isObject(rate) && propertyOf(rate, 'key') !== undefined }),
  }
  const isLimited = Object.values(limits).some((limit) => limit !== undefined)
  return {
    limits: isLimited ? Object.freeze(limits) : undefined,
    concurrencyKey: keyed && checks.keyFunction('concurrency.key', propertyOf(keyed, 'key') ?? null),
    rateKey: isObject(rate) ? checks.keyFunction('rate.key', propertyOf(rate, 'key')) : undefined,
  }
}
