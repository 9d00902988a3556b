import { type Kysely, sql } from 'kysely'
import { FIRST_INSTANT_MS } from '../../time/instant.ts'
import type { Dialect } from '../connection/dialect.ts'
import type { Tables } from '../tables.ts'

export type Direction = 'up' | 'down'

/** A row of `piko_migration`. */
export interface MigrationRecord {
  readonly version: number
  readonly name: string
  /** The direction of the migration's last run. */
  readonly direction: Direction
  /** The number of statements that were executed in this direction. */
  readonly stepsDone: number
  /** Whether the next statement was started but its result is unknown: it may or may not have executed. */
  readonly isStepOpen: boolean
  /** When the migration was applied; undefined while it moves up or down. */
  readonly appliedAt: Date | undefined
}

interface Row {
  version: number
  name: string
  direction: Direction
  steps_done: number
  is_step_open: number
  applied_at: Date | string | null
}

/**
 * Reads and writes `piko_migration`, which records the progress of each migration. An applied migration has `applied_at`; a removed one has
 * no row.
 */
export class MigrationLog {
  readonly #dialect: Dialect

  constructor(dialect: Dialect) {
    this.#dialect = dialect
  }

  /** Reads the records, in the order of their versions. Returns none if the table does not exist yet. */
  async read(db: Kysely<Tables>): Promise<MigrationRecord[]> {
    if (!(await this.#exists(db))) return []
    const { rows } = await sql<Row>`
      SELECT version, name, direction, steps_done, is_step_open, applied_at FROM piko_migration ORDER BY version
    `.execute(db)
    return rows.map((row) => ({
      version: row.version,
      name: row.name,
      direction: row.direction,
      stepsDone: row.steps_done,
      isStepOpen: row.is_step_open !== 0,
      appliedAt: row.applied_at === null ? undefined : this.#appliedAt(row.applied_at),
    }))
  }

  /** Accepts a timestamp that a person has made unreadable, because any value shows that the migration was applied. */
  #appliedAt(value: Date | string): Date {
    try {
      return this.#dialect.date(value)
    } catch {
      return new Date(FIRST_INSTANT_MS)
    }
  }

  async create(db: Kysely<Tables>): Promise<void> {
    const isMysql = this.#dialect.name === 'mysql'
    await sql`
      CREATE TABLE IF NOT EXISTS piko_migration (
        version INTEGER NOT NULL PRIMARY KEY,
        name VARCHAR(200) NOT NULL,
        direction VARCHAR(4) NOT NULL,
        steps_done INTEGER NOT NULL,
        is_step_open SMALLINT NOT NULL,
        applied_at ${sql.raw(isMysql ? 'DATETIME(3)' : 'TEXT')} NULL
      ) ${sql.raw(isMysql ? 'ENGINE=InnoDB DEFAULT CHARSET=utf8mb4' : '')}
    `.execute(db)
  }

  async begin(db: Kysely<Tables>, version: number, name: string, direction: Direction): Promise<void> {
    await this.remove(db, version)
    await sql`
      INSERT INTO piko_migration (version, name, direction, steps_done, is_step_open, applied_at)
      VALUES (${version}, ${name}, ${direction}, 0, 0, NULL)
    `.execute(db)
  }

  async openStep(db: Kysely<Tables>, version: number): Promise<void> {
    await sql`UPDATE piko_migration SET is_step_open = 1 WHERE version = ${version}`.execute(db)
  }

  async closeStep(db: Kysely<Tables>, version: number, stepsDone: number): Promise<void> {
    await sql`
      UPDATE piko_migration SET steps_done = ${stepsDone}, is_step_open = 0 WHERE version = ${version}
    `.execute(db)
  }

  async finish(db: Kysely<Tables>, version: number, direction: Direction): Promise<void> {
    if (direction === 'down') return this.remove(db, version)
    await sql`UPDATE piko_migration SET applied_at = ${this.#dialect.now()} WHERE version = ${version}`.execute(db)
  }

  async remove(db: Kysely<Tables>, version: number): Promise<void> {
    await sql`DELETE FROM piko_migration WHERE version = ${version}`.execute(db)
  }

  async #exists(db: Kysely<Tables>): Promise<boolean> {
    const query =
      this.#dialect.name === 'mysql'
        ? sql`SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'piko_migration'`
        : sql`SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'piko_migration'`
    return (await query.execute(db)).rows.length > 0
  }
}
