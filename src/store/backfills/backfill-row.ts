import type { Selectable, Transaction } from 'kysely'
import { fromJson } from '../../json/json.ts'
import type { BackfillOnly, BackfillOrder, BackfillState } from '../../ledger/backfill.ts'
import type { Dialect } from '../connection/dialect.ts'
import { optionalDate } from '../runs/run-row.ts'
import type { BackfillTable, Tables } from '../tables.ts'
import { assertSound } from '../values/broken-row.ts'

/** A user's request for a backfill. */
export interface NewBackfill {
  readonly jobId: string
  /** The start of the first window. */
  readonly from: Date
  /** The end of the last window. */
  readonly to: Date
  readonly order: BackfillOrder
  readonly only: BackfillOnly
  /** How many windows may run at the same time, across all nodes. */
  readonly parallel: number
  readonly priority: number
  /** Overrides of the job's config for the runs of the backfill. */
  readonly config: unknown
  /** The number of windows in the range. */
  readonly total: number
}

/** The current state of a backfill. */
export interface BackfillRow extends NewBackfill {
  readonly id: number
  readonly state: BackfillState
  /** Where planning continues; undefined if all windows are planned. */
  readonly cursor: Date | undefined
  /** How many of the windows planned so far need a run. */
  readonly planned: number
  /** How many of the windows planned so far need no run. */
  readonly passed: number
  /** How long the backfill has been running or cancelling, in milliseconds, without pauses. */
  readonly activeMs: number
  readonly createdAt: Date
  readonly finishedAt: Date | undefined
}

/** Reads a backfill and locks its row. @throws BrokenRow if the row can't be read */
export async function lockBackfill(
  trx: Transaction<Tables>,
  dialect: Dialect,
  id: number,
): Promise<BackfillRow | undefined> {
  const row = await trx
    .selectFrom('piko_backfill')
    .selectAll()
    .select(dialect.now().as('now'))
    .where('id', '=', id)
    .modifyEnd(dialect.forUpdate)
    .executeTakeFirst()
  return row && backfillOf(row, dialect.date(row.now), dialect)
}

/** Reads a backfill from its row. @throws BrokenRow if the row can't be read */
export function backfillOf(row: Selectable<BackfillTable>, now: Date, dialect: Dialect): BackfillRow {
  assertSound(dialect, 'piko_backfill', row)
  const since = optionalDate(row.active_since, dialect)
  return {
    id: row.id,
    jobId: row.job_id,
    state: row.state,
    from: dialect.date(row.from_at),
    to: dialect.date(row.to_at),
    order: row.window_order,
    only: row.only_windows,
    parallel: row.parallel,
    priority: row.priority,
    config: fromJson(row.config),
    total: row.total,
    cursor: optionalDate(row.cursor_at, dialect),
    planned: row.planned,
    passed: row.passed,
    activeMs: Number(row.active_ms) + (since ? Math.max(0, now.getTime() - since.getTime()) : 0),
    createdAt: dialect.date(row.created_at),
    finishedAt: optionalDate(row.finished_at, dialect),
  }
}
