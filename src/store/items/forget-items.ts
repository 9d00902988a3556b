import { sql } from 'kysely'
import type { Database } from '../connection/database.ts'
import { forgetExpired } from './forget-expired.ts'
import { LANE_IDLE_MS } from './lane-rows.ts'

/** The maximum number of items that one step deletes, or of lanes that it checks. */
const STEP = 2_000
/** The maximum number of generations that one step handles. */
const MAX_GENERATIONS = 50

/**
 * Deletes items of deleted runs in small steps. Items that are unique within their job or a period stay, because they are needed to
 * recognise duplicates.
 *
 * @returns whether there may be more
 */
export async function forgetItems(database: Database): Promise<boolean> {
  const { db } = database
  const gone = await db
    .selectFrom('piko_item_run')
    .leftJoin('piko_run', 'piko_run.id', 'piko_item_run.run_id')
    .select('piko_item_run.fence')
    .where('piko_run.id', 'is', null)
    .where('piko_item_run.ended_at', 'is not', null)
    .limit(MAX_GENERATIONS)
    .execute()
  for (const { fence } of gone) {
    if (await forgetSome(database, fence)) return true
    await database.transaction(async (trx) => {
      await trx.deleteFrom('piko_item_count').where('fence', '=', fence).execute()
      await trx.deleteFrom('piko_item_run').where('fence', '=', fence).execute()
    })
  }
  return gone.length === MAX_GENERATIONS
}

/** How long a note of a lane is kept after it has expired. */
const NOTE_MS = 86_400_000

/**
 * Deletes notes of lanes that expired long ago. Called rarely, because there is no index for this.
 *
 * @returns whether there may be more
 */
export function forgetNotes(database: Database): Promise<boolean> {
  const before = database.dialect.nowPlus(-NOTE_MS)
  return forgetExpired(database, { table: 'piko_lane_note', key: 'name', instant: 'expires_at', before })
}

/**
 * Deletes lanes that no node has used for a week and that have no items in any state, together with their notes. Paused lanes stay. Called
 * rarely, because there is no index for this.
 *
 * A node that looks up the id of a lane records this in the same row. So either the lane is not deleted, or the node creates it again.
 *
 * @param after the id that the previous call returned; 0 to begin
 * @returns the id of the last lane that was checked; 0 when all lanes were checked
 */
export async function forgetLanes(database: Database, after: number): Promise<number> {
  const { db, dialect } = database
  const lanes = await db
    .selectFrom('piko_lane')
    .select(['id', 'used_at'])
    .where('id', '>', after)
    .orderBy('id')
    .limit(STEP)
    .execute()
  const unknown = lanes.filter(({ used_at }) => used_at === null).map(({ id }) => id)
  if (unknown.length > 0) {
    await db
      .updateTable('piko_lane')
      .set({ used_at: dialect.now() })
      .where(dialect.isAmong(unknown))
      .where('used_at', 'is', null)
      .execute()
  }
  const ids = lanes.map(({ id }) => id)
  const idle = ids.length === 0 ? [] : await idleLanes(database, ids)
  for (const id of idle) {
    await database.transaction(async (trx) => {
      const { numDeletedRows } = await trx
        .deleteFrom('piko_lane')
        .where('id', '=', id)
        .where('used_at', '<', dialect.nowPlus(-LANE_IDLE_MS))
        .where('paused_at', 'is', null)
        .executeTakeFirstOrThrow()
      if (numDeletedRows > 0n) await trx.deleteFrom('piko_lane_note').where('lane_id', '=', id).execute()
    })
  }
  return lanes.length < STEP ? 0 : (lanes.at(-1)?.id ?? 0)
}

async function idleLanes({ db, dialect }: Database, ids: readonly number[]): Promise<readonly number[]> {
  const rows = await db
    .selectFrom('piko_lane')
    .select('id')
    .where(dialect.isAmong(ids))
    .where('used_at', '<', dialect.nowPlus(-LANE_IDLE_MS))
    .where('paused_at', 'is', null)
    .where(sql<boolean>`NOT EXISTS (SELECT 1 FROM piko_item WHERE lane_id = piko_lane.id)`)
    .execute()
  return rows.map(({ id }) => id)
}

/**
 * Returns the given files with kept bytes to which no item refers any more.
 *
 * @param names the names by item id
 */
export async function unnamedKept(
  { db, dialect }: Database,
  names: ReadonlyMap<number, readonly string[]>,
): Promise<readonly string[]> {
  if (names.size === 0) return []
  const rows = await db
    .selectFrom('piko_item')
    .select(['id', 'kept'])
    .where(dialect.isAmong([...names.keys()]))
    .execute()
  const kept = new Map(rows.map((row) => [row.id, row.kept]))
  return [...names].flatMap(([id, some]) => some.filter((name) => kept.get(id) !== name))
}

/**
 * Deletes some items of a generation, except those that are unique beyond it.
 *
 * @returns whether there may be more to delete
 */
async function forgetSome(database: Database, fence: number): Promise<boolean> {
  const rows = await database.db
    .selectFrom('piko_item')
    .select('id')
    .where('fence', '=', fence)
    .where('scope', '=', fence)
    .limit(STEP)
    .execute()
  if (rows.length === 0) return false
  const ids = rows.map(({ id }) => id)
  await database.transaction(async (trx) => {
    await trx.deleteFrom('piko_item_body').where('item_id', 'in', ids).execute()
    await trx.deleteFrom('piko_item').where(database.dialect.isAmong(ids)).execute()
  })
  return rows.length === STEP
}
