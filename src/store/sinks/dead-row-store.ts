import { createHash } from 'node:crypto'
import { type Selectable, sql } from 'kysely'
import type { Aside } from '../../sink/delivery/sift.ts'
import type { RowsSource } from '../../sink/delivery/dead-row.ts'
import { type RowText, rowText } from '../../sink/delivery/row-text.ts'
import { batchesOf, sentBytes } from '../../sql/statement-size.ts'
import type { Window } from '../../time/window.ts'
import type { Database } from '../connection/database.ts'
import { optionalDate } from '../runs/run-row.ts'
import { deleteOld } from '../statements/delete-old.ts'
import { inPages } from '../statements/pages.ts'
import type { DeadRowTable } from '../tables.ts'
import { exactId, exactKey, keyOf } from '../values/exact-key.ts'
import { mapSound } from '../values/map-sound.ts'

/** A row that the target of a sink refused. */
export interface DeadRow {
  readonly id: number
  readonly sink: string
  /** The name of the row's model. Batch keys use the same name. */
  readonly route: string
  readonly jobId: string
  readonly runId: number
  readonly attempt: number
  readonly fence: number
  readonly window: Window | undefined
  readonly batchKey: string
  /** The position of the row in its batch. */
  readonly place: number
  readonly reason: string
  /** The row as JSON; its beginning if the JSON is larger than 256,000 bytes; the reason if the row can't be converted. */
  readonly content: string
  readonly isWhole: boolean
  readonly diedAt: Date
}

export interface DeadRowFilter {
  readonly sink?: string | undefined
  readonly jobId?: string | undefined
  readonly runId?: number | undefined
  readonly ids?: readonly number[] | undefined
}

/** How many dead rows a sink has. */
export interface DeadCount {
  readonly sink: string
  readonly rows: number
  readonly oldest: Date | undefined
}

const MAX_ROWS = 200
/** The size of a row's numbers and timestamps, in bytes. */
const ROW_BYTES = 400
const MAX_REASON = 1_000
const MAX_DELETED = 1_000

/** Stores rows that targets of sinks refused. */
export class DeadRowStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Stores rows. The row of a later attempt replaces the row of an earlier one, never the other way round. */
  async add({ sink, route, batch }: RowsSource, asides: readonly Aside[]): Promise<void> {
    const { dialect } = this.#database
    const texts = asides.map((aside) => ({ aside, content: rowText(aside.row) }))
    const bytesOf = ({ content }: { content: RowText }): number => ROW_BYTES + MAX_REASON + sentBytes(content.text)
    for (const some of batchesOf(texts, bytesOf, { maxRows: MAX_ROWS, maxBytes: dialect.sizes.batch })) {
      const rows = some.map(({ aside, content }) => ({
        row_key: createHash('sha256')
          .update(JSON.stringify([sink, batch.key, aside.place]))
          .digest('hex'),
        sink: exactKey(sink),
        route: exactKey(route).slice(0, 128),
        job_id: batch.jobId,
        run_id: batch.runId,
        attempt: batch.attempt,
        fence: batch.fence,
        window_start: batch.window ? dialect.instant(batch.window.start) : null,
        window_end: batch.window ? dialect.instant(batch.window.end) : null,
        batch_key: exactKey(batch.key).slice(0, 512),
        place: aside.place,
        reason: aside.reason.slice(0, MAX_REASON).toWellFormed(),
        is_whole: content.isWhole ? 1 : 0,
        content: content.text,
        died_at: dialect.now(),
      }))
      await this.#upsert(rows)
    }
  }

  async #upsert(rows: readonly Record<string, unknown>[]): Promise<void> {
    const { db, dialect, retry } = this.#database
    const columns = Object.keys(rows[0] ?? {})
    const others = columns.filter((column) => column !== 'row_key' && column !== 'fence')
    const isMysql = dialect.name === 'mysql'
    const newer = (column: string) =>
      isMysql
        ? sql`${sql.ref(column)} = IF(VALUES(fence) >= fence, VALUES(${sql.ref(column)}), ${sql.ref(column)})`
        : sql`${sql.ref(column)} = excluded.${sql.ref(column)}`
    // MySQL assigns columns from left to right. The other assignments compare the fence, so the fence must be assigned last.
    const set = sql.join([...others, 'fence'].map(newer))
    const onKey = isMysql
      ? sql` ON DUPLICATE KEY UPDATE ${set}`
      : sql` ON CONFLICT (row_key) DO UPDATE SET ${set} WHERE excluded.fence >= piko_dead_row.fence`
    const values = sql.join(rows.map((row) => sql`(${sql.join(columns.map((column) => row[column]))})`))
    const names = sql.join(columns.map((column) => sql.ref(column)))
    await retry(() => sql`INSERT INTO piko_dead_row (${names}) VALUES ${values}${onKey}`.execute(db))
  }

  /** Lists rows with ids greater than `after`, in the order of their ids. */
  async list(filter: DeadRowFilter, limit: number, after = 0): Promise<DeadRow[]> {
    const { dialect, broken } = this.#database
    const rows = await inPages<Selectable<DeadRowTable>>(
      limit,
      (size, last) =>
        this.#matching(filter)
          .selectAll()
          .where('id', '>', last?.id ?? after)
          .orderBy('id')
          .limit(size)
          .execute(),
      MAX_ROWS,
    )
    return mapSound(dialect, 'piko_dead_row', rows, (row) => this.#rowOf(row), broken.report)
  }

  /** Deletes the rows that match. @returns the number of deleted rows */
  async drop(filter: DeadRowFilter): Promise<number> {
    const { db, retry } = this.#database
    for (let count = 0; ;) {
      const found = await this.#matching(filter).select('id').orderBy('id').limit(MAX_DELETED).execute()
      if (found.length === 0) return count
      const ids = found.map(({ id }) => id)
      const { numDeletedRows } = await retry(() =>
        db.deleteFrom('piko_dead_row').where('id', 'in', ids).executeTakeFirstOrThrow(),
      )
      count += Number(numDeletedRows)
    }
  }

  /** Stores the reason why a row was refused again. */
  async setReason(id: number, reason: string): Promise<void> {
    const { db, retry } = this.#database
    const text = reason.slice(0, MAX_REASON).toWellFormed()
    await retry(() => db.updateTable('piko_dead_row').set({ reason: text }).where('id', '=', id).execute())
  }

  /** Deletes some of the rows that were refused at least this long ago. @returns whether there may be more */
  prune(olderThanMs: number): Promise<boolean> {
    return deleteOld(
      this.#database,
      { table: 'piko_dead_row', key: 'id', since: 'died_at', atOnce: MAX_DELETED },
      olderThanMs,
    )
  }

  async count(filter: DeadRowFilter): Promise<number> {
    const { count } = await this.#matching(filter)
      .select((eb) => eb.fn.countAll<number>().as('count'))
      .executeTakeFirstOrThrow()
    return Number(count)
  }

  async counts(): Promise<DeadCount[]> {
    const { db, dialect } = this.#database
    const rows = await db
      .selectFrom('piko_dead_row')
      .select((eb) => ['sink', eb.fn.countAll<number>().as('count'), eb.fn.min('died_at').as('oldest')])
      .groupBy('sink')
      .orderBy('sink')
      .execute()
    return rows.map(({ sink, count, oldest }) => ({
      sink: keyOf(sink),
      rows: Number(count),
      oldest: optionalDate(oldest, dialect),
    }))
  }

  #matching({ sink, jobId, runId, ids }: DeadRowFilter) {
    return this.#database.db
      .selectFrom('piko_dead_row')
      .$if(sink !== undefined, (query) => query.where('sink', '=', exactKey(sink ?? '')))
      .$if(jobId !== undefined, (query) => query.where('job_id', '=', exactId(jobId ?? '')))
      .$if(runId !== undefined, (query) => query.where('run_id', '=', runId ?? 0))
      .$if(ids !== undefined, (query) => query.where('id', 'in', [0, ...(ids ?? [])]))
  }

  #rowOf(row: Selectable<DeadRowTable>): DeadRow {
    const { dialect } = this.#database
    const start = optionalDate(row.window_start, dialect)
    const end = optionalDate(row.window_end, dialect)
    return {
      id: row.id,
      sink: keyOf(row.sink),
      route: keyOf(row.route),
      jobId: row.job_id,
      runId: row.run_id,
      attempt: row.attempt,
      fence: row.fence,
      window: start && end ? { start, end } : undefined,
      batchKey: keyOf(row.batch_key),
      place: row.place,
      reason: row.reason,
      content: row.content,
      isWhole: row.is_whole === 1,
      diedAt: dialect.date(row.died_at),
    }
  }
}
