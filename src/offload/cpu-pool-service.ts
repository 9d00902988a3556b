import { defaultPool } from './default-pool.ts'
import { PikoError } from '../errors.ts'
import { type StopReason } from '../service/lifecycle-parts.ts'
import { Service } from '../service/service.ts'

/** For calls under way that belong to no run. */
const LATE_CALLS_MS = 1_000

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

  protected override async onStop(why: StopReason): Promise<void> {
    if (why === 'crash') return
    // Those of runs have ended with them. One that loops outside of a run would hold up the stop for ever.
    const late = new AbortController()
    const reason = new PikoError('STOPPED', 'the app stops; the call was ended with its thread')
    const timer = setTimeout(() => late.abort(reason), LATE_CALLS_MS)
    await defaultPool.close(late.signal).finally(() => clearTimeout(timer))
  }
}
