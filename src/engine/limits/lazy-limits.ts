import type { Clock } from '../../clock.ts'
import { toError } from '../../errors.ts'
import type { Events } from '../../events.ts'
import type { FleetLimit } from '../../run/fleet-limit.ts'
import type { RateStore } from '../../store/admission/rate-store.ts'
import type { Database } from '../../store/connection/database.ts'

interface LimitParts {
  readonly store: {
    readonly rates: Pick<RateStore, 'reserve'>
    readonly database: Pick<Database, 'assertOutside'>
  }
  readonly clock: Clock
  readonly events: Events
}

/** Creates the limits for the runs of a node. Their code is loaded when the first run uses a limit. */
export function lazyLimits({ store, clock, events }: LimitParts): (run: AbortSignal) => FleetLimit {
  const open = async () => {
    const { FleetLimits } = await import('./fleet-limits.ts')
    return new FleetLimits({
      rates: store.rates,
      clock,
      onFailure: (error, retryInMs) => events.emit('loop.failed', { loop: 'rate', error: toError(error), retryInMs }),
    })
  }
  let limits: ReturnType<typeof open> | undefined
  return (run) => (name, rate, options) => {
    const limit = async () => {
      store.database.assertOutside('a rate limit that nodes share')
      return (await (limits ??= open())).forRun(name, rate, options ?? {}, run)
    }
    return {
      take: async (...args) => (await limit()).take(...args),
      tryTake: async (...args) => (await limit()).tryTake(...args),
    }
  }
}
