import { sql } from 'kysely'
import type { ClockReading } from '../../../item/database-clock.ts'
import { allowedLateMs, type LanePlace, lateWithin, spacingMs } from '../../../item/lane.ts'
import type { Database } from '../../connection/database.ts'
import { instantOrNull, LANE_COLUMNS, type LaneState, readableLane } from '../lane-rows.ts'

/** A request for the next place of a lane. */
export interface LanePlaceRequest {
  readonly laneId: number
  /** The newest place of the lane that was not used. If no later place was taken, its time is used. */
  readonly unused: LanePlace | undefined
  /** How much longer than usual the place must be valid, in milliseconds, because the last one was too short. */
  readonly graceMs: number
  /** The minimum time until the place, in milliseconds, so that the answer arrives before it. */
  readonly leadMs: number
  /** The maximum time until the place, in milliseconds. */
  readonly patienceMs: number
}

/**
 * A place; `free` if the lane has neither a rate nor a minimum time between two items any more; `later` if there is no place within the
 * time limit, or if the lane is paused, deleted or unreadable.
 */
export type LanePlaceAnswer = LanePlace | 'free' | 'later'

export interface PlaceClock {
  /** The node's monotonic clock, in milliseconds. */
  readonly monotonic: () => number
  /** Receives the reading of the database's clock. Returns how uncertain its time is, in milliseconds. */
  readonly read: (reading: ClockReading) => number
}

/** Takes the next places of lanes in one transaction. Claims skip these lanes meanwhile. */
export async function takeLanePlaces(
  database: Database,
  requests: readonly LanePlaceRequest[],
  { monotonic, read }: PlaceClock,
): Promise<LanePlaceAnswer[]> {
  const { dialect } = database
  const isAmong = dialect.isAmong([...new Set(requests.map(({ laneId }) => laneId))])
  return database.transaction(async (trx) => {
    const locked = trx.selectFrom('piko_lane').select('id').where(isAmong).orderBy('id')
    await locked.modifyEnd(dialect.forUpdate).execute()
    // The clock is read after the lock. Otherwise the wait for the lock would make the time uncertain.
    const askedAt = monotonic()
    const rows = await trx
      .selectFrom('piko_lane')
      .select(LANE_COLUMNS)
      .select(['paused_at', dialect.now().as('now')])
      .where(isAmong)
      .modifyEnd(dialect.forUpdate)
      .execute()
    const [first] = rows
    if (!first) return requests.map(() => 'later' as const)
    const now = dialect.date(first.now).getTime()
    const uncertainMs = read({ databaseMs: now, askedAt, readAt: monotonic() })
    const lanes = new Map<number, LaneState>()
    for (const row of rows) {
      const lane = row.paused_at === null ? readableLane(row, dialect) : undefined
      if (lane) lanes.set(row.id, lane)
    }
    const freeAt = new Map<number, number>()
    const answers = requests.map((request): LanePlaceAnswer => {
      const lane = lanes.get(request.laneId)
      if (!lane) return 'later'
      const place = placeIn({ ...lane, freeAt: freeAt.get(lane.id) ?? lane.freeAt }, request, { now, uncertainMs })
      if (typeof place === 'object' && place.freeAt !== undefined) freeAt.set(lane.id, place.freeAt)
      return place
    })
    if (freeAt.size > 0) {
      const cases = [...freeAt].map(([id, ms]) => sql`WHEN ${sql.lit(id)} THEN ${instantOrNull(ms, dialect)}`)
      await trx
        .updateTable('piko_lane')
        .set({ free_at: sql`CASE id ${sql.join(cases, sql` `)} END` })
        .where(dialect.isAmong([...freeAt.keys()]))
        .execute()
    }
    return answers
  })
}

/** Returns the next place of a lane. Pure. */
export function placeIn(
  { rate, factor, delayMs, freeAt, breaker }: Omit<LaneState, 'id' | 'name'>,
  { unused, graceMs, leadMs, patienceMs }: Omit<LanePlaceRequest, 'laneId'>,
  { now, uncertainMs }: { readonly now: number; readonly uncertainMs: number },
): LanePlaceAnswer {
  const spacing = spacingMs(rate, factor, delayMs)
  if (spacing === 0) return 'free'
  const free = unused?.freeAt === freeAt ? unused.at : freeAt
  const at = Math.max(now + leadMs, free, breaker.openUntil ?? 0)
  if (at - now > patienceMs) return 'later'
  const allowedMs = allowedLateMs(rate, delayMs)
  const lateMs = lateWithin(allowedMs, uncertainMs) + graceMs
  return { at, lateMs, freeAt: Math.ceil(at + spacing + lateMs - allowedMs) }
}
