import type { Selectable, Transaction } from 'kysely'
import type { Dialect } from '../connection/dialect.ts'
import { RUNNING } from '../runs/run-states.ts'
import type { BackfillState } from '../../ledger/backfill.ts'
import type { RunTable, Tables } from '../tables.ts'
import type { Blocked } from '../admission/blocked.ts'

type Candidate = Pick<Selectable<RunTable>, 'job_id' | 'backfill_id'>

/**
 * How long to wait if another transaction, such as a claim or a step, has locked the backfill's row. Such a lock lasts a few milliseconds.
 */
const BUSY_MS = 15

/** The states in which no run of a backfill starts. When a backfill has ended, a replayed run may still start. */
const STOPPED: ReadonlySet<BackfillState> = new Set(['paused', 'cancelling'])

export class BackfillLimits {
  /** How many runs of each backfill may still start; no entry if another transaction has locked its row. */
  readonly #free = new Map<number, number>()

  /**
   * Locks the backfills of candidates. So two nodes can't both start the last allowed run, and no run of a backfill starts while the
   * backfill is being paused.
   */
  static async read(
    trx: Transaction<Tables>,
    dialect: Dialect,
    candidates: readonly Candidate[],
  ): Promise<BackfillLimits> {
    const limits = new BackfillLimits()
    const ids = [...new Set(candidates.flatMap((row) => row.backfill_id ?? []))]
    if (ids.length === 0) return limits
    const rows = await trx
      .selectFrom('piko_backfill')
      .select(['id', 'job_id', 'state', 'parallel'])
      .where('id', 'in', ids)
      .orderBy('id')
      .modifyEnd(dialect.forUpdateSkipLocked)
      .execute()
    const going = rows.filter((row) => row.state === 'running')
    const counts = await running(trx, going)
    for (const row of rows) {
      const free = row.state === 'running' ? row.parallel - (counts.get(row.id) ?? 0) : Infinity
      limits.#free.set(row.id, STOPPED.has(row.state) ? 0 : free)
    }
    return limits
  }

  blocks({ job_id: jobId, backfill_id: backfillId }: Candidate): Blocked | undefined {
    if (backfillId === null) return undefined
    const free = this.#free.get(backfillId)
    if (free === undefined) return { jobId, backfillId, retryInMs: BUSY_MS }
    return free > 0 ? undefined : { jobId, backfillId }
  }

  add({ backfill_id: backfillId }: Candidate): void {
    if (backfillId !== null) this.#free.set(backfillId, (this.#free.get(backfillId) ?? 0) - 1)
  }
}

/** Returns how many runs of each backfill are running, read from the index on job and state. */
async function running(
  trx: Transaction<Tables>,
  backfills: readonly { id: number; job_id: string }[],
): Promise<Map<number, number>> {
  if (backfills.length === 0) return new Map()
  const rows = await trx
    .selectFrom('piko_run')
    .select((eb) => ['backfill_id', eb.fn.countAll<number>().as('count')])
    .where('state', '=', RUNNING)
    .where('job_id', 'in', [...new Set(backfills.map((row) => row.job_id))])
    .where(
      'backfill_id',
      'in',
      backfills.map((row) => row.id),
    )
    .groupBy('backfill_id')
    .execute()
  return new Map(rows.map((row) => [Number(row.backfill_id), Number(row.count)]))
}
