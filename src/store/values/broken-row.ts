import { headline } from '../../errors-read.ts'
import { PikoError } from '../../errors.ts'
import type { Dialect } from '../connection/dialect.ts'
import { type Fault, faultsOf } from './row-faults.ts'
import { ROW_RULES, type TableName } from './row-rules.ts'

/** A row that can't be read, because a person has edited it. Piko does not change it, and readers skip it. */
export class BrokenRow extends PikoError {
  readonly table: TableName
  /** The row's key as an SQL condition, such as `id = 17`. */
  readonly key: string
  /** The row's id, if rows of this table have ids. */
  readonly id: number | undefined
  /** The columns that can't be read. */
  readonly columns: readonly string[]
  /** The job of the row, if it has one. */
  readonly jobId: string | undefined

  /** @param textOf returns the message. By default, the message says that the row is left out */
  constructor(
    table: TableName,
    row: object,
    faults: readonly Fault[],
    cause?: unknown,
    textOf?: (parts: { readonly key: string; readonly wrong: string }) => string,
  ) {
    const key = keyOf(table, row)
    const wrong =
      faults.length > 0
        ? faults.map(({ column, value, expected }) => `${column} is ${value}; expected ${expected}`).join('; ')
        : headline(cause)
    const set = faults.map(({ column, example }) => `${quotedIfReserved(column)} = ${example}`).join(', ')
    const columns = faults.map(({ column }) => column)
    super(
      'ROW_BROKEN',
      textOf?.({ key, wrong }) ??
        `the row of ${table} with ${key} can't be read and is left out: ${wrong}; correct it, for example: UPDATE ${table} SET ${set || '…'} WHERE ${key}`,
      {
        ...(cause !== undefined && { cause }),
        details: { table, key, columns },
      },
    )
    this.table = table
    this.key = key
    this.columns = columns
    const { id, job_id: jobId } = row as { readonly id?: unknown; readonly job_id?: unknown }
    this.id = typeof id === 'number' ? id : undefined
    const job = table === 'piko_job' ? id : jobId
    this.jobId = typeof job === 'string' ? job : undefined
  }
}

/** The columns whose names are reserved words in MySQL but not in MariaDB. They are quoted with backticks, which SQLite accepts too. */
const RESERVED: ReadonlySet<string> = new Set(['stored', 'parallel'])

function quotedIfReserved(column: string): string {
  return RESERVED.has(column) ? `\`${column}\`` : column
}

function keyOf(table: TableName, row: object): string {
  return ROW_RULES[table].key.map((column) => `${column} = ${literal(row[column as keyof typeof row])}`).join(' AND ')
}

function literal(value: unknown): string {
  if (typeof value === 'number') return String(value)
  if (value instanceof Date)
    return Number.isNaN(value.getTime())
      ? "'0000-00-00 00:00:00'"
      : `'${value.toISOString().replace(/[TZ]/g, ' ').trim()}'`
  if (value instanceof Uint8Array) return `x'${Buffer.from(value).toString('hex')}'`
  return `'${String(value).replaceAll("'", "''")}'`
}

/** Checks a row. The columns of its key must be selected. @throws BrokenRow if a selected column can't be read */
export function assertSound<T extends object>(dialect: Pick<Dialect, 'name'>, table: TableName, row: T): T {
  const faults = faultsOf(dialect, table, row)
  if (faults.length > 0) throw new BrokenRow(table, row, faults)
  return row
}

/** Returns the readable rows, in their order. Passes the others to `onBroken`. */
export function soundRows<T extends object>(
  dialect: Pick<Dialect, 'name'>,
  table: TableName,
  rows: readonly T[],
  onBroken: (row: BrokenRow) => void,
): readonly T[] {
  return rows.filter((row) => {
    const faults = faultsOf(dialect, table, row)
    if (faults.length > 0) onBroken(new BrokenRow(table, row, faults))
    return faults.length === 0
  })
}

/** Calls `read` with each row. If it throws, the row goes to `broken`. So only the columns that `read` uses are checked. */
export function readEach<T extends object, R>(
  dialect: Pick<Dialect, 'name'>,
  table: TableName,
  rows: readonly T[],
  read: (row: T) => R,
): { readonly read: readonly R[]; readonly broken: readonly BrokenRow[] } {
  const broken: BrokenRow[] = []
  const done: R[] = []
  for (const row of rows) {
    try {
      done.push(read(row))
    } catch (thrown) {
      broken.push(new BrokenRow(table, row, faultsOf(dialect, table, row), thrown))
    }
  }
  return { read: done, broken }
}

/** Calls `read` with a row. @throws BrokenRow if the row can't be read */
export function readOne<T extends object, R>(
  dialect: Pick<Dialect, 'name'>,
  table: TableName,
  row: T,
  read: (row: T) => R,
): R {
  const { read: done, broken } = readEach(dialect, table, [row], read)
  if (broken[0]) throw broken[0]
  return done[0] as R
}
