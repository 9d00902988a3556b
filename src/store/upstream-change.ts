import { type Transaction, type UpdateObject } from 'kysely'
import { type Window } from '../time/window.ts'
import { type Dialect } from './dialect.ts'
import { type Tables } from './tables.ts'

/** Rows that one statement changes. */
const CHUNK = 1_000

/**
 * Tells the windows that depend on these that they are run again: what has succeeded becomes stale, or waits to run again, as its job
 * wants it; what is under way becomes that when it has succeeded. A window that runs again changes those that depend on it in turn.
 *
 * The rows are locked whatever their state: one that is being given a run at this moment is looked at after that, and one that is
 * looked at now is given no run before this transaction has ended. Locks go from upstream down; jobs never depend in a circle.
 */
export async function upstreamChanged(
  trx: Transaction<Tables>,
  dialect: Dialect,
  jobId: string,
  windows: readonly Window[],
): Promise<void> {
  if (windows.length === 0) return
  const dependents = await trx
    .selectFrom('piko_dependency')
    .select(['job_id', 'on_change'])
    .where('upstream_id', '=', jobId)
    .where('on_change', '<>', 'ignore')
    .orderBy('job_id')
    .execute()
  for (const dependent of dependents) {
    const state = dependent.on_change === 'rerun' ? 'waiting' : 'stale'
    const rows = await overlapping(trx, dialect, dependent.job_id, windows)
    const done = rows.filter((row) => row.state === 'succeeded' || (row.state === 'stale' && state === 'waiting'))
    const pending = rows.filter((row) => row.state === 'pending')
    await change(trx, done, {
      state,
      changed_to: null,
      updated_at: dialect.now(),
      ...(state === 'waiting' && { run_id: null, wait_job: null, wait_at: null }),
    })
    await change(trx, pending, { changed_to: state })
    if (state === 'waiting') await upstreamChanged(trx, dialect, dependent.job_id, done)
  }
}

type Row = Window & { readonly id: number; readonly state: Tables['piko_window']['state'] }

async function overlapping(
  trx: Transaction<Tables>,
  dialect: Dialect,
  jobId: string,
  windows: readonly Window[],
): Promise<Row[]> {
  const from = dialect.instant(new Date(Math.min(...windows.map(({ start }) => start.getTime()))))
  const to = dialect.instant(new Date(Math.max(...windows.map(({ end }) => end.getTime()))))
  const around = trx
    .selectFrom('piko_window as around')
    .select('around.start_at')
    .where('around.job_id', '=', jobId)
    .where('around.start_at', '<=', from)
    .orderBy('around.start_at', 'desc')
    .limit(1)
  const first = (await around.executeTakeFirst())?.start_at ?? from
  const rows = await trx
    .selectFrom('piko_window')
    .select(['id', 'start_at', 'end_at', 'state'])
    .where('job_id', '=', jobId)
    .where('start_at', '>=', first)
    .where('start_at', '<', to)
    .orderBy('start_at')
    .modifyEnd(dialect.forUpdate)
    .execute()
  return rows
    .map((row) => ({ id: row.id, state: row.state, start: dialect.date(row.start_at), end: dialect.date(row.end_at) }))
    .filter((row) => windows.some(({ start, end }) => row.start < end && row.end > start))
}

async function change(
  trx: Transaction<Tables>,
  rows: readonly Row[],
  changes: UpdateObject<Tables, 'piko_window'>,
): Promise<void> {
  for (let from = 0; from < rows.length; from += CHUNK) {
    const ids = rows.slice(from, from + CHUNK).map((row) => row.id)
    await trx.updateTable('piko_window').set(changes).where('id', 'in', ids).execute()
  }
}
