import type { OffloadOptions } from './pool/pool-options.ts'
import { closeOffload, configureOffload, overridePools } from './pools.ts'
import { PikoError } from '../errors.ts'
import type { StopReason } from '../service/lifecycle-parts.ts'
import { Service } from '../service/service.ts'

/** How long a stop waits for calls that do not belong to a run. */
const LATE_CALLS_MS = 1_000

/** The worker threads of `offload` as a service. If the service crashes, no pool is closed, so the calls continue. */
export class CpuPoolService extends Service {
  readonly #threads: number
  readonly #pools: Readonly<Record<string, OffloadOptions>>

  constructor(threads: number, pools: Readonly<Record<string, OffloadOptions>>) {
    super({ name: 'cpu-pool' })
    this.#threads = threads
    this.#pools = pools
  }

  protected override onStart(): unknown {
    configureOffload({ size: this.#threads })
    overridePools(this.#pools)
    return undefined
  }

  protected override async onStop(why: StopReason): Promise<void> {
    if (why === 'crash') return
    // Calls of runs have already ended with their runs. A call without a run could run forever and block the stop.
    const late = new AbortController()
    const reason = new PikoError('STOPPED', 'the app is stopping, so the call and its thread were ended')
    const timer = setTimeout(() => late.abort(reason), LATE_CALLS_MS)
    await closeOffload(late.signal).finally(() => clearTimeout(timer))
  }
}
