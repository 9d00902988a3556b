import { type Selectable, sql, type Transaction } from 'kysely'
import type { BatchCounts } from '../../run/batch.ts'
import type { RunState } from '../../run/run.ts'
import type { Database } from '../connection/database.ts'
import type { BatchSliceTable, Tables } from '../tables.ts'

type Counted = Pick<Selectable<BatchSliceTable>, 'size' | 'succeeded' | 'failed' | 'cancelled'>

/** Adds up the runs of a batch by state, slice by slice. */
export class Tally {
  readonly counts: { -readonly [K in keyof BatchCounts]: number } = {
    queued: 0,
    running: 0,
    succeeded: 0,
    failed: 0,
    cancelled: 0,
    deleted: 0,
  }

  /** @param states the present runs of an open slice. A closed slice has stored counts instead */
  add(row: Counted, states: ReadonlyMap<RunState, number> = new Map()): void {
    const own = { queued: 0, running: 0, succeeded: 0, failed: 0, cancelled: 0 }
    for (const state of ['succeeded', 'failed', 'cancelled'] as const) own[state] = Number(row[state] ?? 0)
    for (const [state, count] of states) if (state !== 'skipped') own[state] += count
    const known = Object.values(own).reduce((sum, count) => sum + count, 0)
    this.counts.deleted += Math.max(0, Number(row.size) - known)
    for (const [state, count] of Object.entries(own)) this.counts[state as keyof typeof own] += count
  }
}

/** Reads, in one statement, each open slice of a batch, and the total of its closed slices as one row. */
export async function slicesForCounts(db: Database['db'] | Transaction<Tables>, id: number) {
  const total = (column: 'size' | 'succeeded' | 'failed' | 'cancelled') =>
    sql<number>`COALESCE(SUM(${sql.ref(column)}), 0)`.as(column)
  const rows = await db
    .selectFrom('piko_batch_slice')
    .select(['is_open', total('size'), total('succeeded'), total('failed'), total('cancelled')])
    .select((eb) => [
      eb.fn.min<number>('first_id').as('first_id'),
      eb.fn.max<number>('last_id').as('last_id'),
      eb.fn.max<number>('id_step').as('id_step'),
    ])
    .where('batch_id', '=', id)
    .groupBy(['is_open', sql`CASE WHEN is_open = 1 THEN first_id ELSE 0 END`])
    .execute()
  return rows.map((row) => ({ ...row, size: Number(row.size) }))
}
