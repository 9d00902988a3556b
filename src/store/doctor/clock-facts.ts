import { sql } from 'kysely'
import type { Database } from '../connection/database.ts'

export interface ClockFacts {
  /** How far the database's clock is ahead of this process's clock, in milliseconds. */
  readonly aheadMs: number
  /** The maximum error of `aheadMs`, in milliseconds. */
  readonly withinMs: number
  /** The duration of the shortest round trip to the database, in milliseconds. */
  readonly latencyMs: number
}

const TRIES = 3

/**
 * Compares the clocks during the shortest of three round trips.
 *
 * @param now returns the time of this process, in epoch milliseconds
 */
export async function clockFacts({ db, dialect }: Database, now: () => number): Promise<ClockFacts> {
  let best: ClockFacts | undefined
  for (let tries = 0; tries < TRIES; tries++) {
    const wall = now()
    const begin = performance.now()
    const { at } = await db.selectNoFrom(dialect.now().as('at')).executeTakeFirstOrThrow()
    const latencyMs = performance.now() - begin
    const aheadMs = dialect.date(at).getTime() - (wall + latencyMs / 2)
    if (!best || latencyMs < best.latencyMs) best = { aheadMs, withinMs: latencyMs / 2 + 1, latencyMs }
  }
  return best as ClockFacts
}

/** Makes one round trip to the database. Returns how long it took, in milliseconds. */
export async function pinged({ db }: Database): Promise<number> {
  const begin = performance.now()
  await sql`SELECT 1`.execute(db)
  return performance.now() - begin
}
