import { NoopJob } from './sidequest-job.ts'
import { Sidequest } from 'sidequest'
import type { About, Payload, System, SystemConfig, Witness } from '../harness/system.ts'
import { versionOf } from './version-of.ts'

const QUEUE = 'bench'
const POLL_MS = 10
const POOL = 20
/** The number of parallel single calls, because Sidequest has no bulk call. */
const CALLERS = { mysql: 20, sqlite: 10 }

export default function open(config: SystemConfig): System {
  return new SidequestSystem(config)
}

type Config = SystemConfig & { readonly backend: 'mysql' | 'sqlite'; readonly concurrency: number }
type Settings = NonNullable<Parameters<typeof Sidequest.start>[0]> &
  NonNullable<Parameters<typeof Sidequest.configure>[0]>

class SidequestSystem implements System {
  readonly tellsEnds = false
  readonly #config: Config
  #isConfigured = false

  constructor(config: SystemConfig) {
    this.#config = config as Config
  }

  async about(): Promise<About> {
    const { backend, concurrency } = this.#config
    return {
      versions: { package: versionOf('sidequest'), backend: versionOf(`@sidequest/${backend}-backend`) },
      settings: {
        runner: 'inline, not forked',
        maxConcurrentJobs: concurrency,
        jobPollingInterval: POLL_MS,
        callers: CALLERS[backend],
        ...(backend === 'mysql' ? { pool: POOL } : {}),
      },
    }
  }

  async reset(): Promise<void> {
    await Sidequest.configure(this.#settings)
    this.#isConfigured = true
  }

  async open(): Promise<void> {
    if (!this.#isConfigured) await Sidequest.configure({ ...this.#settings, skipMigration: true })
    this.#isConfigured = true
  }

  async enqueue(jobs: readonly Payload[]): Promise<unknown> {
    const left = jobs.values()
    const caller = async (): Promise<void> => {
      for (const job of left) await this.enqueueOne(job)
    }
    return Promise.all(Array.from({ length: CALLERS[this.#config.backend] }, caller))
  }

  async enqueueOne(job: Payload): Promise<unknown> {
    return Sidequest.build(NoopJob).queue(QUEUE).enqueue(job)
  }

  async work({ begun }: Witness): Promise<void> {
    await this.open()
    NoopJob.begun = begun
    await Sidequest.start(this.#settings)
  }

  async isPending(): Promise<boolean> {
    const jobs = await Sidequest.job.list({ queue: QUEUE, state: ['waiting', 'claimed', 'running'], limit: 1 })
    return jobs.length > 0
  }

  async succeeded(): Promise<number> {
    return (await Sidequest.job.list({ queue: QUEUE, state: 'completed', limit: 1_000_000 })).length
  }

  async close(): Promise<void> {
    await Sidequest.stop()
  }

  get #settings(): Settings {
    const { dsn, backend, concurrency } = this.#config
    return {
      backend: this.#backend(backend, dsn),
      maxConcurrentJobs: concurrency,
      queues: [{ name: QUEUE, concurrency }],
      logger: { level: 'error' },
      jobPollingInterval: POLL_MS,
      gracefulShutdown: false,
      fork: false,
      runner: 'inline',
    } as Settings
  }

  #backend(backend: 'mysql' | 'sqlite', dsn: string): object {
    if (backend === 'sqlite') return { driver: '@sidequest/sqlite-backend', config: dsn }
    const { hostname, port, username, password, pathname } = new URL(dsn)
    const connection = { host: hostname, port: Number(port), user: username, password, database: pathname.slice(1) }
    return { driver: '@sidequest/mysql-backend', config: { connection, pool: { min: 0, max: POOL } } }
  }
}
