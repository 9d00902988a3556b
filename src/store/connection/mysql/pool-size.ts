import { PikoError } from '../../../errors.ts'

/** How many connections a node opens in addition to its pool: one, for the heartbeat. */
const BESIDES = 1

/** @throws PikoError `SETTINGS_INVALID` if the server does not allow as many connections as one node may open */
export function requireConnections(poolSize: number, maxConnections: number, location: string): void {
  if (!(poolSize + BESIDES > maxConnections)) return
  throw new PikoError(
    'SETTINGS_INVALID',
    `[mysql] pool_size is ${poolSize}, and the heartbeat needs ${BESIDES} more connection; ${location} allows ${maxConnections} ` +
      `for all its clients; lower pool_size, or raise the server's max_connections`,
    { details: { poolSize, maxConnections } },
  )
}

/**
 * If there may be more runs per connection than this, a warning is logged. The queue itself needs few connections, whatever the
 * concurrency.
 */
const MAX_RUNS_PER_CONNECTION = 20

/** Returns the warning if the pool is small for runs that use `app.sql`, `ctx.commit` and sinks; undefined if it is large enough. */
export function poolWarning(poolSize: number, concurrency: number): string | undefined {
  const needed = Math.ceil(concurrency / MAX_RUNS_PER_CONNECTION)
  if (poolSize >= needed) return undefined
  return (
    `up to ${concurrency} concurrent runs ([piko] concurrency) share ${poolSize} connections ([mysql] pool_size): runs that use app.sql, ` +
    `ctx.commit or sinks on Piko's database must wait; raise pool_size to ${needed} or lower concurrency to ${poolSize * MAX_RUNS_PER_CONNECTION}`
  )
}
