import { sql, type Transaction } from 'kysely'
import { cancelledError, crashedError } from '../../run/attempt.ts'
import { isFaultOfItem } from '../../sql/database-faults.ts'
import { recordAttempts } from '../history/attempt-store.ts'
import type { Database } from '../connection/database.ts'
import { noteRows } from '../events/notes.ts'
import { recordFailures } from '../notices/record-failures.ts'
import { windowOf } from './run-row.ts'
import { endRuns } from './end-runs.ts'
import { fenceOf } from './fence.ts'
import { halved } from '../statements/halved.ts'
import type { Tables } from '../tables.ts'

/** A run that stays unchanged because the database refuses to change it. */
export interface NotGivenBack {
  readonly runId: number
  readonly refusal: unknown
}

export interface GivenBack {
  /** How many runs were returned to the queue or ended. */
  readonly count: number
  readonly refused: readonly NotGivenBack[]
}

interface Claimed {
  readonly runId: number
  readonly fence: number
}

/**
 * Returns to the queue the running runs that no node executes. Their attempts do not count and are recorded as lost. Runs with a cancel
 * request end as cancelled, together with their windows. Skips runs that were claimed again or whose rows are locked.
 *
 * @param lostAttempts a run fails instead if this many nodes died while they ran it
 * @returns `refused`: runs whose rows the database refuses to change, for example because of a user's trigger. The other runs are still
 * given back
 */
export async function giveBack(
  database: Database,
  nodeId: string,
  claims: readonly Claimed[],
  lostAttempts = Infinity,
): Promise<GivenBack> {
  const refused: NotGivenBack[] = []
  const counts = await halved(
    claims,
    (some) => giveBackAll(database, nodeId, some, lostAttempts),
    ({ runId }, refusal) => {
      refused.push({ runId, refusal })
      return 0
    },
    isFaultOfItem,
  )
  return { count: counts.reduce((sum, count) => sum + count, 0), refused }
}

function giveBackAll(
  database: Database,
  nodeId: string,
  claims: readonly Claimed[],
  lostAttempts: number,
): Promise<number> {
  const { dialect } = database
  const fences = new Set(claims.map(({ fence }) => fence))
  return database.transaction(async (trx) => {
    // Uses only the primary key, because an index on the state would also lock other rows, in a different order. Skips rows that another
    // transaction has locked, so that a transaction that hangs does not delay the recovery of all other runs.
    const found = await trx
      .selectFrom('piko_run')
      .select(['id', 'job_id', 'state', 'node_id', 'claims', 'attempt'])
      .select(['window_start', 'window_end', 'cancel_requested_at'])
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
    const wanted = rows.filter((row) => row.cancel_requested_at === null)
    const deaths = await deathsOf(trx, lostAttempts === Infinity ? [] : wanted.map((row) => row.id), nodeId)
    const suspected = wanted.filter((row) => (deaths.get(row.id) ?? 0) + 1 >= lostAttempts)
    const waiting = await waitingAmong(trx, suspected)
    const deadly = new Set(suspected.filter((row) => !waiting.has(row.id)))
    const isDeadly = (row: (typeof wanted)[number]): boolean => deadly.has(row)
    const queued = wanted.filter((row) => !isDeadly(row))
    const failed = wanted.filter(isDeadly)
    const crashed = crashedError(lostAttempts)
    await endRuns(trx, dialect, failed, { state: 'failed', error: crashed })
    await recordFailures(
      trx,
      dialect,
      failed.map((row) => ({ jobId: row.job_id, runId: row.id, window: windowOf(row, dialect), error: crashed })),
    )
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
    noteRows(
      trx,
      'runs',
      queued.map((row) => row.id),
    )
    await endRuns(trx, dialect, cancelled, { state: 'cancelled', error: cancelledError() })
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

/**
 * Returns those runs that are only waiting for their items. Their handlers do not run, so they can't be the reason why their nodes died.
 */
async function waitingAmong(
  trx: Transaction<Tables>,
  runs: readonly { readonly id: number }[],
): Promise<ReadonlySet<number>> {
  if (runs.length === 0) return new Set()
  const rows = await trx
    .selectFrom('piko_item_run')
    .select('run_id')
    .where(
      'run_id',
      'in',
      runs.map(({ id }) => id),
    )
    .where('seeded_at', 'is not', null)
    .where('ended_at', 'is', null)
    .execute()
  return new Set(rows.map(({ run_id }) => run_id))
}

/**
 * Counts, for each run, the other nodes that died while they ran it. Each node counts once, however often it claimed the run before it
 * noticed that its lease was lost.
 */
async function deathsOf(
  trx: Transaction<Tables>,
  runIds: readonly number[],
  nodeId: string,
): Promise<Map<number, number>> {
  if (runIds.length === 0) return new Map()
  const rows = await trx
    .selectFrom('piko_attempt')
    .select((eb) => ['run_id', eb.fn.count<number>('node_id').distinct().as('count')])
    .where('run_id', 'in', runIds)
    .where('outcome', '=', 'lost')
    .where('node_id', '<>', nodeId)
    .groupBy('run_id')
    .execute()
  return new Map(rows.map((row) => [row.run_id, Number(row.count)]))
}
