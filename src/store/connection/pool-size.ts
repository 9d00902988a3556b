import { PikoError } from '../../errors.ts'

/** The heartbeat has a connection of its own. */
const BESIDES = 1

/** @throws PikoError `SETTINGS_INVALID` when the server does not allow as many connections as one node may open */
export function requireConnections(poolSize: number, maxConnections: number, location: string): void {
  if (!(poolSize + BESIDES > maxConnections)) return
  throw new PikoError(
    'SETTINGS_INVALID',
    `[mysql] pool_size is ${poolSize}, and ${BESIDES} connection more is for the heartbeat; ${location} allows ${maxConnections} ` +
      `for all its clients; lower pool_size, or raise the server's max_connections`,
    { details: { poolSize, maxConnections } },
  )
}

/** So many runs may share a connection before it is worth a word: the queue itself needs few, whatever the concurrency. */
const MAX_RUNS_PER_CONNECTION = 20

/** What to say of a pool that is small for the runs that use it by `app.sql`, `ctx.commit` and sinks; undefined when it is not. */
export function poolWarning(poolSize: number, concurrency: number): string | undefined {
  const needed = Math.ceil(concurrency / MAX_RUNS_PER_CONNECTION)
  if (poolSize >= needed) return undefined
  return (
    `${concurrency} runs at once ([piko] concurrency) share ${poolSize} connections ([mysql] pool_size): those that use app.sql, ` +
    `ctx.commit or sinks on Piko's database wait in line; raise pool_size to ${needed} or lower concurrency to ${poolSize * MAX_RUNS_PER_CONNECTION}`
  )
}
