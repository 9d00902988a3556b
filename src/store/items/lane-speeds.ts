import { sql } from 'kysely'
import { LATENCY_FLOOR, SUCCESSES_TO_SLOW, slowedByLatency } from '../../item/latency.ts'
import type { Database } from '../connection/database.ts'
import { bulkInsert, type Cell, columnsOf, NOW } from '../statements/bulk-insert.ts'
import { forgetExpired } from './forget-expired.ts'
import { readableLane } from './lane-rows.ts'

/** The speed of a lane over the last few seconds, as one node measured it. */
export interface LaneSpeed {
  readonly laneId: number
  readonly spanMs: number
  /** How many items ended in `spanMs`. */
  readonly ended: number
  /** The median of the lane's response times, in milliseconds; undefined if none were measured. */
  readonly p50Ms: number | undefined
  /** The 95th percentile of the lane's response times, in milliseconds. */
  readonly p95Ms: number | undefined
}

/** How old measurements may be to count for the current speed. */
const FRESH_MS = 20_000
/** How long measurements are kept. */
const KEPT_MS = 3_600_000

const COLUMNS = ['lane_id', 'node_id', 'measured_at', 'span_ms', 'ended', 'p50_ms', 'p95_ms']

/**
 * Stores the speeds that a node has measured. Each node has its own rows, so that nodes do not wait for each other.
 *
 * @param speeds at most 500
 */
export async function storeSpeeds(
  { db, dialect }: Database,
  nodeId: string,
  speeds: readonly LaneSpeed[],
): Promise<void> {
  if (speeds.length === 0) return
  const rows = speeds
    .toSorted((one, other) => one.laneId - other.laneId)
    .map(({ laneId, spanMs, ended, p50Ms, p95Ms }): readonly Cell[] => [
      ...([laneId, nodeId, NOW, Math.max(1, Math.round(spanMs)), ended] as const),
      ...[p50Ms, p95Ms].map((ms) => (ms === undefined ? null : Math.round(ms))),
    ])
  const changed = COLUMNS.slice(2)
  const updates =
    dialect.name === 'mysql'
      ? ` ON DUPLICATE KEY UPDATE ${changed.map((name) => `${name} = VALUES(${name})`).join(', ')}`
      : ` ON CONFLICT (lane_id, node_id) DO UPDATE SET ${changed.map((name) => `${name} = excluded.${name}`).join(', ')}`
  await db.executeQuery(bulkInsert(dialect, 'piko_lane_speed', columnsOf(COLUMNS, rows), updates))
}

/**
 * Lowers the rates of lanes that have become slow. A lane that is already slowed down changes only after enough further successes, because
 * several nodes notice the same slow responses.
 *
 * @param laneIds at most 500
 */
export async function slowLanes(database: Database, laneIds: readonly number[]): Promise<void> {
  if (laneIds.length === 0) return
  const { dialect } = database
  await database.transaction(async (trx) => {
    const rows = await trx
      .selectFrom('piko_lane')
      .selectAll()
      .where(dialect.isAmong([...laneIds]))
      .where('factor', '>', LATENCY_FLOOR)
      .where((eb) => eb.or([eb('factor', '=', 1), eb('successes', '>=', SUCCESSES_TO_SLOW)]))
      .orderBy('id')
      .modifyEnd(dialect.forUpdate)
      .execute()
    for (const row of rows) {
      const lane = readableLane(row, dialect)
      if (!lane) continue
      await trx
        .updateTable('piko_lane')
        .set({ factor: slowedByLatency(lane.factor), successes: 0 })
        .where('id', '=', row.id)
        .execute()
    }
  })
}

/** Counts the lanes with an open circuit breaker in each scope. */
export async function openLanes({ db }: Database): Promise<ReadonlyMap<string, number>> {
  const rows = await db
    .selectFrom('piko_lane')
    .select((eb) => ['scope', eb.fn.countAll<number>().as('count')])
    .where('open_until', 'is not', null)
    .groupBy('scope')
    .execute()
  return new Map(rows.map(({ scope, count }) => [scope, Number(count)]))
}

/**
 * Deletes old measurements.
 *
 * @returns whether there may be more
 */
export function forgetSpeeds(database: Database): Promise<boolean> {
  const before = database.dialect.nowPlus(-KEPT_MS)
  return forgetExpired(database, { table: 'piko_lane_speed', key: 'node_id', instant: 'measured_at', before })
}

/** Returns columns for a query on `piko_lane`: the speed of a lane across all nodes. */
export function speedColumns(dialect: Database['dialect']) {
  const fresh = sql`FROM piko_lane_speed WHERE lane_id = piko_lane.id AND measured_at > ${dialect.nowPlus(-FRESH_MS)}`
  return [
    sql<number | null>`(SELECT SUM(ended * 1000.0 / span_ms) ${fresh})`.as('per_second'),
    sql<number | null>`(SELECT MAX(p95_ms) ${fresh})`.as('p95_ms'),
  ] as const
}
