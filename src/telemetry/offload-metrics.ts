import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { FAILURE_REASONS, POOL_BUCKETS_S } from '../offload/pool/pool-figures.ts'

/** Durations, counted by bucket. Bounds are in seconds. */
interface Durations {
  /** One count per bound, and a last one for longer durations. The counts are not cumulative. */
  readonly counts: readonly number[]
  readonly sumS: number
}

/** A pool of threads. */
export interface OffloadSource {
  readonly name: string
  readonly stats: {
    readonly size: number
    readonly threads: number
    readonly running: number
    readonly waiting: number
    readonly recycled: number
    readonly failures: Readonly<Record<string, number | undefined>>
  }
  readonly figures: { readonly waits: Durations; readonly runs: Durations }
}

/** A histogram whose values are counted by other code. */
class CountedHistogram extends Histogram<'pool'> {
  readonly #options: { readonly name: string; readonly help: string }
  readonly #read: () => readonly (readonly [string, Durations])[]

  constructor(
    options: { readonly name: string; readonly help: string; readonly registers: Registry[] },
    read: () => readonly (readonly [string, Durations])[],
  ) {
    super({ ...options, buckets: [...POOL_BUCKETS_S], labelNames: ['pool'] })
    this.#options = options
    this.#read = read
  }

  /** Returns the values of the metric. A prom-client 15 registry calls this method. */
  async getForPromString(): ReturnType<Histogram<'pool'>['get']> {
    return this.get()
  }

  override async get(): ReturnType<Histogram<'pool'>['get']> {
    const { name, help } = this.#options
    const values = this.#read().flatMap(([pool, durations]) => valuesOf(name, pool, durations))
    const described = { name, help, type: 'histogram', aggregator: 'sum', values }
    return described as unknown as Awaited<ReturnType<Histogram<'pool'>['get']>>
  }
}

function valuesOf(name: string, pool: string, { counts, sumS }: Durations) {
  let count = 0
  const buckets = counts.map((inBucket, index) => {
    count += inBucket
    return { metricName: `${name}_bucket`, labels: { le: POOL_BUCKETS_S[index] ?? '+Inf', pool }, value: count }
  })
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels: { pool }, value: sumS },
    { metricName: `${name}_count`, labels: { pool }, value: count },
  ]
}

/** Registers the figures of the pools. They are read at each scrape. */
export function registerOffload(pools: () => readonly OffloadSource[], registers: Registry[]): void {
  const gauge = (name: string, help: string, field: 'size' | 'threads' | 'running' | 'waiting'): void => {
    new Gauge({
      ...{ name, help, registers, labelNames: ['pool'] },
      collect() {
        for (const { name: pool, stats } of pools()) this.set({ pool }, stats[field])
      },
    })
  }
  gauge('piko_offload_size', 'Threads of the pool that may run at the same time.', 'size')
  gauge('piko_offload_threads', 'Threads of the pool that exist.', 'threads')
  gauge('piko_offload_busy', 'Calls of the pool that a thread executes.', 'running')
  gauge('piko_offload_queue', 'Calls waiting for a thread of the pool.', 'waiting')
  new Counter({
    name: 'piko_offload_recycled_total',
    help: 'Threads of the pool that were replaced.',
    ...{ registers, labelNames: ['pool'] },
    collect() {
      this.reset()
      for (const { name: pool, stats } of pools()) this.inc({ pool }, stats.recycled)
    },
  })
  new Counter({
    name: 'piko_offload_failures_total',
    help: 'Failed calls of the pool, by reason.',
    ...{ registers, labelNames: ['pool', 'reason'] },
    collect() {
      this.reset()
      for (const { name: pool, stats } of pools())
        for (const reason of FAILURE_REASONS) this.inc({ pool, reason }, stats.failures[reason] ?? 0)
    },
  })
  new CountedHistogram(
    { name: 'piko_offload_wait_seconds', help: 'Time from a call to the moment a thread begins with it.', registers },
    () => pools().map(({ name, figures }) => [name, figures.waits] as const),
  )
  new CountedHistogram(
    { name: 'piko_offload_run_seconds', help: 'Time that a thread took for a call.', registers },
    () => pools().map(({ name, figures }) => [name, figures.runs] as const),
  )
}
