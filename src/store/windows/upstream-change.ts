import type { Transaction, UpdateObject } from 'kysely'
import type { Window } from '../../time/window.ts'
import { BrokenRow, soundRows } from '../values/broken-row.ts'
import { chunksOf } from '../statements/chunks.ts'
import type { Dialect } from '../connection/dialect.ts'
import { noteRows } from '../events/notes.ts'
import { lastWindow } from './last-window.ts'
import type { Tables } from '../tables.ts'

/** The maximum number of rows that one statement changes. */
const CHUNK = 1_000
/** The maximum number of rows that one statement reads. */
const PAGE = 1_000

/**
 * Marks the windows that depend on the given ones, because the given ones run again. A succeeded window becomes stale or waits to run
 * again, as its job declares. A stale window may also wait to run again. A pending window changes when its run has succeeded. A window that
 * runs again marks the windows that depend on it in the same way.
 *
 * Locks the rows in any state. So it waits for a window that is just getting its run, and a locked window gets no run until this
 * transaction ends. An unreadable row stays unchanged and goes to `onBroken`. Locks are acquired from upstream to downstream, which causes
 * no deadlock, because the dependencies of jobs have no cycles.
 */
export async function upstreamChanged(
  trx: Transaction<Tables>,
  dialect: Dialect,
  jobId: string,
  windows: readonly Window[],
  onBroken: (row: BrokenRow) => void,
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
    const rows = await overlapping(trx, dialect, dependent.job_id, windows, onBroken)
    const done = rows.filter((row) => row.state === 'succeeded' || (row.state === 'stale' && state === 'waiting'))
    const pending = rows.filter((row) => row.state === 'pending')
    await change(trx, done, {
      state,
      changed_to: null,
      updated_at: dialect.now(),
      ...(state === 'waiting' && { run_id: null, wait_job: null, wait_at: null }),
    })
    await change(trx, pending, { changed_to: state })
    if (state === 'waiting') await upstreamChanged(trx, dialect, dependent.job_id, done, onBroken)
  }
}

interface Row extends Window {
  readonly id: number
  readonly state: Tables['piko_window']['state']
}

/** Returns the windows of a job that overlap the given ones, oldest first, and locks them in this order. */
async function overlapping(
  trx: Transaction<Tables>,
  dialect: Dialect,
  jobId: string,
  windows: readonly Window[],
  onBroken: (row: BrokenRow) => void,
): Promise<Row[]> {
  const sorted = windows.toSorted((one, other) => one.start.getTime() - other.start.getTime())
  const from = (sorted[0] as Window).start
  const end = dialect.instant((sorted.at(-1) as Window).end)
  const around = await lastSound(trx, dialect, jobId, from, onBroken)
  const rows: Row[] = []
  let first = 0
  const query = trx
    .selectFrom('piko_window')
    .select(['id', 'start_at', 'end_at', 'state'])
    .where('job_id', '=', jobId)
    .where('start_at', '<', end)
    .orderBy('start_at')
    .limit(PAGE)
    .modifyEnd(dialect.forUpdate)
  let page = query.where('start_at', '>=', around?.start_at ?? dialect.instant(from))
  for (;;) {
    const found = await page.execute()
    for (const { id, state, start_at, end_at } of soundRows(dialect, 'piko_window', found, onBroken)) {
      const row = { id, state, start: dialect.date(start_at), end: dialect.date(end_at) }
      // Windows of one job do not overlap. So a window that ends before this row also ends before all later rows.
      while (first < sorted.length && (sorted[first] as Window).end <= row.start) first += 1
      const next = sorted[first]
      if (next && next.start < row.end) rows.push(row)
    }
    const last = found.at(-1)
    if (!last || found.length < PAGE) return rows
    page = query.where('start_at', '>', last.start_at)
  }
}

/** Returns the last window that starts at or before an instant. Undefined if that window can't be read, so that it is skipped. */
async function lastSound(
  trx: Transaction<Tables>,
  dialect: Dialect,
  jobId: string,
  instant: Date,
  onBroken: (row: BrokenRow) => void,
) {
  try {
    return await lastWindow(trx, dialect, jobId, instant)
  } catch (thrown) {
    if (!(thrown instanceof BrokenRow)) throw thrown
    onBroken(thrown)
    return undefined
  }
}

async function change(
  trx: Transaction<Tables>,
  rows: readonly Row[],
  changes: UpdateObject<Tables, 'piko_window'>,
): Promise<void> {
  for (const some of chunksOf(rows, CHUNK)) {
    const ids = some.map((row) => row.id)
    await trx.updateTable('piko_window').set(changes).where('id', 'in', ids).execute()
    if ('state' in changes) noteRows(trx, 'windows', ids)
  }
}
