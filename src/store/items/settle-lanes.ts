import type { Transaction } from 'kysely'
import { afterOutcome, type BreakerState } from '../../item/breaker.ts'
import { slowed, speedUp } from '../../item/lane.ts'
import type { Dialect } from '../connection/dialect.ts'
import type { Tables } from '../tables.ts'
import { keyOf } from '../values/exact-key.ts'
import { instantOrNull, type LaneState, readableLane } from './lane-rows.ts'

/** How an item's end affects its lane. */
export interface LaneOutcome {
  readonly laneId: number
  /** `success` and `failure`: the circuit breaker counts them. `neutral`: the circuit breaker does not change. */
  readonly outcome: 'success' | 'failure' | 'neutral'
  /** How long the lane must wait, after which it continues at half its rate. Undefined: not at all. */
  readonly waitMs: number | undefined
}

/** A circuit breaker that has opened, opened again or closed. */
export interface LaneChange {
  readonly laneId: number
  readonly scope: string
  readonly name: string
  /** When one item may begin, to test the lane; undefined: the breaker has closed. */
  readonly openUntil: Date | undefined
  /** How many times the breaker has opened since the lane's last 20 outcomes were all successes. */
  readonly opens: number
}

interface Changing extends LaneState {
  readonly waitsUntil: number | undefined
}

/**
 * Stores how the ends of items affect their lanes: waits, rates and circuit breakers. Called only for lanes with something to store.
 *
 * @returns the circuit breakers that have opened, opened again or closed
 */
export async function settleLanes(
  trx: Transaction<Tables>,
  dialect: Dialect,
  outcomes: readonly LaneOutcome[],
): Promise<readonly LaneChange[]> {
  const changes: LaneChange[] = []
  const byLane = Map.groupBy(outcomes, ({ laneId }) => laneId)
  const rows = await trx
    .selectFrom('piko_lane')
    .selectAll()
    .select(dialect.now().as('now'))
    .where(dialect.isAmong([...byLane.keys()]))
    .orderBy('id')
    .modifyEnd(dialect.forUpdate)
    .execute()
  for (const row of rows) {
    const now = dialect.date(row.now).getTime()
    const lane = readableLane(row, dialect)
    // If a person has edited the row so that it can't be read, it is not changed. The end of the item is still stored.
    if (!lane) continue
    const before: Changing = { ...lane, waitsUntil: undefined }
    const after = (byLane.get(row.id) ?? []).reduce((lane, outcome) => settled(lane, outcome, now), before)
    const { openUntil } = after.breaker
    const freeAt = Math.max(after.freeAt, after.waitsUntil ?? 0)
    const blockedUntil = Math.max(openUntil ?? 0, after.waitsUntil ?? 0)
    const isClosedNow = before.breaker.openUntil !== undefined && openUntil === undefined
    await trx
      .updateTable('piko_lane')
      .set({
        ...{ factor: after.factor, successes: after.successes },
        ...{ failures: after.breaker.failures, recent: after.breaker.recent, opens: after.breaker.opens },
        open_until: instantOrNull(openUntil, dialect),
        ...(freeAt !== before.freeAt && { free_at: instantOrNull(freeAt, dialect) }),
        // `next_at` changes only in these two cases. Otherwise, items that return to the lane wake it.
        ...(row.paused_at === null && blockedUntil > now && { next_at: instantOrNull(blockedUntil, dialect) }),
        ...(row.paused_at === null && isClosedNow && { next_at: dialect.now() }),
      })
      .where('id', '=', row.id)
      .execute()
    if (openUntil === before.breaker.openUntil) continue
    changes.push({
      ...{ laneId: row.id, scope: row.scope, name: keyOf(row.name), opens: after.breaker.opens },
      openUntil: openUntil === undefined ? undefined : new Date(openUntil),
    })
  }
  return changes
}

function settled(lane: Changing, { outcome, waitMs }: LaneOutcome, now: number): Changing {
  const breaker: BreakerState =
    outcome === 'neutral' ? lane.breaker : afterOutcome(lane.breaker, outcome === 'success', now)
  const counted =
    outcome === 'success' ? speedUp(lane.factor, lane.successes + 1) : { factor: lane.factor, successes: 0 }
  if (waitMs === undefined) return { ...lane, ...counted, breaker }
  // Items that run at the same time are often refused at the same time. So the lane is slowed down only once for all of them.
  const isWaiting = lane.waitsUntil !== undefined || lane.freeAt > now + waitMs / 2
  return {
    ...lane,
    breaker,
    successes: 0,
    factor: isWaiting ? lane.factor : slowed(lane.factor),
    waitsUntil: Math.max(lane.waitsUntil ?? 0, now + waitMs),
  }
}
