import { type CompiledQuery, type Kysely, type RawBuilder, sql, type SqlBool, type Transaction } from 'kysely'
import type { Dialect } from '../connection/dialect.ts'
import { recordRows } from '../proof/record-rows.ts'
import { settleWindowsOf } from './end-runs.ts'
import { FENCE_FACTOR } from './fence.ts'
import { reusedStatement } from '../statements/reused-statement.ts'
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
  return running(db, dialect, nodeId, sql<SqlBool>`(${sql.join(groups, sql` OR `)})`)
}

function running(db: Kysely<Tables>, dialect: Dialect, nodeId: string, among: RawBuilder<SqlBool>) {
  return db
    .updateTable('piko_run')
    .where(among)
    .where('node_id', '=', nodeId)
    .where(dialect.checkedState, '=', 'running')
}

/** Returns the columns to update for a run that succeeds without an output. */
export function success(dialect: Dialect): { state: 'succeeded'; error: null; finished_at: RawBuilder<Date> } {
  return { state: 'succeeded', error: null, finished_at: dialect.now() }
}

const usualUpdate = reusedStatement(
  ['first', 'last', 'count', 'nodeId'],
  (db, dialect, { first, last, count, nodeId }) =>
    running(db, dialect, nodeId, sql<SqlBool>`(id BETWEEN ${first} AND ${last} AND claims = ${count})`).set(
      success(dialect),
    ),
)

/**
 * Returns the update of runs that succeed as most do: each id is one more than the previous one, all runs have been claimed the same number
 * of times, and there is nothing else to store. Undefined for other runs.
 */
export function usualSuccess(
  db: Kysely<Tables>,
  dialect: Dialect,
  nodeId: string,
  finishes: readonly Finish[],
): CompiledQuery | undefined {
  const [one] = finishes
  if (!one) return undefined
  const { runId: first, fence } = one.claim
  const count = fence - first * FENCE_FACTOR
  for (const [index, { claim, phases }] of finishes.entries()) {
    if (phases !== undefined || claim.runId !== first + index) return undefined
    if (claim.fence - claim.runId * FENCE_FACTOR !== count) return undefined
  }
  return usualUpdate(db, dialect, { first, last: first + finishes.length - 1, count, nodeId })
}
