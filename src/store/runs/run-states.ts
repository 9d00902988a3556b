import { type ExpressionBuilder, sql } from 'kysely'
import type { RunState } from '../../run/run.ts'
import type { Tables } from '../tables.ts'

/** States as literals in a statement. SQLite uses an index on one state only with a literal, not with a bound value. */
export const QUEUED = sql<RunState>`'queued'`
export const RUNNING = sql<RunState>`'running'`

/** Whether a run is queued or running. Each state is found by the index on job and state. */
export function isActive(eb: ExpressionBuilder<Tables, 'piko_run'>) {
  return eb.or([eb('piko_run.state', '=', QUEUED), eb('piko_run.state', '=', RUNNING)])
}
