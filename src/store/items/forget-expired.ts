import { type RawBuilder, sql } from 'kysely'
import type { Database } from '../connection/database.ts'

/** The maximum number of rows that one step deletes. */
const STEP = 2_000

export interface ExpiredRows {
  readonly table: 'piko_lane_note' | 'piko_lane_speed'
  /** The column that is the primary key together with `lane_id`. */
  readonly key: 'name' | 'node_id'
  readonly instant: 'expires_at' | 'measured_at'
  /** The instant before which rows are deleted. */
  readonly before: RawBuilder<Date>
}

/**
 * Deletes expired rows of lanes, in one step of limited size and by primary key.
 *
 * @returns whether there may be more
 */
export async function forgetExpired({ db }: Database, expired: ExpiredRows): Promise<boolean> {
  const [table, key, instant] = [sql.table(expired.table), sql.ref(expired.key), sql.ref(expired.instant)]
  const { rows } = await sql<{ id: number; part: string }>`
    SELECT lane_id AS id, ${key} AS part FROM ${table} WHERE ${instant} < ${expired.before} LIMIT ${sql.lit(STEP)}
  `.execute(db)
  for (const [part, some] of Map.groupBy(rows, (row) => row.part)) {
    // A node may have written the row again in the meantime, so this checks the instant again.
    await sql`
      DELETE FROM ${table} WHERE lane_id IN (${sql.join(some.map(({ id }) => id))}) AND ${key} = ${part}
        AND ${instant} < ${expired.before}
    `.execute(db)
  }
  return rows.length === STEP
}
