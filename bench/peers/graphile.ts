import { Logger, makeWorkerUtils, run, type WorkerUtils } from 'graphile-worker'
import pg from 'pg'
import type { About, Payload, System, SystemConfig, Witness } from '../harness/system.ts'
import { versionOf } from './version-of.ts'

/** The concurrency of Graphile Worker's own `perfTest`. */
const CONCURRENCY = 24
const LOCAL_QUEUE = 500
const REFETCH_MS = 10
const logger = new Logger(() => () => {})

export default function open({ dsn }: SystemConfig): System {
  return new Graphile(dsn)
}

class Graphile implements System {
  readonly tellsEnds = false
  readonly #dsn: string
  readonly #pool: pg.Pool
  #utils: WorkerUtils | undefined

  constructor(dsn: string) {
    this.#dsn = dsn
    this.#pool = new pg.Pool({ connectionString: dsn, max: 50 })
    this.#pool.on('error', () => {}) // The harness drops its database while it is still connected.
    this.#pool.on('connect', (client) => client.on('error', () => {}))
  }

  async about(): Promise<About> {
    const { rows } = await this.#pool.query<{ server_version: string }>('SHOW server_version')
    return {
      versions: { package: versionOf('graphile-worker'), server: rows[0]?.server_version ?? '' },
      settings: {
        concurrentJobs: CONCURRENCY,
        maxPoolSize: CONCURRENCY + 1,
        localQueueSize: LOCAL_QUEUE,
        refetchDelayMs: REFETCH_MS,
        completeJobBatchDelay: 0,
        failJobBatchDelay: 0,
      },
    }
  }

  async reset(): Promise<void> {
    await this.open()
    await this.#utils?.migrate()
  }

  async open(): Promise<void> {
    this.#utils ??= await makeWorkerUtils({ pgPool: this.#pool, logger })
  }

  enqueue(jobs: readonly Payload[]): Promise<unknown> {
    return this.#utils!.addJobs(jobs.map((payload) => ({ identifier: 'noop', payload })))
  }

  enqueueOne(job: Payload): Promise<unknown> {
    return this.#utils!.addJob('noop', job)
  }

  async work({ begun }: Witness): Promise<void> {
    await run({
      preset: {
        worker: {
          connectionString: this.#dsn,
          concurrentJobs: CONCURRENCY,
          maxPoolSize: CONCURRENCY + 1,
          localQueue: { size: LOCAL_QUEUE, refetchDelay: { durationMs: REFETCH_MS } },
          completeJobBatchDelay: 0,
          failJobBatchDelay: 0,
          logger,
        },
      },
      taskList: { noop: (job) => begun((job as Payload).id) },
      noHandleSignals: true,
    })
  }

  async isPending(): Promise<boolean> {
    const { rowCount } = await this.#pool.query('SELECT 1 FROM graphile_worker._private_jobs LIMIT 1')
    return rowCount !== 0
  }

  succeeded(): Promise<undefined> {
    return Promise.resolve(undefined)
  }

  close(): Promise<void> {
    return this.#pool.end()
  }
}
