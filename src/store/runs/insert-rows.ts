import type { PackedRun, RunGroup } from '../../live/packed.ts'
import type { RunState } from '../../run/run.ts'
import { type CompiledQuery, type Kysely, type QueryResult, sql } from 'kysely'
import { batchesOf, sentBytes } from '../../sql/statement-size.ts'
import { atomically } from '../connection/sqlite/atomic-query.ts'
import { note } from '../events/notes.ts'
import { bulkInsert, type Cell, NOW } from '../statements/bulk-insert.ts'
import { InsertOne } from '../statements/insert-one.ts'
import type { Dialect } from '../connection/dialect.ts'
import type { Tables } from '../tables.ts'

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
  'trace',
  'created_at',
  'finished_at',
] as const

const FIRST_CLAIM_COLUMNS = ['node_id', 'attempt', 'claims', 'started_at'] as const

/** The columns of a run's first claim, if it is stored as claimed. */
export type FirstClaim = Readonly<Record<(typeof FIRST_CLAIM_COLUMNS)[number], Cell>>

/** A run's row to insert. */
export type NewRow = Readonly<Record<Exclude<(typeof COLUMNS)[number], 'config' | 'input'>, Cell>> & {
  readonly config: string | null
  readonly input: string | null
  readonly claim?: FirstClaim | undefined
}

/** The table's default values of omitted columns. Any column that is not listed here has the default null. */
const DEFAULTS: Partial<Record<(typeof COLUMNS)[number], Cell>> = { state: 'queued', kind: 'manual', priority: 0 }

const INSERT_ONE = new InsertOne('piko_run', [...COLUMNS, ...FIRST_CLAIM_COLUMNS], DEFAULTS)

function cellOf(row: NewRow, name: (typeof COLUMNS)[number] | (typeof FIRST_CLAIM_COLUMNS)[number]): Cell {
  return name in row ? row[name as (typeof COLUMNS)[number]] : (row.claim?.[name as keyof FirstClaim] ?? null)
}

/**
 * Builds the statement that inserts runs, which are either all claimed or all not claimed. It omits columns that have their default in all
 * rows. On SQLite, the statement returns the ids.
 */
export function insertRunsText(dialect: Dialect, rows: readonly NewRow[]): CompiledQuery {
  const [only] = rows
  const single = only && rows.length === 1 ? INSERT_ONE.statement(dialect, (name) => cellOf(only, name)) : undefined
  if (single) return single
  const ending = dialect.name === 'sqlite' ? ' RETURNING id' : ''
  const columns = new Map<string, readonly Cell[]>()
  for (const name of COLUMNS) {
    const usual = DEFAULTS[name] ?? null
    if (rows.some((row) => row[name] !== usual))
      columns.set(
        name,
        rows.map((row) => row[name]),
      )
  }
  if (rows.some(({ claim }) => claim)) {
    for (const name of FIRST_CLAIM_COLUMNS)
      columns.set(
        name,
        rows.map(({ claim }) => claim?.[name] ?? null),
      )
  }
  return bulkInsert(dialect, 'piko_run', columns, ending)
}

/**
 * Inserts runs, in as few statements as possible, and returns their ids in the order of the rows.
 *
 * MySQL, unlike MariaDB, has no RETURNING: it reports the first id of the statement. InnoDB reserves the ids of a simple multi-row INSERT
 * together, in every `innodb_autoinc_lock_mode`. So the other ids follow in steps of `@@auto_increment_increment`.
 */
export async function insertRuns(db: Kysely<Tables>, dialect: Dialect, rows: readonly NewRow[]): Promise<number[]> {
  const ids: number[] = new Array<number>(rows.length)
  let step: Promise<number> | undefined
  const indices = [...rows.keys()]
  const isClaimed = (index: number): boolean => rows[index]?.claim !== undefined
  // Claimed runs have additional columns, which the others do not need.
  const groups = [indices.filter(isClaimed), indices.filter((index) => !isClaimed(index))]
  const rowAt = (index: number): NewRow => rows[index] as NewRow
  for (const group of groups) {
    for (const part of statementsOf(dialect, group, rowAt)) {
      const inserting = db.executeQuery<{ id: number }>(insertRunsText(dialect, part.map(rowAt)))
      // This statement need not wait for the answer to the previous one, because a connection executes its statements in order.
      if (dialect.name === 'mysql' && part.length > 1) step ??= autoIncrementStep(db)
      const [answer, each] = step ? await Promise.all([inserting, step]) : [await inserting, 0]
      const given = dialect.name === 'sqlite' ? answer.rows.map(({ id }) => id) : idsOf(answer, each, part.length)
      part.forEach((index, place) => (ids[index] = given[place] as number))
    }
  }
  note(db, () => newRunGroups(rows, ids))
  return ids
}

/** The maximum number of rows of `insertAtomically`, because the commit of more rows needs a turn of the event loop. */
const MAX_ATOMIC = 100

/** Whether one short statement can store all rows, on SQLite. */
export function isOneStatement(dialect: Dialect, rows: readonly NewRow[]): boolean {
  if (dialect.name !== 'sqlite') return false
  const [first] = rows
  if (rows.length === 1) return true
  if (!first || rows.length > MAX_ATOMIC) return false
  const isClaimed = first.claim !== undefined
  if (rows.some(({ claim }) => (claim !== undefined) !== isClaimed)) return false
  const [, ...others] = statementsOf(dialect, rows, (row) => row)
  return others.length === 0
}

/** Inserts runs for which `isOneStatement` is true, without a transaction of the caller. All or none are stored. Notes no events. */
export async function insertAtomically(
  db: Kysely<Tables>,
  dialect: Dialect,
  rows: readonly NewRow[],
): Promise<number[]> {
  const answer = await db.executeQuery<{ id: number }>(atomically(insertRunsText(dialect, rows)))
  return answer.rows.map(({ id }) => id)
}

/** Returns the new runs in the form of events. */
export function newRunGroups(rows: readonly NewRow[], ids: readonly number[]): RunGroup[] {
  const groups = new Map<string, RunGroup & { readonly runs: PackedRun[] }>()
  for (const [index, row] of rows.entries()) {
    const { job_id: jobId, claim } = row
    const state = row.state as RunState
    const nodeId = claim?.node_id as string | undefined
    const key = `${state} ${nodeId ?? ''} ${jobId as string}`
    let group = groups.get(key)
    if (!group) {
      group = { runs: [], jobId: jobId as string, state, ...(nodeId !== undefined && { nodeId }) }
      groups.set(key, group)
    }
    const runAt = state === 'queued' && row.run_at !== NOW ? instantText(row.run_at) : undefined
    const id = ids[index] as number
    const attempt = claim ? 1 : 0
    group.runs.push(runAt === undefined ? [id, attempt] : [id, attempt, { runAt }])
  }
  return [...groups.values()]
}

function instantText(cell: Cell): string | undefined {
  if (cell instanceof Date) return cell.toISOString()
  return typeof cell === 'string' ? cell : undefined
}

function idsOf({ insertId }: QueryResult<unknown>, step: number, count: number): number[] {
  return idsFrom({ first: Number(insertId), step }, count)
}

async function autoIncrementStep(db: Kysely<Tables>): Promise<number> {
  const { rows } = await sql<{ step: number }>`SELECT @@auto_increment_increment AS step`.execute(db)
  return Number(rows[0]?.step ?? 1)
}

/** On MySQL, reads the first id of the previous statement and the difference between two ids. */
export const LAST_INSERT = 'SELECT LAST_INSERT_ID() AS first, @@auto_increment_increment AS step'

export interface LastInsert {
  readonly first: number | string
  readonly step: number | string
}

export function idsFrom({ first, step }: LastInsert, count: number): number[] {
  return Array.from({ length: count }, (_, index) => Number(first) + index * Number(step))
}

/** The maximum number of rows in a statement. It keeps the statement below SQLite's limit of 32,766 parameters. */
const MAX_ROWS = 1_000
/** The size of one row without its text, in bytes: job id, state, timestamps and numbers. */
const ROW_BYTES = 400

/**
 * Splits the rows of many runs so that each part fits into one statement.
 * @param growth how many times longer the text of the statement may be than the values
 */
export function statementsOf<T>(
  { sizes }: Dialect,
  items: readonly T[],
  rowOf: (item: T) => NewRow,
  growth = 1,
): Generator<T[]> {
  return batchesOf(items, (item) => bytesOf(rowOf(item)), { maxRows: MAX_ROWS, maxBytes: sizes.batch / growth })
}

function bytesOf(row: NewRow): number {
  let bytes = ROW_BYTES
  if (row.config !== null) bytes += sentBytes(row.config)
  if (row.input !== null) bytes += sentBytes(row.input)
  if (row.concurrency_key !== null) bytes += sentBytes(row.concurrency_key)
  if (row.rate_key !== null) bytes += sentBytes(row.rate_key)
  return bytes
}
