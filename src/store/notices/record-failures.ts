import type { Transaction } from 'kysely'
import type { RunError } from '../../run/run-error.ts'
import type { Dialect } from '../connection/dialect.ts'
import { bulkInsert, type Cell, columnsOf, NOW } from '../statements/bulk-insert.ts'
import type { Tables } from '../tables.ts'

/** A run, or a window without a run, that has failed and will not be retried. */
export interface Failed {
  readonly jobId: string
  readonly runId?: number | undefined
  readonly window?: { readonly start: Date; readonly end: Date } | undefined
  readonly error: Pick<RunError, 'name' | 'message'> | undefined
}

const MAX_ERROR = 500
const COLUMNS = ['job_id', 'failures', 'run_id', 'window_start', 'window_end', 'error', 'created_at'] as const

/**
 * Records failures in the same transaction that stores them. So each failure is reported, whatever happens after the commit. Writes one row
 * per job, all in one statement, so thousands of failures cost as much as one.
 */
export async function recordFailures(
  trx: Transaction<Tables>,
  dialect: Dialect,
  failed: readonly Failed[],
): Promise<void> {
  if (failed.length === 0) return
  const rows = [...Map.groupBy(failed, ({ jobId }) => jobId)].map(([jobId, some]) => rowOf(dialect, jobId, some))
  await trx.executeQuery(bulkInsert(dialect, 'piko_notice', columnsOf(COLUMNS, rows)))
}

function rowOf(dialect: Dialect, jobId: string, failed: readonly Failed[]): Cell[] {
  let [runId, start, end] = [-1, Infinity, -Infinity]
  for (const one of failed) {
    runId = Math.max(runId, one.runId ?? -1)
    start = Math.min(start, one.window?.start.getTime() ?? Infinity)
    end = Math.max(end, one.window?.end.getTime() ?? -Infinity)
  }
  const { error } = failed.at(-1) ?? {}
  const instant = (ms: number): Cell => (Number.isFinite(ms) ? dialect.instant(new Date(ms)) : null)
  const text = error ? `${error.name}: ${error.message}`.slice(0, MAX_ERROR).toWellFormed() : null
  return [jobId, failed.length, runId < 0 ? null : runId, instant(start), instant(end), text, NOW]
}
