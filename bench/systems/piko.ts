import { defineJob, Piko } from 'piko'
import packageJson from 'piko/package.json' with { type: 'json' }
import type { About, Payload, System, SystemConfig, Witness } from '../harness/system.ts'

/** Piko through its public interface, as the package is built. */
export default function open(config: SystemConfig): System {
  return new PikoSystem(config)
}

const NOBODY: Witness = { asksWho: false, begun: () => {}, ended: () => {} }

class PikoSystem implements System {
  readonly tellsEnds = true
  readonly #config: SystemConfig
  readonly #jobOf = new Map<number, number>()
  #witness: Witness = NOBODY
  #app: Piko | undefined

  constructor(config: SystemConfig) {
    this.#config = config
  }

  async about(): Promise<About> {
    const sqlite = this.#config['store'] === 'sqlite'
    const app = await this.#start(false)
    const [row] = await app.sql.query<{ version: string }>(
      sqlite ? 'SELECT sqlite_version() AS version' : 'SELECT VERSION() AS version',
    )
    return {
      versions: { package: packageJson.version, server: row?.version ?? '' },
      settings: { concurrency: this.#config['concurrency'] },
    }
  }

  async reset(): Promise<void> {
    await this.#start(false) // Migrates the fresh database.
  }

  async open(): Promise<void> {
    await this.#start(false)
  }

  async enqueue(jobs: readonly Payload[]): Promise<void> {
    const app = await this.#start(false)
    await app.enqueueMany(
      'noop',
      jobs.map((input) => ({ input })),
    )
  }

  async enqueueOne(job: Payload): Promise<void> {
    const app = await this.#start(false)
    await app.enqueue('noop', { input: job })
  }

  /** Copies runs that have really run, under another job's name. */
  async fill(ended: number): Promise<void> {
    const app = await this.#start(false)
    const columns = await app.sql.query<{ name: string }>(
      this.#config['store'] === 'sqlite'
        ? `SELECT name FROM pragma_table_info('piko_run')`
        : `SELECT column_name AS name FROM information_schema.columns
           WHERE table_schema = DATABASE() AND table_name = 'piko_run' AND extra NOT LIKE '%GENERATED%'`,
    )
    const copied = columns.map(({ name }) => name).filter((name) => name !== 'id' && name !== 'job_id')
    await this.work(NOBODY)
    const first = await this.#app!.run('noop', { input: { id: -1 }, wait: true })
    const copy = (count: number, source: string): Promise<unknown> =>
      this.#app!.sql.exec(
        `INSERT INTO piko_run (job_id, ${copied.join(', ')})
         SELECT 'past', ${copied.join(', ')} FROM piko_run WHERE ${source} LIMIT ${count}`,
      )
    await copy(1, `id = ${first.id}`)
    await this.#app!.sql.exec(`DELETE FROM piko_run WHERE id = ${first.id}`)
    for (let filled = 1; filled < ended;) {
      const count = Math.min(filled, ended - filled, 65_536)
      await copy(count, `job_id = 'past'`)
      filled += count
    }
  }

  async work(witness: Witness): Promise<void> {
    this.#witness = witness
    // The app has only sent requests so far, and now becomes a node.
    await this.#app?.stop()
    this.#app = undefined
    await this.#start(true)
  }

  async isPending(): Promise<boolean> {
    const app = await this.#start(false)
    const rows = await app.sql.query(`SELECT 1 AS found FROM piko_run WHERE state IN ('queued', 'running') LIMIT 1`)
    return rows.length > 0
  }

  async succeeded(): Promise<number> {
    const app = await this.#start(false)
    const [row] = await app.sql.query<{ count: number }>(
      `SELECT COUNT(*) AS count FROM piko_run WHERE job_id = 'noop' AND state = 'succeeded'`,
    )
    return Number(row?.count)
  }

  async close(): Promise<void> {
    await this.#app?.stop()
  }

  async #start(execute: boolean): Promise<Piko> {
    if (this.#app) return this.#app
    const { dsn, store, concurrency } = this.#config
    const noop = defineJob({ id: 'noop' }, ({ runId, input }) => {
      const { id } = input as Payload
      if (this.#witness.asksWho) this.#jobOf.set(runId, id)
      this.#witness.begun(id)
    })
    const app = new Piko({
      jobs: noop,
      execute,
      settings: {
        piko: { log_level: 'silent', ...(execute ? { concurrency: Number(concurrency) } : {}) },
        ...(store === 'sqlite' ? { sqlite: { path: dsn } } : { mysql: { dsn } }),
      },
    })
    this.#app = app
    app.events.on('run.settled', ({ runId }) => {
      const id = this.#jobOf.get(runId) ?? -1
      this.#jobOf.delete(runId)
      this.#witness.ended(id)
    })
    await app.start()
    return app
  }
}
