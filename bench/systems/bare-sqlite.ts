import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { setImmediate } from 'node:timers/promises'
import type { About, Payload, System, SystemConfig, Witness } from '../harness/system.ts'

const T0 = Date.UTC(2026, 0)

/** The same work as `bare-mysql.ts` on an SQLite file, with prepared statements of `node:sqlite` and the pragmas that Piko sets. */
export default function open(config: SystemConfig): System {
  return new BareSqlite(config)
}

class BareSqlite implements System {
  readonly tellsEnds = true
  readonly #database: DatabaseSync
  readonly #batch: number
  #insert: StatementSync | undefined
  #isWorking = false

  constructor({ dsn, batch }: SystemConfig) {
    this.#database = new DatabaseSync(dsn)
    this.#batch = Number(batch)
    this.#database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 10000')
  }

  async about(): Promise<About> {
    const row = this.#database.prepare('SELECT sqlite_version() AS version').get()
    return {
      versions: { package: process.versions.node, server: String(row?.['version']) },
      settings: { batch: this.#batch, journal: 'WAL', synchronous: 'NORMAL' },
    }
  }

  async reset(): Promise<void> {
    this.#database.exec(`
      CREATE TABLE bare_job (id INTEGER PRIMARY KEY, queue TEXT NOT NULL, status INTEGER NOT NULL DEFAULT 0,
        priority INTEGER NOT NULL DEFAULT 0, run_at INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, payload TEXT NOT NULL,
        lock_token TEXT, locked_until INTEGER, created_at INTEGER NOT NULL, finished_at INTEGER);
      CREATE INDEX ready ON bare_job (queue, status, priority, run_at, id);
      CREATE INDEX token ON bare_job (lock_token)`)
  }

  async open(): Promise<void> {
    this.#insert = this.#database.prepare(
      `INSERT INTO bare_job (queue, status, priority, run_at, payload, created_at) VALUES ('q', 0, 0, ${T0}, ?, ${T0})`,
    )
  }

  async enqueue(jobs: readonly Payload[]): Promise<void> {
    this.#transaction(() => {
      for (const job of jobs) this.#insert!.run(JSON.stringify(job))
    })
  }

  async enqueueOne(job: Payload): Promise<void> {
    this.#insert!.run(JSON.stringify(job))
  }

  async work(witness: Witness): Promise<void> {
    this.#isWorking = true
    void this.#drain(witness).then(() => (this.#isWorking = false))
  }

  async #drain({ begun, ended }: Witness): Promise<void> {
    const claim = this.#database.prepare(
      `UPDATE bare_job SET status = 1, lock_token = ?, locked_until = ?, attempts = attempts + 1 WHERE id IN
         (SELECT id FROM bare_job WHERE queue = 'q' AND status = 0 AND run_at <= ? ORDER BY priority, run_at, id LIMIT ${this.#batch})
       RETURNING id, payload, attempts`,
    )
    const finish = this.#database.prepare(
      `UPDATE bare_job SET status = 2, lock_token = NULL, locked_until = NULL, finished_at = ?
       WHERE id = ? AND status = 1 AND lock_token = ?`,
    )
    const token = crypto.randomUUID()
    for (;;) {
      const now = Date.now()
      const rows = this.#transaction(() => claim.all(token, now + 60_000, now))
      if (rows.length === 0) return
      for (const { payload } of rows) begun((JSON.parse(String(payload)) as Payload).id)
      this.#transaction(() => {
        for (const { id } of rows) finish.run(Date.now(), id!, token)
      })
      for (const { id } of rows) ended(Number(id))
      await setImmediate()
    }
  }

  async isPending(): Promise<boolean> {
    if (this.#isWorking) return true
    const pending = this.#database.prepare(`SELECT 1 FROM bare_job WHERE queue = 'q' AND status IN (0, 1) LIMIT 1`)
    return pending.get() !== undefined
  }

  async succeeded(): Promise<number> {
    const row = this.#database.prepare('SELECT COUNT(*) AS count FROM bare_job WHERE status = 2').get()
    return Number(row?.['count'])
  }

  async close(): Promise<void> {
    this.#database.close()
  }

  #transaction<T>(fn: () => T): T {
    this.#database.exec('BEGIN IMMEDIATE')
    const value = fn()
    this.#database.exec('COMMIT')
    return value
  }
}
