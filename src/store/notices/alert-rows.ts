import type { Kysely, Selectable } from 'kysely'
import type { Alert, Failures } from '../../notice/alert.ts'
import type { Dialect } from '../connection/dialect.ts'
import { optionalDate } from '../runs/run-row.ts'
import type { Tables } from '../tables.ts'
import type { AlertTable, NoticeTable } from './notice-tables.ts'

export function alertOf(row: Selectable<AlertTable>, dialect: Dialect): Alert {
  return {
    ...{ jobId: row.job_id, problem: row.kind, count: Number(row.occurrences) },
    ...{ openedAt: dialect.date(row.opened_at), lastAt: dialect.date(row.last_at) },
    ...{ runId: row.run_id ?? undefined, error: row.error ?? undefined, ...spanOf(row, dialect) },
    ...{ toldAt: optionalDate(row.told_at, dialect), recoveredAt: optionalDate(row.recovered_at, dialect) },
  }
}

export function failuresOf(row: Selectable<NoticeTable>, dialect: Dialect): Failures {
  return {
    ...{ jobId: row.job_id, count: row.failures, at: dialect.date(row.created_at) },
    ...{ runId: row.run_id ?? undefined, error: row.error ?? undefined, window: windowOf(row, dialect) },
  }
}

/** Stores an alert of a job. If the job already has one for the same problem, replaces that one. */
export async function writeAlert(trx: Kysely<Tables>, dialect: Dialect, alert: Alert): Promise<void> {
  const { jobId, problem, count, runId, error, window, tick, openedAt, lastAt, toldAt, recoveredAt } = alert
  const optional = (date: Date | undefined): Date | string | null => (date ? dialect.instant(date) : null)
  const values = {
    ...{ occurrences: count, run_id: runId ?? null, error: error ?? null },
    ...{ window_start: optional(window?.start ?? tick), window_end: optional(window?.end ?? tick) },
    ...{ opened_at: dialect.instant(openedAt), last_at: dialect.instant(lastAt) },
    ...{ told_at: optional(toldAt), recovered_at: optional(recoveredAt) },
  }
  await dialect.insertIgnore(trx.insertInto('piko_alert').values({ job_id: jobId, kind: problem, ...values })).execute()
  await trx.updateTable('piko_alert').set(values).where('job_id', '=', jobId).where('kind', '=', problem).execute()
}

/**
 * Returns the span of an alert: its window or its late tick. A late tick is stored as a window of length 0. No real window has this length.
 */
function spanOf(row: Selectable<AlertTable>, dialect: Dialect): Pick<Alert, 'window' | 'tick'> {
  const window = windowOf(row, dialect)
  const isTick = row.kind === 'late' && window?.start.getTime() === window?.end.getTime()
  return { window: isTick ? undefined : window, tick: isTick ? window?.end : undefined }
}

function windowOf(
  { window_start, window_end }: Pick<Selectable<AlertTable>, 'window_start' | 'window_end'>,
  dialect: Dialect,
): Alert['window'] {
  if (window_start === null || window_end === null) return undefined
  return { start: dialect.date(window_start), end: dialect.date(window_end) }
}
