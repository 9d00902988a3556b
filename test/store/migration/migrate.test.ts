import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { sql } from 'kysely'
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import type { SqlRow } from '../../../src/sql/sql.ts'
import { type Database, openDatabase, type OpenOptions } from '../../../src/store/connection/database.ts'
import { assertSchema, migrate, type MigrateOptions, migrationStatus } from '../../../src/store/migration/migrate.ts'
import { migrationFolder, readMigrations, splitStatements } from '../../../src/store/migration/migration-files.ts'
import { LockLost, MigrationLock } from '../../../src/store/migration/migration-lock.ts'
import { storeOn } from '../../../src/store/store.ts'
import { createMysqlDatabase, createSqliteFile } from '../../support/databases.ts'
import { SOURCE_FLAGS } from '../../support/source-process.ts'

const CHILD = fileURLToPath(new URL('../../support/migrate-child.ts', import.meta.url))

/** A process that waits for `go` before it migrates. */
class MigratingProcess {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  readonly #output: AsyncIterator<string>

  constructor(open: OpenOptions, options: MigrateOptions) {
    this.#child = spawn(process.execPath, [...SOURCE_FLAGS, CHILD, JSON.stringify([open, options])], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.#output = createInterface(this.#child.stdout)[Symbol.asyncIterator]()
    onTestFinished(() => void this.#child.kill('SIGKILL'))
  }

  async ready(): Promise<void> {
    expect((await this.#output.next()).value).toBe('ready')
  }

  go(): void {
    this.#child.stdin.write('go')
  }

  /** The migrations that the process reports as applied. */
  async applied(): Promise<string[]> {
    return JSON.parse((await this.#output.next()).value as string) as string[]
  }

  async kill(): Promise<void> {
    const exited = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exited
  }
}

/** A folder of migrations: `{ '0001_a.up': 'CREATE …;', '0001_a.down': 'DROP …;' }`. */
function migrations(files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), 'piko-migrations-'))
  onTestFinished(() => {
    rmSync(folder, { recursive: true })
  })
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, `${name}.sql`), text)
  return folder
}

const three = (): string =>
  migrations({
    '0001_first.up': 'CREATE TABLE first (id INTEGER PRIMARY KEY);\nINSERT INTO first VALUES (1);',
    '0001_first.down': 'DROP TABLE first;',
    '0002_second.up': 'CREATE TABLE second (id INTEGER PRIMARY KEY);',
    '0002_second.down': 'DROP TABLE second;',
    '0003_third.up': 'CREATE TABLE third (id INTEGER PRIMARY KEY);',
    '0003_third.down': 'DROP TABLE third;',
  })

/** An instant for each run. */
const STARTS = {
  mysql: `SELECT TIMESTAMP('2026-01-01') + INTERVAL MAX(id) DAY AS id FROM piko_run`,
  sqlite: `SELECT date('2026-01-01', MAX(id) || ' days') AS id FROM piko_run`,
}

/** An instant in January 2026, in the form of each database. */
const day = (number: number): string => `2026-01-0${number} 00:00:00`

let options: OpenOptions
let remove: () => void | Promise<void>
let database: Database

async function tables(): Promise<string[]> {
  const found = await database.db.introspection.getTables()
  return found.map(({ name }) => name).filter((name) => !name.startsWith('piko_migration'))
}

describe.each(['sqlite', 'mysql'] as const)('on %s', (name) => {
  beforeEach(async () => {
    if (name === 'mysql') {
      const { options: mysql, drop } = await createMysqlDatabase()
      options = { mysql }
      remove = drop
    } else {
      const file = createSqliteFile()
      options = { sqlitePath: file.path }
      remove = file.remove
    }
    database = await openDatabase(options)
  })
  afterEach(async () => {
    await database.close()
    await remove()
  })

  it('migrates an empty database up, and finds nothing to do the second time', async () => {
    await expect(assertSchema(database)).rejects.toMatchObject({
      code: 'SCHEMA_OLDER',
      message: expect.stringContaining('run: piko migrate up') as string,
    })
    const { applied } = await migrate(database, { direction: 'up' })
    expect(applied).toContain('0001_jobs_and_runs')
    await assertSchema(database)
    expect(await migrate(database, { direction: 'up' })).toEqual({ applied: [] })
    const status = await migrationStatus(database)
    expect(status.current).toBe(status.latest)
    for (const migration of status.migrations) {
      expect(migration.state).toBe('applied')
      expect(Math.abs(Number(migration.appliedAt) - Date.now())).toBeLessThan(60_000)
    }
  })

  it('migrates everything down and up again', async () => {
    await migrate(database, { direction: 'up' })
    const before = await database.db.introspection.getTables()
    await migrate(database, { direction: 'down', to: 0 })
    expect(await tables()).toEqual([])
    await migrate(database, { direction: 'up' })
    expect(await database.db.introspection.getTables()).toEqual(before)
  })

  it('keeps runs and windows in a rebuilt table, and never reuses an id', async () => {
    const insert = async (): Promise<void> => {
      await database.sql.exec(`INSERT INTO piko_run (job_id, state, kind, run_at, created_at)
        VALUES ('a', 'queued', 'manual', '2026-01-01 00:00:00', '2026-01-01 00:00:00')`)
      await database.sql.exec(`INSERT INTO piko_window (job_id, start_at, end_at, state, updated_at)
        SELECT 'a', id, id, 'pending', '2026-01-01 00:00:00' FROM (${STARTS[name]}) AS latest`)
    }
    const TABLES = ['piko_run', 'piko_window']
    const idsOf = async (table: string): Promise<number[]> =>
      (await database.sql.query<{ id: number }>(`SELECT id FROM ${table} ORDER BY id`)).map(({ id }) => Number(id))
    // Each member of a cluster has its own step and offset.
    const step = name === 'mysql' ? await stepOf(database) : 1
    const places = async (): Promise<unknown[]> =>
      Promise.all(
        TABLES.map(async (table) => {
          const ids = await idsOf(table)
          return ids.map((id) => 1 + (id - ids[0]!) / step).join()
        }),
      )
    await migrate(database, { direction: 'up', to: 12 })
    for (let made = 0; made < 3; made++) await insert()
    for (const table of TABLES) await database.sql.exec(`DELETE FROM ${table} WHERE id = ?`, [(await idsOf(table))[2]!])
    await migrate(database, { direction: 'up', to: 13 })
    await insert()
    expect(await places()).toEqual(['1,2,4', '1,2,4'])
    await migrate(database, { direction: 'down', to: 12 })
    await insert()
    expect(await places()).toEqual(['1,2,4,5', '1,2,4,5'])
  })

  it('keeps every column of a rebuilt table', async () => {
    const filled: Record<string, Record<string, string | number>> = {
      piko_run: {
        ...{
          id: 1,
          job_id: 'a',
          state: 'failed',
          kind: 'backfill',
          priority: 2,
          attempt: 3,
          claims: 4,
          backfill_id: 5,
        },
        ...{ node_id: 'n', config: 'c', input: 'i', output: 'o', error: 'e', reason: 'r' },
        ...{ concurrency_key: 'by', rate_key: 'per', run_at: day(1), tick: day(2), window_start: day(3) },
        ...{
          window_end: day(4),
          created_at: day(5),
          started_at: day(6),
          finished_at: day(7),
          cancel_requested_at: day(8),
        },
      },
      piko_window: {
        ...{
          id: 1,
          job_id: 'a',
          state: 'waiting',
          run_id: 2,
          fence: 3,
          backfill_id: 4,
          wait_job: 'b',
          changed_to: 'stale',
        },
        ...{ start_at: day(1), end_at: day(2), updated_at: day(3), wait_at: day(4) },
      },
    }
    const rows = (): Promise<SqlRow[][]> =>
      Promise.all(Object.keys(filled).map((table) => database.sql.query<SqlRow>(`SELECT * FROM ${table}`)))
    await migrate(database, { direction: 'up', to: 12 })
    for (const [table, row] of Object.entries(filled)) {
      const values = Object.values(row).map((value) => (typeof value === 'number' ? value : `'${value}'`))
      await database.sql.exec(`INSERT INTO ${table} (${Object.keys(row).join(', ')}) VALUES (${values.join(', ')})`)
    }
    const before = await rows()
    expect(before.flat().flatMap((row): unknown[] => Object.values(row))).not.toContain(null)
    await migrate(database, { direction: 'up', to: 13 })
    expect(await rows()).toEqual(before)
    await migrate(database, { direction: 'down', to: 12 })
    expect(await rows()).toEqual(before)
  })

  it('still finds idempotency keys that an earlier version stored with a blank at the end', async () => {
    await migrate(database, { direction: 'up', to: 13 })
    const keys = ['b', 'a ', 'c  ', ' ', `${'x'.repeat(254)} `]
    for (const [index, key] of keys.entries()) {
      const at = '2026-01-01 00:00:00'
      await database.sql.exec(
        `INSERT INTO piko_run (id, job_id, state, kind, run_at, created_at) VALUES (?, 'a', 'queued', 'manual', ?, ?)`,
        [index + 1, at, at],
      )
      await database.sql.exec(`INSERT INTO piko_idempotency VALUES ('a', ?, ?, ?)`, [key, index + 1, at])
    }
    const stored = () => database.sql.query('SELECT * FROM piko_idempotency ORDER BY run_id')
    const before = await stored()
    await migrate(database, { direction: 'up' })
    const { runs } = storeOn(database)
    const ask = (key: string) =>
      runs.enqueueUnique({
        jobId: 'a',
        kind: 'manual',
        priority: 0,
        unique: { key, states: ['queued'], periodMs: undefined },
      })
    for (const [index, key] of keys.slice(0, 4).entries()) expect(await ask(key)).toBe(index + 1)
    await migrate(database, { direction: 'down', to: 13 })
    expect(await stored()).toEqual(before)
    await migrate(database, { direction: 'up' })
    expect(await ask('a')).toBeGreaterThan(keys.length)
    expect(await ask('a ')).toBe(2)
  })

  it('gives runs defaults for columns that an insert omits, and refuses an unknown state', async () => {
    await migrate(database, { direction: 'up' })
    const insert = (columns: string, values: string): Promise<unknown> =>
      database.sql.exec(`INSERT INTO piko_run (job_id, run_at, created_at${columns})
        VALUES ('a', '2026-01-01 00:00:00', '2026-01-01 00:00:00'${values})`)
    await insert('', '')
    expect(await database.sql.query('SELECT state, kind, priority, attempt, claims, node_id FROM piko_run')).toEqual([
      { state: 'queued', kind: 'manual', priority: 0, attempt: 0, claims: 0, node_id: null },
    ])
    await expect(insert(', state', ", 'gone'")).rejects.toThrow()
    await expect(insert(', kind', ", 'gone'")).rejects.toThrow()
  })

  it('stops at the requested version; down without a version is one step', async () => {
    const folder = three()
    const go = async (direction: 'up' | 'down', to?: number): Promise<unknown[]> => {
      const { applied } = await migrate(database, { direction, to, folder })
      return [applied, (await migrationStatus(database, folder)).current]
    }
    expect(await go('up', 2)).toEqual([['0001_first', '0002_second'], 2])
    expect(await go('up')).toEqual([['0003_third'], 3])
    expect(await go('up', 1)).toEqual([[], 3])
    expect(await go('down')).toEqual([['0003_third'], 2])
    expect(await go('down', 0)).toEqual([['0002_second', '0001_first'], 0])
    expect(await go('down')).toEqual([[], 0])
  })

  it('refuses a version that does not exist', async () => {
    const folder = three()
    await migrate(database, { direction: 'up', folder })
    for (const direction of ['up', 'down'] as const) {
      await expect(migrate(database, { direction, to: 7, folder })).rejects.toMatchObject({
        code: 'USAGE',
        message: 'there is no migration 7; expected 0 (nothing) or one of 1, 2, 3',
      })
    }
    expect(await tables()).toHaveLength(3)
  })

  it('refuses the schema of a newer program and does not change it', async () => {
    await migrate(database, { direction: 'up', folder: three() })
    const older = migrations({ '0001_first.up': 'SELECT 1;', '0001_first.down': 'DROP TABLE first;' })
    const refusal = {
      code: 'SCHEMA_NEWER',
      message: expect.stringMatching(
        /version 3 \(0003_third\); this program knows versions up to 1; upgrade/,
      ) as string,
    }
    await expect(assertSchema(database, older)).rejects.toMatchObject(refusal)
    await expect(migrate(database, { direction: 'up', folder: older })).rejects.toMatchObject(refusal)
    await expect(migrate(database, { direction: 'down', to: 0, folder: older })).rejects.toMatchObject(refusal)
    expect(await tables()).toHaveLength(3)
    expect((await migrationStatus(database, older)).migrations.map(({ state }) => state)).toEqual([
      'applied',
      'unknown',
      'unknown',
    ])
  })

  it('names the statement that failed, and continues once the cause is removed', async () => {
    const folder = migrations({
      '0001_pair.up':
        'CREATE TABLE one (id INTEGER);\nCREATE TABLE taken (id INTEGER);\nCREATE TABLE two (id INTEGER);',
      '0001_pair.down': 'DROP TABLE one;\nDROP TABLE taken;\nDROP TABLE two;',
    })
    await database.sql.exec('CREATE TABLE taken (mine INTEGER)')
    // Runs twice: a table that existed before must not be mistaken for one of an interrupted migration.
    for (let attempt = 0; attempt < 2; attempt++) {
      await expect(migrate(database, { direction: 'up', folder })).rejects.toMatchObject({
        code: 'MIGRATION_FAILED',
        message: expect.stringMatching(/0001_pair up, statement 2 of 3 failed: .*taken.*CREATE TABLE taken/) as string,
      })
      await expect(assertSchema(database, folder)).rejects.toMatchObject({ code: 'SCHEMA_OLDER' })
    }
    // SQLite undoes the whole migration. MySQL keeps the first statement and records it.
    expect(await tables()).toEqual(name === 'sqlite' ? ['taken'] : ['one', 'taken'])
    await database.sql.exec('DROP TABLE taken')
    expect(await migrate(database, { direction: 'up', folder })).toEqual({ applied: ['0001_pair'] })
    expect(await tables()).toEqual(['one', 'taken', 'two'])
    await assertSchema(database, folder)
  })

  it('migrates once when ten processes do it at the same time', async () => {
    const folder = three()
    const processes = Array.from({ length: 10 }, () => new MigratingProcess(options, { direction: 'up', folder }))
    await Promise.all(processes.map((each) => each.ready()))
    for (const each of processes) each.go()
    const applied = await Promise.all(processes.map((each) => each.applied()))
    expect(applied.flat().sort()).toEqual(['0001_first', '0002_second', '0003_third'])
    expect(await database.sql.query('SELECT id FROM first')).toHaveLength(1)
    await assertSchema(database, folder)
  })
})

async function stepOf({ sql }: Database): Promise<number> {
  const [row] = await sql.query('SELECT @@auto_increment_increment AS step')
  return Number(row?.['step'])
}

describe('on MySQL', () => {
  beforeEach(async () => {
    const { options: mysql, drop } = await createMysqlDatabase()
    options = { mysql }
    remove = drop
    database = await openDatabase(options)
  })
  afterEach(async () => {
    await database.close()
    await remove()
  })

  const gated = (): string =>
    migrations({
      '0001_gated.up':
        'CREATE TABLE one (id INT);\nALTER TABLE gate ADD COLUMN note INT;\nCREATE TABLE two (id INT);\nINSERT INTO two VALUES (2);',
      '0001_gated.down': 'DROP TABLE two;\nALTER TABLE gate DROP COLUMN note;\nDROP TABLE one;',
    })

  const running = (): Promise<unknown[]> =>
    database.sql.query(
      `SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND info LIKE 'ALTER TABLE gate%'`,
    )
  const noteColumn = (): Promise<unknown[]> => database.sql.query(`SHOW COLUMNS FROM gate LIKE 'note'`)

  /** Kills a process that hangs in the second of four statements. Afterwards that statement no longer runs. */
  async function killInTheMiddle(folder: string): Promise<void> {
    const [cluster] = await database.sql.query("SHOW VARIABLES LIKE 'wsrep_on'")
    if (cluster?.['Value'] === 'ON')
      throw new Error(
        'this test needs a server of its own: on a member of a cluster DDL does not wait for who has read the table',
      )
    await database.sql.exec('CREATE TABLE gate (id INT)')
    const migrating = new MigratingProcess(options, { direction: 'up', folder })
    await migrating.ready()
    await database.transaction(async (trx) => {
      // A transaction that has read a table keeps others from altering it until it ends.
      await sql`SELECT id FROM gate`.execute(trx)
      migrating.go()
      await expect.poll(running).toHaveLength(1)
      await migrating.kill()
    })
    await expect.poll(running).toHaveLength(0)
  }

  it.each(['executed', 'not executed'])(
    'continues after a process was killed in a statement that was %s',
    async (executed) => {
      const folder = gated()
      await killInTheMiddle(folder)
      // The server may or may not complete an orphaned statement; both must work.
      const isThere = (await noteColumn()).length > 0
      if (executed === 'executed' && !isThere) await database.sql.exec('ALTER TABLE gate ADD COLUMN note INT')
      if (executed !== 'executed' && isThere) await database.sql.exec('ALTER TABLE gate DROP COLUMN note')
      await expect(assertSchema(database, folder)).rejects.toMatchObject({
        code: 'SCHEMA_OLDER',
        message: expect.stringContaining('0001_gated was interrupted') as string,
      })

      const started = performance.now()
      expect(await migrate(database, { direction: 'up', folder })).toEqual({ applied: ['0001_gated'] })
      // The dead process held the lock. Nobody else may have it before its lease expires.
      expect(performance.now() - started).toBeGreaterThan(8_000)
      expect(await noteColumn()).toHaveLength(1)
      expect(await database.sql.query('SELECT id FROM two')).toEqual([{ id: 2 }])
      await assertSchema(database, folder)
    },
  )

  it('finishes an interrupted migration up before it migrates down', async () => {
    const folder = gated()
    await killInTheMiddle(folder)
    await database.sql.exec(`UPDATE piko_migration_lock SET expires_at = '2000-01-01 00:00:00'`)
    expect(await migrate(database, { direction: 'down', to: 0, folder })).toEqual({
      applied: ['0001_gated', '0001_gated'],
    })
    expect(await tables()).toEqual(['gate'])
    expect(await noteColumn()).toHaveLength(0)
  })

  it('gives the lock to one process, and to another only after the lease has expired', async () => {
    await MigrationLock.create(database)
    const first = new MigrationLock(database)
    const second = new MigrationLock(database)
    expect([await first.take(), await second.take()]).toEqual([true, false])
    await first.guarded(() => Promise.resolve())
    await database.sql.exec(`UPDATE piko_migration_lock SET expires_at = '2000-01-01 00:00:00'`)
    expect(await second.take()).toBe(true)
    await expect(first.guarded(() => Promise.resolve())).rejects.toThrow(LockLost)
    await first.release()
    await second.guarded(() => Promise.resolve())
    await second.release()
    expect(await first.take()).toBe(true)
    await first.release()
  })

  it('does not wait forever for a lease that was edited to end later than any lease can', async () => {
    await MigrationLock.create(database)
    await database.sql.exec(`UPDATE piko_migration_lock SET owner = 'dead', expires_at = '2999-01-01 00:00:00'`)
    const lock = new MigrationLock(database)
    expect(await lock.take()).toBe(false)
    const left = sql<{
      s: number
    }>`SELECT TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(3), expires_at) AS s FROM piko_migration_lock`
    expect((await left.execute(database.db)).rows[0]?.s).toBeLessThanOrEqual(15)
  })

  it('migrates with a single connection', async () => {
    const single = await openDatabase({ mysql: { ...required(options.mysql), poolSize: 1 } })
    onTestFinished(() => single.close())
    const { applied } = await migrate(single, { direction: 'up', folder: three() })
    expect(applied).toHaveLength(3)
  })
})

describe('migration files', () => {
  it('have the same versions for both databases, each with a way down', () => {
    const names = (['mysql', 'sqlite'] as const).map((dialect) => {
      const files = readMigrations(migrationFolder(dialect))
      for (const { up, down } of files) expect(Math.min(up.length, down.length)).toBeGreaterThan(0)
      return files.map(({ name }) => name)
    })
    expect(names[0]).toEqual(names[1])
    // A number may be missing, because a change that reserved it was given up. None is used twice.
    const numbers = (names[0] ?? []).map((name) => Number(name.slice(0, 4)))
    expect(numbers.filter((number, index) => !(number > (numbers[index - 1] ?? 0)))).toEqual([])
  })

  it('are split at semicolons at the end of a line, without comments', () => {
    const text = `-- a table;
CREATE TABLE a ( -- why
  note TEXT DEFAULT ';x' -- not; here
);  -- done
/* two
   lines; */
INSERT INTO a VALUES ('a;b');\r
  -- nothing more;
UPDATE a SET note = '--'`
    expect(splitStatements(text)).toEqual([
      "CREATE TABLE a ( -- why\n  note TEXT DEFAULT ';x' -- not; here\n)",
      "INSERT INTO a VALUES ('a;b')",
      "UPDATE a SET note = '--'",
    ])
  })
})

function required<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('not set')
  return value
}
