import { Queue, Worker } from 'bullmq'
import { Redis } from 'ioredis'
import type { About, Payload, System, SystemConfig, Witness } from '../harness/system.ts'
import { versionOf } from './version-of.ts'

const NAME = 'bench'
const CONCURRENCY = 100
/** Keeps nothing of a job that has ended, which is BullMQ's fastest setting. */
const OPTIONS = { removeOnComplete: true, removeOnFail: true }

export default function open({ dsn }: SystemConfig): System {
  return new BullMq(dsn)
}

class BullMq implements System {
  readonly tellsEnds = true
  readonly #connection: { host: string; port: number; maxRetriesPerRequest: null }
  readonly #queue: Queue

  constructor(dsn: string) {
    const { hostname, port } = new URL(dsn)
    this.#connection = { host: hostname, port: Number(port), maxRetriesPerRequest: null }
    this.#queue = new Queue(NAME, { connection: this.#connection })
  }

  async about(): Promise<About> {
    const redis = new Redis(this.#connection)
    const server = /redis_version:(\S+)/.exec(await redis.info('server'))?.[1] ?? ''
    redis.disconnect()
    return {
      versions: { package: versionOf('bullmq'), server },
      settings: { concurrency: CONCURRENCY, removeOnComplete: true },
    }
  }

  async reset(): Promise<void> {
    await this.#queue.obliterate({ force: true })
  }

  async open(): Promise<void> {
    await this.#queue.waitUntilReady()
  }

  enqueue(jobs: readonly Payload[]): Promise<unknown> {
    return this.#queue.addBulk(jobs.map((data) => ({ name: 'noop', data, opts: OPTIONS })))
  }

  enqueueOne(job: Payload): Promise<unknown> {
    return this.#queue.add('noop', job, OPTIONS)
  }

  async work({ begun, ended }: Witness): Promise<void> {
    const handler = (job: { data: Payload }): Promise<void> => Promise.resolve(begun(job.data.id))
    const worker = new Worker<Payload>(NAME, handler, { connection: this.#connection, concurrency: CONCURRENCY })
    worker.on('completed', ({ data }) => ended(data.id))
    await worker.waitUntilReady()
  }

  async isPending(): Promise<boolean> {
    const { wait = 0, active = 0, prioritized = 0, failed = 0 } = await this.#queue.getJobCounts()
    if (failed > 0) throw new Error(`${failed} jobs failed`)
    return wait + active + prioritized > 0
  }

  succeeded(): Promise<undefined> {
    return Promise.resolve(undefined)
  }

  close(): Promise<void> {
    return this.#queue.close()
  }
}
