import { type Kysely } from 'kysely'
import { type Dialect } from './dialect.ts'
import { exactId } from './exact-key.ts'
import { type Tables } from './tables.ts'

/** A job's last window that starts at an instant or before it: the one that it belongs to, if that has not ended. */
export function lastWindow(db: Kysely<Tables>, dialect: Dialect, jobId: string, instant: Date) {
  return db
    .selectFrom('piko_window')
    .select(['start_at', 'end_at', 'state'])
    .where('job_id', '=', exactId(jobId))
    .where('start_at', '<=', dialect.instant(instant))
    .orderBy('start_at', 'desc')
    .limit(1)
    .executeTakeFirst()
}
