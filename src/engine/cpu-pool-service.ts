import { defaultPool } from '../offload/default-pool.ts'
import { Service } from '../service/service.ts'

/** The worker threads of `offload`. After a crash new threads take the next calls; those under way end on the old ones. */
export class CpuPoolService extends Service {
  readonly #threads: number

  constructor(threads: number) {
    super({ name: 'cpu-pool' })
    this.#threads = threads
  }

  protected override onStart(): unknown {
    defaultPool.configure({ threads: this.#threads })
    return undefined
  }

  protected override async onStop(): Promise<void> {
    if (!this.crashReason) await defaultPool.close()
  }
}
