import { type RawBuilder, type Selectable, sql } from 'kysely'
import type { StoredProgress } from '../../run/progress.ts'
import { batchesOf, sentBytes } from '../../sql/statement-size.ts'
import type { Database } from '../connection/database.ts'
import { claimsIn } from '../runs/fence.ts'
import { chunksOf } from '../statements/chunks.ts'
import { halved } from '../statements/halved.ts'
import { mapSound } from '../values/map-sound.ts'
import type { RunProgressTable } from '../tables.ts'

export type NewProgress = Omit<StoredProgress, 'updatedAt' | 'ageMs'>

/** The maximum number of rows in one statement: SQLite accepts 500 terms of a UNION. */
const MAX_ROWS = 250
/** The size of a row without its message, in bytes. */
const ROW_BYTES = 300
/** The maximum number of runs in one read. */
const MAX_IDS = 1_000

const REPLACED = ['attempt', 'done', 'total', 'message', 'rate', 'updated_at'] as const

/** The last report of each run that has reported its progress. */
export class ProgressStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /**
   * Stores the reports of many runs, up to 250 in one statement. Skips the reports of runs that were deleted or claimed again. An ended run
   * keeps its claim, so its last report is stored too.
   *
   * Reads the rows of the runs without a lock, so claims and ending runs do not wait. A report of an earlier claim never replaces one of a
   * later claim.
   *
   * @param onRefused receives each report that the database refuses; the others are stored
   */
  async save(
    reports: readonly NewProgress[],
    onRefused: (report: NewProgress, refusal: unknown) => void,
  ): Promise<void> {
    const { sizes } = this.#database.dialect
    const inOrder = reports.toSorted((one, other) => one.runId - other.runId)
    for (const batch of batchesOf(inOrder, bytesOf, { maxRows: MAX_ROWS, maxBytes: sizes.batch }))
      await halved(batch, (some) => this.#insert(some), onRefused)
  }

  async #insert(reports: readonly NewProgress[]): Promise<void> {
    const { db, dialect, retry } = this.#database
    const isMysql = dialect.name === 'mysql'
    const rows = sql.join(reports.map(rowOf), sql` UNION ALL `)
    const join = isMysql ? sql`STRAIGHT_JOIN` : sql`CROSS JOIN`
    const statement = sql`
      INSERT INTO piko_run_progress (run_id, fence, attempt, done, total, message, rate, updated_at)
      SELECT run.id, report.fence, report.attempt, report.done, report.total, report.message, report.rate, ${dialect.now()}
      FROM (${rows}) AS report ${join} piko_run AS run ON run.id = report.run_id AND run.claims = report.claims
      ${isMysql ? sql`` : sql`WHERE true`} ${isMysql ? replacingOnMysql() : replacingOnSqlite()}`
    await retry(() => statement.execute(db))
  }

  /** Returns the stored reports of these runs, by run. */
  async of(runIds: readonly number[]): Promise<ReadonlyMap<number, StoredProgress>> {
    const { db, dialect, broken } = this.#database
    const found = new Map<number, StoredProgress>()
    for (const ids of chunksOf(runIds, MAX_IDS)) {
      const rows = await db
        .selectFrom('piko_run_progress')
        .selectAll()
        .select(dialect.now().as('read_at'))
        .where('run_id', 'in', ids)
        .execute()
      const progressOf = (row: Selectable<RunProgressTable> & { read_at: Date | string }): StoredProgress => {
        const updatedAt = dialect.date(row.updated_at)
        return {
          ...{ runId: row.run_id, fence: row.fence, attempt: row.attempt, done: row.done, updatedAt },
          total: row.total ?? undefined,
          message: row.message ?? undefined,
          rate: row.rate ?? undefined,
          ageMs: Math.max(0, dialect.date(row.read_at).getTime() - updatedAt.getTime()),
        }
      }
      const read = await mapSound(dialect, 'piko_run_progress', rows, progressOf, broken.report)
      for (const progress of read) found.set(progress.runId, progress)
    }
    return found
  }
}

function rowOf({ runId, fence, attempt, done, total, message, rate }: NewProgress): RawBuilder<unknown> {
  return sql`SELECT ${sql.lit(runId)} AS run_id, ${sql.lit(claimsIn({ runId, fence }))} AS claims, ${sql.lit(fence)} AS fence,
    ${sql.lit(attempt)} AS attempt, ${done} AS done, ${total ?? null} AS total, ${message ?? null} AS message, ${rate ?? null} AS rate`
}

/**
 * Returns the assignments that replace a row. MySQL assigns columns from left to right. All assignments depend on the fence, so the fence
 * is assigned last.
 */
function replacingOnMysql(): RawBuilder<unknown> {
  const set = REPLACED.map((name) => {
    const own = sql.ref(`piko_run_progress.${name}`)
    return sql`${own} = IF(VALUES(fence) >= piko_run_progress.fence, VALUES(${sql.ref(name)}), ${own})`
  })
  return sql`ON DUPLICATE KEY UPDATE ${sql.join(set)}, piko_run_progress.fence = GREATEST(VALUES(fence), piko_run_progress.fence)`
}

function replacingOnSqlite(): RawBuilder<unknown> {
  const set = ['fence', ...REPLACED].map((name) => sql`${sql.ref(name)} = excluded.${sql.ref(name)}`)
  return sql`ON CONFLICT (run_id) DO UPDATE SET ${sql.join(set)} WHERE excluded.fence >= piko_run_progress.fence`
}

function bytesOf({ message }: NewProgress): number {
  return ROW_BYTES + sentBytes(message)
}
