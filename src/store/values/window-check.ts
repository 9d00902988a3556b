import type { ExpressionBuilder, SqlBool, Expression } from 'kysely'
import { FIRST_INSTANT_MS, LAST_INSTANT_MS } from '../../time/instant.ts'
import type { Database } from '../connection/database.ts'
import { type Tables, WINDOW_STATES } from '../tables.ts'
import { soundRows } from './broken-row.ts'

/** How many jobs one step checks. */
const JOBS = 50
/** The maximum number of rows that one statement reads. */
const PAGE = 200

const COLUMNS = ['id', 'job_id', 'start_at', 'end_at', 'state', 'wait_at', 'changed_to'] as const

/** The parts of a database that a check uses. */
export type CheckedDatabase = Pick<Database, 'db' | 'dialect' | 'broken'>

type Builder = ExpressionBuilder<Tables, 'piko_window'>

/**
 * Searches for windows that no query reads, because their start sorts before or after every instant, or because their state is invalid.
 * Also checks the windows in the states `pending` and `waiting`. Readers report all other broken windows.
 *
 * @returns the job after which to continue; undefined if all are checked
 */
export async function checkWindows(
  database: CheckedDatabase,
  afterJob: string | undefined,
): Promise<string | undefined> {
  const { db, dialect, broken } = database
  const jobs = await db
    .selectFrom('piko_job')
    .select('id')
    .where('windows', 'is not', null)
    .$if(afterJob !== undefined, (query) => query.where('id', '>', afterJob as string))
    .orderBy('id')
    .limit(JOBS)
    .execute()
  if (jobs.length === 0) return undefined
  const ids = jobs.map(({ id }) => id)
  const [first, last] = [new Date(FIRST_INSTANT_MS), new Date(LAST_INSTANT_MS)].map((at) => dialect.instant(at))
  const looks: ((eb: Builder) => Expression<SqlBool>)[] = [
    (eb) => eb('start_at', '<', first as Date),
    (eb) => eb('start_at', '>', last as Date),
    (eb) => eb('state', 'in', ['pending', 'waiting']),
    (eb) => isNoState(eb, dialect.name),
  ]
  for (const look of looks) {
    const rows = await db
      .selectFrom('piko_window')
      .select(COLUMNS)
      .where('job_id', 'in', ids)
      .where(look)
      .limit(PAGE)
      .execute()
    soundRows(dialect, 'piko_window', rows, broken.report)
  }
  return jobs.length === JOBS ? ids.at(-1) : undefined
}

/**
 * Finds invalid states with ranges, so that the index can be used. With a lax `sql_mode`, MySQL stores an unknown word as an empty string.
 */
function isNoState(eb: Builder, store: 'mysql' | 'sqlite'): Expression<SqlBool> {
  if (store === 'mysql') return eb('state', '=', '' as never)
  const words = [...WINDOW_STATES].sort()
  return eb.or([
    eb('state', '<', words[0] as never),
    ...words.map((word, index) => {
      const behind = eb('state', '>', word)
      const next = words[index + 1]
      return next === undefined ? behind : eb.and([behind, eb('state', '<', next)])
    }),
  ])
}
