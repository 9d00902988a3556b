import { type RawBuilder, sql, type Transaction } from 'kysely'
import type { Dialect } from '../../connection/dialect.ts'
import type { Tables } from '../../tables.ts'
import { instantOrNull, type LaneState } from '../lane-rows.ts'

/** A lane is read at least this many milliseconds before its next item may begin, so that the item begins in time. */
const LEAD_MS = 100
/**
 * How long until a full lane is read again, in milliseconds, in case the end of an item does not wake it. Also used if a claim could not
 * take all due items of a lane.
 */
const FULL_MS = 1_000
/** A lane, and the times at which its items may begin. */
export interface OpenLane {
  readonly lane: LaneState
  readonly at: readonly number[]
  readonly spacing: number
  /** How late an item may begin; see `lateWithin`. */
  readonly lateMs: number
  /** The additional time after the last place, because its item may begin later than usual. */
  readonly graceMs: number
  readonly isFull: boolean
}

/** Returns when the rate allows the next item after the place at `last`, rounded up to whole milliseconds, as it is stored. */
export function freeAfter({ spacing, graceMs }: OpenLane, last: number): number {
  return Math.ceil(last + spacing + graceMs)
}

/** Returns when the next item of a lane may begin. No item may begin during a wait of the lane, or while the lane's breaker pauses it. */
export function opensAt({ freeAt, breaker }: LaneState): number {
  return Math.max(freeAt, breaker.openUntil ?? 0)
}

/** Stores when a claim must read each lane again, and from when the lane's rate allows the next item. */
export async function moveOn(
  trx: Transaction<Tables>,
  dialect: Dialect,
  { now, leadMs }: { readonly now: number; readonly leadMs: number },
  open: readonly OpenLane[],
  byLane: ReadonlyMap<number, readonly unknown[]>,
  drained: ReadonlySet<number>,
  nextDue: ReadonlyMap<number, number>,
): Promise<void> {
  const next: RawBuilder<unknown>[] = []
  const free: RawBuilder<unknown>[] = []
  for (const one of open) {
    const { lane, at, spacing, isFull } = one
    const last = at[(byLane.get(lane.id)?.length ?? 0) - 1]
    const freeAt = last === undefined || spacing === 0 ? lane.freeAt : freeAfter(one, last)
    const opens = opensAt({ ...lane, freeAt })
    const nextAt = nextAtOf({
      now,
      leadMs,
      opens,
      isFull,
      isDrained: drained.has(lane.id),
      dueAt: nextDue.get(lane.id),
    })
    next.push(sql`WHEN ${sql.lit(lane.id)} THEN ${instantOrNull(nextAt, dialect)}`)
    if (freeAt !== lane.freeAt) free.push(sql`WHEN ${sql.lit(lane.id)} THEN ${instantOrNull(freeAt, dialect)}`)
  }
  const ids = open.map(({ lane }) => lane.id)
  await trx
    .updateTable('piko_lane')
    .set({
      next_at: sql`CASE id ${sql.join(next, sql` `)} END`,
      ...(free.length > 0 && { free_at: sql`CASE id ${sql.join(free, sql` `)} ELSE free_at END` }),
    })
    .where(dialect.isAmong(ids))
    .execute()
}

/** Returns when a claim must read a lane again; undefined: only when it is woken. */
function nextAtOf(lane: {
  readonly now: number
  readonly leadMs: number
  readonly opens: number
  readonly isFull: boolean
  readonly isDrained: boolean
  readonly dueAt: number | undefined
}): number | undefined {
  const { now, leadMs, opens, isFull, isDrained, dueAt } = lane
  if (isFull) return now + FULL_MS
  const placeAt = Math.max(now, opens - Math.max(LEAD_MS, leadMs))
  if (!isDrained) return placeAt
  if (dueAt === undefined) return undefined
  // Due items that were not claimed belong to jobs that this node does not know, or to runs that the request leaves out. So the lane is
  // read again later.
  return dueAt <= now ? now + FULL_MS : Math.max(placeAt, dueAt)
}
