import type { RawBuilder, Transaction } from 'kysely'
import type { Tables } from '../tables.ts'

/**
 * Counts the running items of each lane.
 *
 * @param only leaves out the items in `over` and the items of the node `except`, and counts only items that began after `since`
 */
export async function runningOf(
  trx: Transaction<Tables>,
  laneIds: readonly number[],
  only: { readonly over?: readonly number[]; readonly since?: RawBuilder<Date>; readonly except?: string },
): Promise<ReadonlyMap<number, number>> {
  if (laneIds.length === 0) return new Map()
  const { over = [], since, except } = only
  const rows = await trx
    .selectFrom('piko_item')
    .select((eb) => ['lane_id', eb.fn.countAll<number>().as('count')])
    .where('lane_id', 'in', laneIds)
    .where('state', '=', 'running')
    .$if(since !== undefined, (query) => query.where('started_at', '>', since ?? null))
    .$if(over.length > 0, (query) => query.where('id', 'not in', over))
    .$if(except !== undefined, (query) => query.where('node_id', '<>', except ?? ''))
    .groupBy('lane_id')
    .execute()
  return new Map(rows.map((row) => [row.lane_id, Number(row.count)]))
}
