import { randomUUID } from 'node:crypto'
import { type Kysely, type RawBuilder, sql, type Transaction } from 'kysely'
import type { Dialect } from '../../connection/dialect.ts'
import { reusedStatement } from '../../statements/reused-statement.ts'
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
  if (ids.length === 1 && !early) await trx.executeQuery(takeOne(trx, dialect, { id: ids[0], owner }))
  else {
    const startedAt = early ? dialect.later(dialect.now(), sql.ref('run_at')) : dialect.now()
    await taking(trx, dialect, owner, startedAt).where(dialect.isAmong(ids)).execute()
  }
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

function taking(db: Kysely<Tables>, dialect: Dialect, owner: string, startedAt: RawBuilder<Date>) {
  return db
    .updateTable('piko_run')
    .set({
      state: 'running',
      node_id: owner,
      attempt: sql`attempt + 1`,
      claims: sql`claims + 1`,
      started_at: startedAt,
    })
    .where(dialect.checkedState, '=', 'queued')
}

const takeOne = reusedStatement(['id', 'owner'], (db, dialect, { id, owner }) =>
  taking(db, dialect, owner, dialect.now()).where('id', '=', id),
)
