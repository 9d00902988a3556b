import { sql } from 'kysely'
import { cancelledError } from '../job/attempt.ts'
import { recordAttempts } from './attempt-store.ts'
import { cancelWindows } from './cancel-store.ts'
import { type Database } from './database.ts'
import { fenceOf } from './fence.ts'
import { toJson } from './json.ts'

/**
 * Gives running runs that nobody executes back to the queue, uncounted, and records the attempts as lost. Those that
 * somebody wants cancelled end as cancelled, with their windows. Runs whose claims are no longer these are left alone.
 *
 * @returns how many were given back or ended
 */
export async function giveBack(
  database: Database,
  nodeId: string,
  claims: readonly { readonly runId: number; readonly fence: number }[],
): Promise<number> {
  const { dialect } = database
  const fences = new Set(claims.map(({ fence }) => fence))
  return database.transaction(async (trx) => {
    // By primary key alone: an index on the state would lock rows of others, and in another order. A row that somebody holds
    // is left for the next time: one transaction that hangs must not hold up the recovery of all others.
    const found = await trx
      .selectFrom('piko_run')
      .select(['id', 'state', 'node_id', 'claims', 'attempt', 'window_start', 'cancel_requested_at'])
      .where(
        'id',
        'in',
        claims.map(({ runId }) => runId),
      )
      .orderBy('id')
      .modifyEnd(dialect.forUpdateSkipLocked)
      .execute()
    const rows = found.filter(
      (row) => row.state === 'running' && row.node_id === nodeId && fences.has(fenceOf(row.id, row.claims)),
    )
    const cancelled = rows.filter((row) => row.cancel_requested_at !== null)
    const queued = rows.filter((row) => row.cancel_requested_at === null)
    if (queued.length > 0) {
      await trx
        .updateTable('piko_run')
        .set({ state: 'queued', node_id: null, attempt: sql`attempt - 1` })
        .where(
          'id',
          'in',
          queued.map((row) => row.id),
        )
        .execute()
    }
    if (cancelled.length > 0) {
      await trx
        .updateTable('piko_run')
        .set({ state: 'cancelled', error: toJson(cancelledError(), 'error'), finished_at: dialect.now() })
        .where(
          'id',
          'in',
          cancelled.map((row) => row.id),
        )
        .execute()
      await cancelWindows(
        trx,
        dialect,
        cancelled.filter((row) => row.window_start !== null).map((row) => row.id),
      )
    }
    const lost = rows.map((row) => ({
      runId: row.id,
      fence: fenceOf(row.id, row.claims),
      attempt: row.attempt,
      nodeId,
      outcome: 'lost' as const,
    }))
    await recordAttempts(trx, dialect, lost)
    return rows.length
  })
}
