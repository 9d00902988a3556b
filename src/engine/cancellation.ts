import { type CancelStore } from '../store/cancel-store.ts'
import { type Events } from '../telemetry/events.ts'
import { type Clock } from './clock.ts'
import { type Executor } from './executor.ts'
import { LoopService } from './loop-service.ts'

/** A cancel by any node reaches the handler within two seconds. */
const POLL_MS = 1_000

/** Ends the runs of this node that somebody wants cancelled: one query a second for all of them, and none while there are none. */
export class Cancellation extends LoopService {
  readonly #cancels: Pick<CancelStore, 'requested'>
  readonly #executor: Pick<Executor, 'cancel' | 'cancellable'>

  constructor(
    cancels: Pick<CancelStore, 'requested'>,
    executor: Pick<Executor, 'cancel' | 'cancellable'>,
    clock: Clock,
    events: Events,
  ) {
    super('cancellation', clock, events)
    this.#cancels = cancels
    this.#executor = executor
  }

  protected override async step(): Promise<number> {
    const runIds = this.#executor.cancellable
    if (runIds.length > 0) this.#executor.cancel(await this.#cancels.requested(runIds))
    return POLL_MS
  }
}
