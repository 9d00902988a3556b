import { sql } from 'kysely'
import type { Database } from '../connection/database.ts'
import { exactKey } from '../values/exact-key.ts'

/** A note of a lane that is still valid. */
export interface StoredNote {
  readonly text: string
  readonly leftMs: number
}

export async function laneNote(
  { db, dialect }: Database,
  laneId: number,
  name: string,
): Promise<StoredNote | undefined> {
  const row = await db
    .selectFrom('piko_lane_note')
    .select(['note', 'expires_at', dialect.now().as('now')])
    .where('lane_id', '=', laneId)
    .where('name', '=', exactKey(name))
    .where('expires_at', '>', dialect.now())
    .executeTakeFirst()
  return row && { text: row.note, leftMs: dialect.date(row.expires_at).getTime() - dialect.date(row.now).getTime() }
}

/** Stores a note, and the minimum time between items that it demands. If `delayMs` is undefined, that time does not change. */
export async function saveLaneNote(
  { db, dialect }: Database,
  laneId: number,
  name: string,
  note: { readonly text: string; readonly ttlMs: number; readonly delayMs: number | undefined },
): Promise<void> {
  const expires = dialect.nowPlus(note.ttlMs)
  const replace = dialect.name === 'mysql' ? sql`REPLACE` : sql`INSERT OR REPLACE`
  // The time between items is stored first, so that it already applies when other nodes see the note.
  if (note.delayMs !== undefined) {
    const delay = note.delayMs === 0 ? null : note.delayMs
    await db.updateTable('piko_lane').set({ delay_ms: delay }).where('id', '=', laneId).execute()
  }
  await sql`${replace} INTO piko_lane_note (lane_id, name, note, expires_at) VALUES (${laneId}, ${exactKey(name)}, ${note.text}, ${expires})`.execute(
    db,
  )
}
