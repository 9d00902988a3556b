import { setImmediate as nextTurn } from 'node:timers/promises'
import { sql, type SqlBool } from 'kysely'
import type { RunState } from '../../run/run.ts'
import type { FencedTable } from '../../run/table-rows.ts'
import type { SqlRow, SqlValue } from '../../sql/sql.ts'
import { databaseFault } from '../../sql/database-faults.ts'
import { checksumSql } from '../../sql/row-checksum.ts'
import { quoted, quotedTable } from '../../sql/sql-text.ts'
import { storedInstant } from '../../time/instant.ts'
import { fromJson } from '../../json/json.ts'
import type { Database } from '../connection/database.ts'
import { FENCE_FACTOR } from '../runs/fence.ts'
import type { WindowState } from '../tables.ts'
import { exactId } from '../values/exact-key.ts'
import { startRanges } from '../windows/window-ranges.ts'

/** A row of the ledger. It is read even if a person has written wrong values into it. */
export interface ProofWindow {
  readonly id: number
  /** The start of the window; undefined if the row has no readable instant. */
  readonly start: Date | undefined
  readonly end: Date | undefined
  readonly state: WindowState
  readonly runId: number | undefined
  readonly fence: number | undefined
  /** Whether the window's run still exists. */
  readonly hasRun: boolean
}

/** A window whose row does not match its run. */
export interface SuspectWindow extends ProofWindow {
  /** The run of the window; undefined if the run no longer exists. */
  readonly run:
    | {
        readonly id: number
        readonly jobId: string
        readonly state: RunState
        readonly fence: number
        readonly start: Date | undefined
        readonly end: Date | undefined
      }
    | undefined
}

/** Rows of a table with the same window and fence. */
export interface RowGroup {
  /** The start of the window; undefined if the window column has no readable instant. */
  readonly start: Date | undefined
  readonly fence: number
  readonly rows: number
  /** The checksum of the rows; undefined unless the table asks for it. */
  readonly checksum: number | undefined
}

/** What was recorded about the rows that a claim wrote to a table for a window. */
export interface RecordedRows {
  readonly fence: number
  /** The number of rows; undefined if they could not be counted. */
  readonly rows: number | undefined
  readonly checksum: number | undefined
}

export interface TimeRange {
  readonly from: Date
  readonly to: Date
}

/** Reads the data that a proof compares. Each call reads only a limited amount. */
export class ProofStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  get isLocal(): boolean {
    return this.#database.dialect.name === 'sqlite'
  }

  /** Lists the fenced tables to which the job's runs have written. */
  async tables(jobId: string): Promise<FencedTable[]> {
    const rows = await this.#database.db
      .selectFrom('piko_job_table')
      .select(['table_name', 'layout'])
      .where('job_id', '=', exactId(jobId))
      .orderBy('table_name')
      .execute()
    return rows.map(({ table_name, layout }) => ({
      ...(fromJson(layout) as Omit<FencedTable, 'name'>),
      name: table_name,
    }))
  }

  /** Returns the range that all windows of the job cover together. */
  async extent(jobId: string): Promise<TimeRange | undefined> {
    const ends = (order: 'asc' | 'desc') =>
      this.#database.db
        .selectFrom('piko_window')
        .select(['start_at', 'end_at'])
        .where('job_id', '=', exactId(jobId))
        .orderBy('start_at', order)
        .limit(1)
        .executeTakeFirst()
    const from = storedInstant((await ends('asc'))?.start_at)
    const to = storedInstant((await ends('desc'))?.end_at)
    return from && to && { from, to }
  }

  /**
   * Lists the windows whose rows do not match their runs. There are three cases. A succeeded or stale window was not ended by the last
   * claim of its run, or its run did not succeed. A window did not succeed and is not waiting, although its run succeeded. Or a window has
   * another job or other bounds than its run. If the run was deleted because of its age, only its id is compared.
   */
  async suspects(jobId: string, { from, to }: TimeRange, limit: number): Promise<SuspectWindow[]> {
    const { db, dialect } = this.#database
    const found: SuspectWindow[] = []
    const range = { from: dialect.instant(from), before: dialect.instant(to) }
    for await (const part of startRanges(db, dialect, jobId, range)) {
      let query = db
        .selectFrom('piko_window as w')
        .leftJoin('piko_run as r', 'r.id', 'w.run_id')
        .select(['w.id', 'w.start_at', 'w.end_at', 'w.state', 'w.run_id', 'w.fence'])
        .select(['r.id as ran', 'r.job_id as run_job', 'r.state as run_state', 'r.claims'])
        .select(['r.window_start', 'r.window_end'])
        .where('w.job_id', '=', exactId(jobId))
        .where(IS_SUSPECT)
        .orderBy('w.start_at')
        .limit(limit - found.length)
      if (part.from !== undefined) query = query.where('w.start_at', '>=', part.from)
      if (part.before !== undefined) query = query.where('w.start_at', '<', part.before)
      for (const row of await query.execute()) {
        const { ran, run_job, run_state, claims } = row
        const isThere = ran !== null && run_job !== null && run_state !== null
        found.push({
          ...windowOf(row),
          run: isThere
            ? {
                ...{ id: ran, jobId: run_job, state: run_state, fence: ran * FENCE_FACTOR + Number(claims) },
                start: storedInstant(row.window_start),
                end: storedInstant(row.window_end),
              }
            : undefined,
        })
      }
      if (found.length >= limit) break
      // On SQLite, a read blocks the event loop, so other work gets its turn here.
      await nextTurn()
    }
    return found
  }

  /** Lists windows that start in the range, in the order of their starts. */
  async windows(jobId: string, { from, to }: TimeRange, limit: number): Promise<ProofWindow[]> {
    const { dialect } = this.#database
    const rows = await this.#windows(jobId)
      .where('w.start_at', '>=', dialect.instant(from))
      .where('w.start_at', '<', dialect.instant(to))
      .orderBy('w.start_at')
      .limit(limit)
      .execute()
    return rows.map(windowOf)
  }

  /** Returns the last window that starts before the given time. */
  async before(jobId: string, instant: Date): Promise<ProofWindow | undefined> {
    const row = await this.#windows(jobId)
      .where('w.start_at', '<', this.#database.dialect.instant(instant))
      .orderBy('w.start_at', 'desc')
      .limit(1)
      .executeTakeFirst()
    return row && windowOf(row)
  }

  #windows(jobId: string) {
    return this.#database.db
      .selectFrom('piko_window as w')
      .leftJoin('piko_run as r', 'r.id', 'w.run_id')
      .select(['w.id', 'w.start_at', 'w.end_at', 'w.state', 'w.run_id', 'w.fence', 'r.id as ran'])
      .where('w.job_id', '=', exactId(jobId))
  }

  /**
   * Returns what was recorded about the rows of a table, for windows that start in the range. The keys are the starts of the windows in
   * milliseconds.
   */
  async recorded(jobId: string, table: string, { from, to }: TimeRange): Promise<Map<number, RecordedRows>> {
    const { db, dialect } = this.#database
    const rows = await db
      .selectFrom('piko_window_rows')
      .select(['start_at', 'fence', 'row_count', 'checksum'])
      .where('job_id', '=', exactId(jobId))
      .where('table_name', '=', table)
      .where('start_at', '>=', dialect.instant(from))
      .where('start_at', '<', dialect.instant(to))
      .execute()
    return new Map(
      rows.flatMap(({ start_at, fence, row_count, checksum }): [number, RecordedRows][] => {
        const start = storedInstant(start_at)
        return start ? [[start.getTime(), { fence: Number(fence), ...numbersOf(row_count, checksum) }]] : []
      }),
    )
  }

  /** Returns how many rows the batches of each window's last claim wrote. The keys are the starts of the windows in milliseconds. */
  async fences({ name }: FencedTable, { from, to }: TimeRange): Promise<Map<number, RecordedRows>> {
    const { sql: database, dialect } = this.#database
    const [table = name, schema] = name.split('.').reverse()
    const fences = quotedTable(dialect.name, schema === undefined ? 'piko_fence' : `${schema}.piko_fence`)
    try {
      const rows = await database.query<{ w: unknown; f: unknown; n: unknown }>(
        `SELECT window_start AS w, fence AS f, row_count AS n FROM ${fences} ` +
          'WHERE table_name = ? AND window_start >= ? AND window_start < ? AND row_count IS NOT NULL',
        [table, from, to],
      )
      return new Map(
        rows.flatMap(({ w, f, n }): [number, RecordedRows][] => {
          const start = storedInstant(w)
          return start ? [[start.getTime(), { fence: Number(f), rows: Number(n), checksum: undefined }]] : []
        }),
      )
    } catch (error) {
      // If only older versions of Piko have written to the table, there is no table of fences.
      if (databaseFault(error) !== 'programming') throw error
      return new Map()
    }
  }

  /**
   * Counts the rows of a table by window and fence, which needs only the index that begins with these columns. If the table has checksums,
   * also reads its rows to compute them.
   */
  async groups(table: FencedTable, { from, to }: TimeRange): Promise<RowGroup[]> {
    const { window, fence, name } = this.#names(table)
    const sum = table.checksum ? `, ${checksumSql(this.#database.dialect.name, table.columns)} AS c` : ''
    const rows = await this.#database.sql.query<{ w: unknown; f: unknown; n: unknown; c?: unknown }>(
      `SELECT ${window} AS w, ${fence} AS f, COUNT(*) AS n${sum} FROM ${name} WHERE ${window} >= ? AND ${window} < ? ` +
        `GROUP BY ${window}, ${fence} ORDER BY ${window}, ${fence}`,
      [from, to],
    )
    return rows.map(({ w, f, n, c }) => ({
      ...{ start: storedInstant(w), fence: Number(f), rows: Number(n) },
      checksum: table.checksum ? Number(c) : undefined,
    }))
  }

  /** Returns some of the rows of a window and fence, with only these columns. */
  async sample(
    table: FencedTable,
    start: Date,
    fence: number,
    columns: readonly string[],
    limit: number,
  ): Promise<SqlRow[]> {
    const list = this.#list(columns)
    return this.#rowsOf(table, start, fence, `SELECT ${list}`, ` ORDER BY ${list} LIMIT ${limit}`)
  }

  /**
   * Finds duplicates among the rows of a window and fence: values of these columns that several rows have. The column `piko_n` contains the
   * number of these rows.
   */
  async repeated(
    table: FencedTable,
    start: Date,
    fence: number,
    columns: readonly string[],
    limit: number,
  ): Promise<SqlRow[]> {
    const list = this.#list(columns)
    const end = ` GROUP BY ${list} HAVING COUNT(*) > 1 ORDER BY ${list} LIMIT ${limit}`
    return this.#rowsOf(table, start, fence, `SELECT ${list}, COUNT(*) AS piko_n`, end)
  }

  #rowsOf(table: FencedTable, start: Date, fence: number, select: string, end: string): Promise<SqlRow[]> {
    const { window, fence: fenceColumn, name } = this.#names(table)
    const params: readonly SqlValue[] = [start, fence]
    return this.#database.sql.query(`${select} FROM ${name} WHERE ${window} = ? AND ${fenceColumn} = ?${end}`, params)
  }

  #list(columns: readonly string[]): string {
    return columns.map((column) => quoted(this.#database.dialect.name, column)).join(', ')
  }

  #names({ name, windowColumn, fenceColumn }: FencedTable) {
    const { name: dialect } = this.#database.dialect
    return {
      window: quoted(dialect, windowColumn),
      fence: quoted(dialect, fenceColumn),
      name: quotedTable(dialect, name),
    }
  }
}

const IS_SUSPECT = sql<SqlBool>`(
  (w.state IN ('succeeded', 'stale') AND (
    w.run_id IS NULL OR w.fence IS NULL
    OR w.fence <= w.run_id * ${sql.lit(FENCE_FACTOR)} OR w.fence >= (w.run_id + 1) * ${sql.lit(FENCE_FACTOR)}
    OR (r.id IS NOT NULL AND (r.state <> 'succeeded' OR w.fence <> r.id * ${sql.lit(FENCE_FACTOR)} + r.claims))
  ))
  OR (w.state IN ('pending', 'failed', 'cancelled', 'skipped') AND r.state = 'succeeded')
  OR (r.id IS NOT NULL AND (
    r.job_id <> w.job_id OR r.window_start IS NULL OR r.window_start <> w.start_at OR r.window_end <> w.end_at
  ))
)`

function numbersOf(rows: number | null, checksum: number | null): Pick<RecordedRows, 'rows' | 'checksum'> {
  return {
    rows: rows === null ? undefined : Number(rows),
    checksum: checksum === null ? undefined : Number(checksum),
  }
}

interface WindowRow {
  readonly id: number
  readonly start_at: Date | string
  readonly end_at: Date | string
  readonly state: WindowState
  readonly run_id: number | null
  readonly fence: number | null
  readonly ran: number | null
}

function windowOf({ id, start_at, end_at, state, run_id, fence, ran }: WindowRow): ProofWindow {
  return {
    ...{ id, state, hasRun: ran !== null },
    start: storedInstant(start_at),
    end: storedInstant(end_at),
    runId: run_id ?? undefined,
    fence: fence === null ? undefined : Number(fence),
  }
}
