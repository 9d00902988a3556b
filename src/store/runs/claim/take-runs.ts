import { randomUUID } from 'node:crypto'
import { sql, type Transaction } from 'kysely'
import type { Dialect } from '../../connection/dialect.ts'
import type { Tables } from '../../tables.ts'
import type { ClaimRequest } from './claim-request.ts'

/**
 * Changes queued runs to running. Returns the ids of those runs that no other node took first; undefined: all of them.
 *
 * Runs that were read with SKIP LOCKED are already locked. A server without it reads them unlocked, so that claims do not wait for each
 * other; then the first node that writes a row gets the run. Instead of the node id, a token first marks the rows of this claim. No other
 * node ever sees the token, because it is replaced before the commit.
 */
export async function takeRuns(
  trx: Transaction<Tables>,
  dialect: Dialect,
  { nodeId, early }: Pick<ClaimRequest, 'nodeId' | 'early'>,
  ids: readonly number[],
): Promise<ReadonlySet<number> | undefined> {
  const owner = dialect.skipsLocked ? nodeId : randomUUID()
  await trx
    .updateTable('piko_run')
    .set({
      state: 'running',
      node_id: owner,
      attempt: sql`attempt + 1`,
      claims: sql`claims + 1`,
      started_at: early ? dialect.later(dialect.now(), sql.ref('run_at')) : dialect.now(),
    })
    .where(dialect.isAmong(ids))
    .where(dialect.checkedState, '=', 'queued')
    .execute()
  if (dialect.skipsLocked) return undefined
  const rows = await trx
    .selectFrom('piko_run')
    .select('id')
    .where('id', 'in', ids)
    .where('node_id', '=', owner)
    .execute()
  const taken = rows.map((row) => row.id)
  if (taken.length > 0) await trx.updateTable('piko_run').set({ node_id: nodeId }).where('id', 'in', taken).execute()
  return new Set(taken)
}
