import { type Kysely, sql, type SqlBool, type Transaction } from 'kysely'
import type { Dialect } from '../connection/dialect.ts'
import { recordRows } from '../proof/record-rows.ts'
import { settleWindowsOf } from './end-runs.ts'
import { FENCE_FACTOR } from './fence.ts'
import type { Tables, WindowState } from '../tables.ts'
import type { Finish } from './finish.ts'

/** Updates the windows of claims that have ended. */
export async function settleWindows(
  trx: Transaction<Tables>,
  dialect: Dialect,
  finishes: readonly Finish[],
): Promise<void> {
  const byState = Map.groupBy(
    finishes.filter(({ claim, transition }) => claim.window && transition.to !== 'queued'),
    ({ transition }) => transition.to as WindowState,
  )
  for (const [state, settled] of byState) {
    const runIds = settled.map(({ claim }) => claim.runId)
    await settleWindowsOf(trx, dialect, runIds, state)
    if (state === 'succeeded') await recordRows(trx, dialect, settled)
  }
}

/**
 * Builds an update of running runs that a node still holds with claims of these fences.
 *
 * The fence is `id · 65536 + claims`, so it is enough to compare `claims`. All runs with the same number of claims share one comparison.
 */
export function guarded(
  db: Kysely<Tables>,
  dialect: Dialect,
  nodeId: string,
  claims: readonly { runId: number; fence: number }[],
) {
  const byClaims = Map.groupBy(claims, ({ runId, fence }) => fence - runId * FENCE_FACTOR)
  const groups = [...byClaims].map(([count, group]) => {
    const isOfGroup = dialect.isAmong(group.map(({ runId }) => runId))
    return sql<SqlBool>`(${isOfGroup} AND claims = ${sql.lit(count)})`
  })
  return db
    .updateTable('piko_run')
    .where(sql<SqlBool>`(${sql.join(groups, sql` OR `)})`)
    .where('node_id', '=', nodeId)
    .where(dialect.checkedState, '=', 'running')
}
