import { sql } from 'kysely'
import type { WindowState } from '../../ledger/window-state.ts'
import type { Window } from '../../time/window.ts'
import type { Database } from '../connection/database.ts'
import { exactId } from '../values/exact-key.ts'
import { startRanges, windowsWithin } from './window-ranges.ts'
import { noteRows } from '../events/notes.ts'

/**
 * The numbers of a job's windows by state and by the first characters of their starts. Uses the index (job_id, start_at), in parts with a
 * limited number of windows on SQLite.
 */
export async function windowGrid(
  { db, dialect }: Database,
  jobId: string,
  { start, end }: Window,
  length: number,
): Promise<{ prefix: string; state: WindowState; count: number }[]> {
  const found: { prefix: string; state: WindowState; count: number }[] = []
  const range = { from: dialect.instant(start), before: dialect.instant(end) }
  for await (const part of startRanges(db, dialect, jobId, range)) {
    const prefix = sql<string>`substr(one.start_at, 1, ${sql.lit(length)})`
    const rows = await windowsWithin(db, jobId, part)
      .select((eb) => [prefix.as('prefix'), 'one.state', eb.fn.countAll<number>().as('count')])
      .groupBy([prefix, 'one.state'])
      .execute()
    found.push(...rows.map((row) => ({ ...row, count: Number(row.count) })))
  }
  return found
}

const MARKED = 500

/** Makes succeeded windows that start within a range stale, in small transactions. @returns how many */
export async function markStale(database: Database, jobId: string, { start, end }: Window): Promise<number> {
  const { dialect } = database
  let marked = 0
  for (let from = start, isMore = true; isMore;) {
    const after = dialect.instant(from)
    const rows = await database.transaction(async (trx) => {
      // The planner, backfills and a change of the schedule hold this lock too.
      await trx.selectFrom('piko_job').select('id').where('id', '=', jobId).modifyEnd(dialect.forUpdate).execute()
      const some = await trx
        .selectFrom('piko_window')
        .select(['id', 'start_at'])
        .where('job_id', '=', exactId(jobId))
        .where('state', '=', 'succeeded')
        .where('start_at', '>=', after)
        .where('start_at', '<', dialect.instant(end))
        .orderBy('start_at')
        .limit(MARKED)
        .modifyEnd(dialect.forUpdate)
        .execute()
      const ids = some.map(({ id }) => id)
      if (ids.length > 0) {
        await trx
          .updateTable('piko_window')
          .set({ state: 'stale', updated_at: dialect.now() })
          .where('id', 'in', ids)
          .where('state', '=', 'succeeded')
          .execute()
        noteRows(trx, 'windows', ids)
      }
      return some
    })
    marked += rows.length
    isMore = rows.length === MARKED
    const last = rows.at(-1)
    if (last) from = new Date(dialect.date(last.start_at).getTime() + 1)
  }
  return marked
}
