import pg from 'pg'
import { PgBoss } from 'pg-boss'
import type { About, Payload, System, SystemConfig, Witness } from '../harness/system.ts'
import { versionOf } from './version-of.ts'

const QUEUE = 'bench'
/** Large batches, the next immediately while they are full, and LISTEN/NOTIFY for the first job after a quiet time. */
const WORK = { batchSize: 1_000, localConcurrency: 2, pollingIntervalSeconds: 0.5, burstWhenBatchFull: true }

export default function open({ dsn }: SystemConfig): System {
  return new PgBossSystem(dsn)
}

class PgBossSystem implements System {
  readonly tellsEnds = false
  readonly #dsn: string
  readonly #pool: pg.Pool
  #boss: PgBoss | undefined

  constructor(dsn: string) {
    this.#dsn = dsn
    this.#pool = new pg.Pool({ connectionString: dsn, max: 2 })
    this.#pool.on('error', () => {}) // The harness drops its database while it is still connected.
  }

  async about(): Promise<About> {
    const { rows } = await this.#pool.query<{ server_version: string }>('SHOW server_version')
    return {
      versions: { package: versionOf('pg-boss'), server: rows[0]?.server_version ?? '' },
      settings: { ...WORK, useListenNotify: true },
    }
  }

  async reset(): Promise<void> {
    const boss = await this.#start()
    await boss.createQueue(QUEUE, { notify: true })
  }

  async open(): Promise<void> {
    await this.#start()
  }

  async enqueue(jobs: readonly Payload[]): Promise<unknown> {
    return this.#boss!.insert(
      QUEUE,
      jobs.map((data) => ({ data })),
    )
  }

  async enqueueOne(job: Payload): Promise<unknown> {
    return this.#boss!.send(QUEUE, job)
  }

  async work({ begun }: Witness): Promise<void> {
    const boss = await this.#start()
    await boss.work<Payload>(QUEUE, WORK, async (jobs) => {
      for (const { data } of jobs) begun(data.id)
    })
  }

  async isPending(): Promise<boolean> {
    const { rowCount } = await this.#pool.query(
      `SELECT 1 FROM pgboss.job WHERE name = $1 AND state < 'completed' LIMIT 1`,
      [QUEUE],
    )
    return rowCount !== 0
  }

  async succeeded(): Promise<number> {
    const { rows } = await this.#pool.query<{ count: string }>(
      `SELECT COUNT(*) AS count FROM pgboss.job WHERE name = $1 AND state = 'completed'`,
      [QUEUE],
    )
    return Number(rows[0]?.count)
  }

  async close(): Promise<void> {
    await this.#pool.end()
  }

  async #start(): Promise<PgBoss> {
    if (this.#boss) return this.#boss
    const boss = new PgBoss({ connectionString: this.#dsn, max: 10, useListenNotify: true })
    boss.on('error', (error) => process.stderr.write(`pg-boss: ${error.message}\n`))
    this.#boss = boss
    await boss.start()
    return boss
  }
}
