import { batchesOf, sentBytes } from '../../sql/statement-size.ts'
import type { Selectable } from 'kysely'
import { RUN_LOG_LEVELS, type RunLogLevel, type RunLogLine } from '../../run/run-log.ts'
import { mapSound } from '../values/map-sound.ts'
import type { Database } from '../connection/database.ts'
import { halved } from '../statements/halved.ts'
import { fromJson } from '../../json/json.ts'
import { inPages } from '../statements/pages.ts'
import type { RunLogTable } from '../tables.ts'

export type NewRunLogLine = Omit<RunLogLine, 'id' | 'fields'> & { readonly fields: string | null }

export interface RunLogFilter {
  readonly attempt?: number
  /** Selects only lines of this level or a higher one. */
  readonly level?: RunLogLevel
  /** Selects only lines with larger ids, which are newer. */
  readonly after?: number
  /** The maximum number of lines, oldest first. Default 1,000. */
  readonly limit?: number
}

const MAX_ROWS = 500
/** The size of one row's numbers, instant and level, in bytes. */
const ROW_BYTES = 150

/** The log lines of handlers, stored with their runs. */
export class RunLogStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /**
   * Stores as many of the first lines as fit into one statement.
   *
   * @param onRefused receives each line that the database refuses; the other lines are stored
   * @returns how many lines were handled, including refused ones
   */
  async add(
    lines: readonly NewRunLogLine[],
    onRefused: (line: NewRunLogLine, refusal: unknown) => void,
  ): Promise<number> {
    const { dialect } = this.#database
    const limits = { maxRows: MAX_ROWS, maxBytes: dialect.sizes.batch }
    const [batch = []] = batchesOf(lines.slice(0, MAX_ROWS), bytesOf, limits)
    if (batch.length > 0) await halved(batch, (some) => this.#insert(some), onRefused)
    return batch.length
  }

  async #insert(lines: readonly NewRunLogLine[]): Promise<void> {
    const { db, dialect } = this.#database
    const rows = lines.map((line) => ({
      run_id: line.runId,
      fence: line.fence,
      attempt: line.attempt,
      logged_at: dialect.instant(line.at),
      level: line.level,
      message: line.message,
      fields: line.fields,
    }))
    await this.#database.retry(() => db.insertInto('piko_run_log').values(rows).execute())
  }

  /** Lists log lines of a run, oldest first. Uses the index (run_id, id). */
  async list(runId: number, { attempt, level, after = 0, limit = 1_000 }: RunLogFilter = {}): Promise<RunLogLine[]> {
    const { db, dialect } = this.#database
    let query = db.selectFrom('piko_run_log').selectAll().where('run_id', '=', runId).orderBy('id')
    if (attempt !== undefined) query = query.where('attempt', '=', attempt)
    if (level !== undefined) query = query.where('level', 'in', RUN_LOG_LEVELS.slice(RUN_LOG_LEVELS.indexOf(level)))
    const rows = await inPages<Selectable<RunLogTable>>(limit, (size, last) =>
      query
        .where('id', '>', last?.id ?? after)
        .limit(size)
        .execute(),
    )
    const lineOf = (row: Selectable<RunLogTable>): RunLogLine => ({
      id: row.id,
      runId: row.run_id,
      fence: row.fence,
      attempt: row.attempt,
      at: dialect.date(row.logged_at),
      level: row.level,
      message: row.message,
      fields: fromJson(row.fields) as Record<string, unknown> | undefined,
    })
    return mapSound(dialect, 'piko_run_log', rows, lineOf, this.#database.broken.report)
  }
}

function bytesOf({ message, fields }: NewRunLogLine): number {
  return ROW_BYTES + sentBytes(message) + sentBytes(fields)
}
