import type { CancelStore } from '../../store/runs/cancel-store.ts'
import type { Executor } from '../execution/executor.ts'
import { LoopService, type LoopServiceParts } from '../loop/loop-service.ts'

/** The poll interval. It must be short, so that a cancel on any node reaches the handler within two seconds. */
const POLL_MS = 1_000
/**
 * After this many polls the cancel requests are read even if the mark has not changed. The mark changes with each request through Piko, but
 * not if a person writes a request into a row by hand.
 */
const ASK_ANYWAY = 10

export interface CancellationParts extends LoopServiceParts {
  readonly cancels: Pick<CancelStore, 'requested' | 'mark'>
  readonly executor: Pick<Executor, 'active' | 'cancel' | 'cancellable'>
  readonly nodeId: () => string
}

/**
 * Aborts this node's runs that have a cancel request. Sends one short query per second for all runs, and none while the node has no
 * runs.
 */
export class Cancellation extends LoopService {
  readonly #parts: CancellationParts
  #known: string | undefined
  #polls = 0
  #asksAgain = false

  constructor(parts: CancellationParts) {
    super('cancellation', parts)
    this.#parts = parts
  }

  protected override async step(): Promise<number> {
    if (this.#parts.executor.active === 0) return POLL_MS
    const nodeId = this.#parts.nodeId()
    // The mark is read before the runs. If a request comes between the two reads, the next poll sees a different mark.
    const mark = `${nodeId} ${await this.#parts.cancels.mark(nodeId)}`
    const isNew = mark !== this.#known
    if (!isNew && !this.#asksAgain && ++this.#polls < ASK_ANYWAY) return POLL_MS
    this.#polls = 0
    // The next poll asks again, because the request may belong to a run whose claim has not reached this node yet.
    this.#asksAgain = isNew
    const runIds = this.#parts.executor.cancellable
    if (runIds.length > 0) this.#parts.executor.cancel(await this.#parts.cancels.requested(runIds))
    this.#known = mark
    return POLL_MS
  }
}
