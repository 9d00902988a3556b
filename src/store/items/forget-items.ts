import type { Database } from '../connection/database.ts'

/** The maximum number of items in one step. */
const STEP = 2_000
/** The maximum number of generations in one step. */
const MAX_GENERATIONS = 50

/**
 * Deletes items of deleted runs, in small steps. Items that are unique within their job stay, because the job uses them to recognize
 * duplicates.
 *
 * @returns whether more items may be left
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

/** Deletes notes of lanes that expired long ago. There is no index for this, so it is called rarely. @returns whether more may be left */
export async function forgetNotes({ db, dialect }: Database): Promise<boolean> {
  const rows = await db
    .selectFrom('piko_lane_note')
    .select(['lane_id', 'name'])
    .where('expires_at', '<', dialect.nowPlus(-NOTE_MS))
    .limit(STEP)
    .execute()
  for (const [name, some] of Map.groupBy(rows, (row) => row.name)) {
    await db
      .deleteFrom('piko_lane_note')
      .where(
        'lane_id',
        'in',
        some.map(({ lane_id }) => lane_id),
      )
      .where('name', '=', name)
      // Another node may have stored a new note in the meantime.
      .where('expires_at', '<', dialect.now())
      .execute()
  }
  return rows.length === STEP
}

/** @returns whether items of the generation may be left */
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
