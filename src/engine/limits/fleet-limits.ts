import { aRate, readCall } from '../../calls/call-checks.ts'
import { anAbortSignal, expecting, type OptionChecks, wholeNumber } from '../../options.ts'
import type { FleetLimitOptions, FleetTakeOptions, FleetLimiter as Limit } from '../../run/fleet-limit.ts'
import { parseRate, type Rate, type RateLimit } from '../../run/limits.ts'
import { LinkedSignal } from '../../signals/linked-signal.ts'
import type { LimitRule } from '../../store/admission/limit-places.ts'
import { isKey } from '../../store/values/exact-key.ts'
import { FleetLimiter, type FleetLimiterParts } from './fleet-limiter.ts'

const MAX_NAME = 128
const MAX_COUNT = 9_999_999

const FORM = {
  call: 'ctx.limit',
  checks: { burst: wholeNumber(1, MAX_COUNT) } satisfies OptionChecks<FleetLimitOptions>,
  example: '{ burst: 10 }',
}
const TAKE = {
  call: 'limit.take',
  checks: { signal: anAbortSignal } satisfies OptionChecks<FleetTakeOptions>,
  example: '{ signal }',
}
const aName = expecting(`a string of 1 to ${MAX_NAME} characters without lone surrogates`, (value) =>
  isKey(value, MAX_NAME),
)

/** Checks the arguments of a limit. @throws PikoError `USAGE` naming all problems */
function ruleOf(name: string, rate: Rate, options: FleetLimitOptions): LimitRule {
  const { burst } = readCall<FleetLimitOptions>(FORM, { name: [name, aName], rate: [rate, aRate] }, options)
  const limit = parseRate(rate) as RateLimit
  return { ...limit, burst: burst ?? limit.limit }
}

/** The limits that this process uses, by name. */
export class FleetLimits {
  readonly #parts: FleetLimiterParts
  readonly #limiters = new Map<string, FleetLimiter>()

  constructor(parts: FleetLimiterParts) {
    this.#parts = parts
  }

  /**
   * Returns the limit for one run, whose signal ends its waits.
   *
   * @throws PikoError `USAGE`
   */
  forRun(name: string, rate: Rate, options: FleetLimitOptions, run: AbortSignal): Limit {
    const rule = ruleOf(name, rate, options)
    return {
      take: async (count = 1, options = {}) => {
        const { signal } = readCall<FleetTakeOptions>(TAKE, { count: [count, wholeNumber(1)] }, options)
        const linked = new LinkedSignal(run, signal)
        try {
          await this.#of(name, rule).take(count, linked.signal)
        } finally {
          linked.release()
        }
      },
      tryTake: async (count = 1) => {
        readCall(TAKE, { count: [count, wholeNumber(1)] }, {})
        run.throwIfAborted()
        return this.#of(name, rule).tryTake(count)
      },
    }
  }

  #of(name: string, rule: LimitRule): FleetLimiter {
    const known = this.#limiters.get(name)
    if (known) known.configure(rule)
    const limiter = known ?? new FleetLimiter(name, rule, this.#parts)
    this.#limiters.set(name, limiter)
    return limiter
  }
}
