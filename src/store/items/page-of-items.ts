import { type RawBuilder, sql } from 'kysely'
import { ITEM_STATES, type ItemState } from '../../item/item.ts'
import type { Database } from '../connection/database.ts'
import type { Dialect } from '../connection/dialect.ts'
import { FENCE_FACTOR } from '../runs/fence.ts'
import { chunksOf } from '../statements/chunks.ts'
import { exactId, exactKey } from '../values/exact-key.ts'

/** If the lanes with a name have at most this many items, all of them are read and sorted. */
const MAX_SORTED = 5_000
/** The maximum number of parts in one `UNION`. SQLite accepts 500. */
const MAX_PARTS = 200

/** Which items of a run to list. They are ordered by id. */
export interface ItemFilter {
  readonly state?: ItemState
  readonly kind?: string
  /** Only items of the lane with this name. */
  readonly lane?: string
  /** The maximum number of items. Default 100. */
  readonly limit?: number
  /** Only items with a larger id, such as the `next` of the previous page. Default: all items. */
  readonly after?: number
}

interface Found {
  readonly id: number
}

/**
 * Returns the ids of a page of a run's items, in order. Each generation and state is read from its index (fence, state, id), which is in
 * this order. So a page without a filter costs the same in a run with millions of items.
 */
export async function pageOfItems(
  database: Database,
  runId: number,
  filter: ItemFilter,
  maxSorted = MAX_SORTED,
): Promise<number[]> {
  const { limit = 100 } = filter
  const lanes = filter.lane === undefined ? undefined : await lanesOf(database, filter.lane)
  if (lanes?.length === 0) return []
  if (lanes && (await isFew(database, lanes, maxSorted))) return ofLanes(database, runId, lanes, filter)
  const generations = await database.db
    .selectFrom('piko_item_run')
    .select('fence')
    .where('run_id', '=', runId)
    .execute()
  const states = filter.state === undefined ? ITEM_STATES : [filter.state]
  const parts = generations.flatMap(({ fence }) =>
    states.map((state) => inOrder(database, { fence, state }, lanes, filter)),
  )
  const found: number[] = []
  for (const some of chunksOf(parts, MAX_PARTS)) {
    const { rows } = await sql<Found>`${sql.join(some, sql` UNION ALL `)}`.execute(database.db)
    found.push(...rows.map(({ id }) => id))
  }
  return found.sort((one, other) => one - other).slice(0, limit)
}

function inOrder(
  { dialect }: Database,
  { fence, state }: { readonly fence: number; readonly state: ItemState },
  lanes: readonly number[] | undefined,
  filter: ItemFilter,
): RawBuilder<unknown> {
  const { after = 0, limit = 100 } = filter
  const inLanes = lanes ? sql` AND lane_id IN (${sql.join(lanes)})` : sql``
  return sql`SELECT id FROM (
    SELECT id FROM piko_item${byIndex(dialect, 'item_run')}
    WHERE fence = ${fence} AND state = ${sql.lit(state)} AND id > ${after}${ofKind(filter)}${inLanes} ORDER BY id LIMIT ${sql.lit(limit)}
  ) AS some`
}

/** Returns the items of lanes with few items, from the index (lane_id, state, …). */
async function ofLanes(
  { db, dialect }: Database,
  runId: number,
  lanes: readonly number[],
  filter: ItemFilter,
): Promise<number[]> {
  const { state, after = 0, limit = 100 } = filter
  const first = runId * FENCE_FACTOR
  const inState = state === undefined ? sql`` : sql` AND state = ${state}`
  const { rows } = await sql<Found>`
    SELECT id FROM piko_item${byIndex(dialect, 'item_lane')}
    WHERE lane_id IN (${sql.join(lanes)})${inState} AND fence >= ${first} AND fence < ${first + FENCE_FACTOR}
      AND id > ${after}${ofKind(filter)} ORDER BY id LIMIT ${sql.lit(limit)}
  `.execute(db)
  return rows.map(({ id }) => id)
}

function byIndex(dialect: Dialect, name: string): RawBuilder<unknown> {
  return dialect.name === 'mysql' ? dialect.forceIndex(name) : sql` INDEXED BY ${sql.raw(name)}`
}

function ofKind({ kind }: ItemFilter): RawBuilder<unknown> {
  return kind === undefined ? sql`` : sql` AND kind = ${exactId(kind)}`
}

/** Returns the lanes with a name: one for each scope. Goes through the scopes one by one, because there is no index by name alone. */
async function lanesOf({ db }: Database, name: string): Promise<number[]> {
  const { rows } = await sql<Found>`
    WITH RECURSIVE scopes (scope) AS (
      SELECT MIN(scope) FROM piko_lane
      UNION ALL
      SELECT (SELECT MIN(scope) FROM piko_lane WHERE scope > scopes.scope) FROM scopes WHERE scopes.scope IS NOT NULL
    )
    SELECT piko_lane.id AS id FROM scopes JOIN piko_lane ON piko_lane.scope = scopes.scope AND piko_lane.name = ${exactKey(name)}
  `.execute(db)
  return rows.map(({ id }) => id)
}

async function isFew({ db }: Database, lanes: readonly number[], most: number): Promise<boolean> {
  const { rows } = await sql<{ found: number }>`
    SELECT COUNT(*) AS found FROM (
      SELECT id FROM piko_item WHERE lane_id IN (${sql.join(lanes)}) LIMIT ${sql.lit(most + 1)}
    ) AS some
  `.execute(db)
  return Number(rows[0]?.found) <= most
}
