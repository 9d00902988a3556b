import { createHash } from 'node:crypto'
import { type Selectable, sql } from 'kysely'
import type { Database } from '../connection/database.ts'
import type { SpillTable } from '../tables.ts'
import { exactKey, keyOf } from '../values/exact-key.ts'
import { mapSound } from '../values/map-sound.ts'

/** How many rows of a run a host stored on its disk while their target was down. */
export interface SpilledRows {
  readonly runId: number
  readonly jobId: string
  readonly sink: string
  readonly host: string
  readonly rows: number
  /** How many of the stored rows the target has received. */
  readonly sent: number
  readonly bytes: number
  readonly spilledAt: Date
}

/** What to add to the counts of a run, sink and host. */
export interface SpillChange {
  readonly runId: number
  readonly jobId: string
  readonly sink: string
  readonly host: string
  readonly spilled: number
  readonly sent: number
  readonly bytes: number
}

const MAX_ROWS = 200
const MAX_LISTED = 1_000
const MAX_DELETED = 200
const COLUMNS = [
  'run_id',
  'sink',
  'host',
  'job_id',
  'spilled_rows',
  'sent_rows',
  'spilled_bytes',
  'spilled_at',
  'changed_at',
]

/** Stores how many rows of each run the hosts have put on disk. */
export class SpillStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async add(changes: readonly SpillChange[]): Promise<void> {
    const { db, dialect, retry } = this.#database
    const isMysql = dialect.name === 'mysql'
    const added = (column: string) =>
      isMysql
        ? sql`${sql.ref(column)} = ${sql.ref(column)} + VALUES(${sql.ref(column)})`
        : sql`${sql.ref(column)} = piko_spill.${sql.ref(column)} + excluded.${sql.ref(column)}`
    const set = sql.join([
      ...['spilled_rows', 'sent_rows', 'spilled_bytes'].map(added),
      isMysql ? sql`changed_at = VALUES(changed_at)` : sql`changed_at = excluded.changed_at`,
    ])
    const onKey = isMysql
      ? sql` ON DUPLICATE KEY UPDATE ${set}`
      : sql` ON CONFLICT (run_id, sink, host) DO UPDATE SET ${set}`
    for (let from = 0; from < changes.length; from += MAX_ROWS) {
      const rows = changes.slice(from, from + MAX_ROWS).map((change) => {
        const key = [change.runId, exactKey(change.sink), exactKey(change.host.slice(0, 120)), change.jobId]
        return sql`(${sql.join([...key, change.spilled, change.sent, change.bytes, dialect.now(), dialect.now()])})`
      })
      const names = sql.join(COLUMNS.map((column) => sql.ref(column)))
      await retry(() => sql`INSERT INTO piko_spill (${names}) VALUES ${sql.join(rows)}${onKey}`.execute(db))
    }
  }

  async ofRun(runId: number): Promise<SpilledRows[]> {
    return this.#map(await this.#all().where('run_id', '=', runId).execute())
  }

  /**
   * Returns the counts of runs whose target has not received all rows yet. Counts that have not changed for the longest time come first.
   */
  async waiting(): Promise<SpilledRows[]> {
    const rows = await this.#all()
      .whereRef('sent_rows', '<', 'spilled_rows')
      .orderBy('changed_at')
      .limit(MAX_LISTED)
      .execute()
    return this.#map(rows)
  }

  /**
   * Deletes some of the counts that no host has updated for this long.
   *
   * @returns whether there may be more of them
   */
  async prune(olderThanMs: number): Promise<boolean> {
    const { db, dialect, retry } = this.#database
    const limit = dialect.nowPlus(-olderThanMs)
    const found = await db
      .selectFrom('piko_spill')
      .select(['run_id', 'sink', 'host'])
      .where((eb) => eb('changed_at', '<=', limit))
      .orderBy('changed_at')
      .limit(MAX_DELETED)
      .execute()
    for (const { run_id, sink, host } of found) {
      await retry(() =>
        db
          .deleteFrom('piko_spill')
          .where('run_id', '=', run_id)
          .where('sink', '=', sink)
          .where('host', '=', host)
          .where((eb) => eb('changed_at', '<=', limit))
          .execute(),
      )
    }
    return found.length === MAX_DELETED
  }

  /**
   * Returns an identity of this database, made of its name (on SQLite, the path of its file) and the time of its first migration. On MySQL,
   * every host gets the same result.
   */
  async identity(): Promise<string> {
    const { db, dialect, files, location } = this.#database
    const made = await sql<{ made: unknown; name: unknown }>`
      SELECT applied_at AS made, ${dialect.name === 'mysql' ? sql`DATABASE()` : sql`''`} AS name
      FROM piko_migration WHERE version = 1`.execute(db)
    const [row] = made.rows
    const place = dialect.name === 'mysql' ? String(row?.name).toLowerCase() : (files[0]?.path ?? location)
    return createHash('sha256')
      .update(JSON.stringify([place, row?.made]))
      .digest('hex')
      .slice(0, 12)
  }

  #all() {
    return this.#database.db.selectFrom('piko_spill').selectAll()
  }

  #map(rows: readonly Selectable<SpillTable>[]): Promise<SpilledRows[]> {
    const { dialect, broken } = this.#database
    const mapped = (row: Selectable<SpillTable>): SpilledRows => ({
      runId: row.run_id,
      jobId: row.job_id,
      sink: keyOf(row.sink),
      host: keyOf(row.host),
      rows: row.spilled_rows,
      sent: row.sent_rows,
      bytes: row.spilled_bytes,
      spilledAt: dialect.date(row.spilled_at),
    })
    return mapSound(dialect, 'piko_spill', rows, mapped, broken.report)
  }
}
