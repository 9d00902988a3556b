import { defineResource } from '../resource/define-resource.ts'
import type { ResourceClass } from '../resource/resource.ts'
import type { FleetLimiter, FleetLimitOptions } from '../run/fleet-limit.ts'
import type { Rate } from '../run/limits.ts'

/**
 * A rate limit that all nodes share, as a resource: `await ctx.resources.api.take()`. `ctx.limit(name, rate, options)` returns the same
 * limiter.
 *
 * @example
 * const sync = defineJob({ id: 'sync', resources: { api: limiter('api', '5/s') } }, async (ctx) => {
 *   await ctx.resources.api.take()
 * })
 */
export function limiter(name: string, rate: Rate, options: FleetLimitOptions = {}): ResourceClass<FleetLimiter> {
  return defineResource({
    name: `limit ${name}`,
    async *acquire(ctx) {
      yield ctx.limit(name, rate, options)
    },
  })
}
