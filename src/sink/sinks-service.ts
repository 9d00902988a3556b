import type { StopReason } from '../service/lifecycle-parts.ts'
import { Service } from '../service/service.ts'
import type { SinkEnv, SinkMap, SinkScope } from './sink.ts'
import { type RunSinks, SinkPool } from './sink-pool.ts'

/** The process's sinks. After a crash, new sinks serve new runs. Running runs write to the old ones, which are closed at stop. */
export class SinksService extends Service {
  readonly #env: SinkEnv
  #pool: SinkPool
  readonly #retired: SinkPool[] = []

  constructor(env: SinkEnv) {
    super({ name: 'sinks' })
    this.#env = env
    this.#pool = new SinkPool(env)
  }

  forRun(map: SinkMap, scope: SinkScope): Promise<RunSinks> {
    return this.#pool.forRun(map, scope)
  }

  protected override async onStop(why: StopReason): Promise<void> {
    const pools = [...this.#retired.splice(0), this.#pool]
    this.#pool = new SinkPool(this.#env)
    if (why === 'crash') {
      this.#retired.push(...pools)
      return
    }
    for (const pool of pools.reverse()) await pool.close()
  }
}
