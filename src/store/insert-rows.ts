import { type CompiledQuery, type Kysely, sql } from 'kysely'
import { bulkInsert, type Cell } from './bulk-insert.ts'
import { type Dialect } from './dialect.ts'
import { type Tables } from './tables.ts'

const COLUMNS = [
  'job_id',
  'state',
  'kind',
  'priority',
  'run_at',
  'tick',
  'concurrency_key',
  'rate_key',
  'backfill_id',
  'window_start',
  'window_end',
  'config',
  'input',
  'reason',
  'created_at',
  'finished_at',
] as const

const FIRST_CLAIM_COLUMNS = ['node_id', 'attempt', 'claims', 'started_at'] as const

/** What a run has from its first claim, when it is stored as claimed. */
export type FirstClaim = Readonly<Record<(typeof FIRST_CLAIM_COLUMNS)[number], Cell>>

const UNCLAIMED: FirstClaim = { node_id: null, attempt: 0, claims: 0, started_at: null }

/** A run's row as it is inserted. */
export type NewRow = Readonly<Record<Exclude<(typeof COLUMNS)[number], 'config' | 'input'>, Cell>> & {
  readonly config: string | null
  readonly input: string | null
  readonly claim?: FirstClaim | undefined
}

/** What the table gives to a column that is left out; to the others null. */
const DEFAULTS: Partial<Record<(typeof COLUMNS)[number], Cell>> = { state: 'queued', kind: 'manual', priority: 0 }

/** The statement that inserts runs, without the columns that have their default in all of them; on SQLite it answers with their ids. */
export function insertRunsText(dialect: Dialect, rows: readonly NewRow[]): CompiledQuery {
  const ending = dialect.name === 'sqlite' ? ' RETURNING id' : ''
  const columns = COLUMNS.filter((column) => rows.some((row) => row[column] !== (DEFAULTS[column] ?? null)))
  const own = (row: NewRow): Cell[] => columns.map((column) => row[column])
  if (rows.every((row) => !row.claim)) return bulkInsert(dialect, 'piko_run', columns, rows.map(own), ending)
  const cells = rows.map((row) => [
    ...own(row),
    ...FIRST_CLAIM_COLUMNS.map((column) => (row.claim ?? UNCLAIMED)[column]),
  ])
  return bulkInsert(dialect, 'piko_run', [...columns, ...FIRST_CLAIM_COLUMNS], cells, ending)
}

/**
 * Inserts runs in one statement and returns their ids in the order of the rows.
 *
 * MySQL has no RETURNING (MariaDB has): it reports the first id of the statement. InnoDB reserves the ids of a simple
 * multi-row INSERT at once, in every `innodb_autoinc_lock_mode`, so the rest follow at `@@auto_increment_increment`.
 */
export async function insertRuns(db: Kysely<Tables>, dialect: Dialect, rows: readonly NewRow[]): Promise<number[]> {
  if (rows.length === 0) return []
  const answer = await db.executeQuery<{ id: number }>(insertRunsText(dialect, rows))
  if (dialect.name === 'sqlite') return answer.rows.map((row) => row.id)
  const first = Number(answer.insertId)
  const step = rows.length > 1 ? await autoIncrementStep(db) : 1
  return idsFrom({ first, step }, rows.length)
}

async function autoIncrementStep(db: Kysely<Tables>): Promise<number> {
  const { rows } = await sql<{ step: number }>`SELECT @@auto_increment_increment AS step`.execute(db)
  return Number(rows[0]?.step ?? 1)
}

/** The first id of the statement before it, on MySQL, and how far the next ones are. */
export const LAST_INSERT = 'SELECT LAST_INSERT_ID() AS first, @@auto_increment_increment AS step'

export interface LastInsert {
  readonly first: number | string
  readonly step: number | string
}

export function idsFrom({ first, step }: LastInsert, count: number): number[] {
  return Array.from({ length: count }, (_, index) => Number(first) + index * Number(step))
}

/** A server takes statements up to its `max_allowed_packet`, 4 MB and more; SQLite takes 32,766 parameters. */
const MOST_CHARACTERS = 500_000
const MOST_ROWS = 1_000

/** The rows of many runs, split so that each part is one statement. */
export function statementsOf(rows: readonly NewRow[]): NewRow[][] {
  const statements: NewRow[][] = []
  let characters = Infinity
  for (const row of rows) {
    const length = (row.config?.length ?? 0) + (row.input?.length ?? 0)
    characters += length
    if (characters > MOST_CHARACTERS || statements.at(-1)?.length === MOST_ROWS) {
      statements.push([])
      characters = length
    }
    statements.at(-1)?.push(row)
  }
  return statements
}
