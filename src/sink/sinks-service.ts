import type { StopReason } from '../service/lifecycle-parts.ts'
import { Service } from '../service/service.ts'
import type { SinkStats } from './delivery/sink-stats.ts'
import type { SinkClass, SinkMap, SinkScope } from './sink.ts'
import { type RunSinks, SinkPool, type SinkPoolParts } from './sink-pool.ts'

export interface SinksServiceParts extends SinkPoolParts {
  /** The sinks of the jobs that this process executes. */
  readonly classes: readonly SinkClass[]
}

/**
 * The sinks of the process as a service. After a crash, new sinks serve new runs. Runs in progress keep the old sinks, which are closed at
 * stop.
 */
export class SinksService extends Service {
  readonly #parts: SinksServiceParts
  #pool: SinkPool
  readonly #retired: SinkPool[] = []

  constructor(parts: SinksServiceParts) {
    super({ name: 'sinks' })
    this.#parts = parts
    this.#pool = new SinkPool(parts)
  }

  /** Opens the sinks of one attempt. See `SinkPool.forRun`. */
  forRun(map: SinkMap, scope: SinkScope, hasOtherWriters?: () => boolean): Promise<RunSinks> {
    return this.#pool.forRun(map, scope, hasOtherWriters)
  }

  /** Clears the rows that earlier generations wrote to a window. See `SinkPool.clearOlder`. */
  clearOlder(map: SinkMap, scope: Omit<SinkScope, 'sql'>): Promise<void> {
    return this.#pool.clearOlder(map, scope)
  }

  /** The current pool, for deliveries outside of runs. */
  get pool(): SinkPool {
    return this.#pool
  }

  /** One entry for each sink that this process has created. */
  get stats(): readonly SinkStats[] {
    return this.#pool.stats
  }

  /** @throws PikoError `SINK_FAILED` if the folder for spilled batches can't be used */
  protected override async onStart(): Promise<void> {
    await this.#pool.start(this.#parts.classes)
  }

  protected override async onStop(why: StopReason): Promise<void> {
    const pools = [...this.#retired.splice(0), this.#pool]
    this.#pool = new SinkPool(this.#parts)
    if (why === 'crash') {
      this.#retired.push(...pools)
      return
    }
    for (const pool of pools.reverse()) await pool.close()
  }
}
