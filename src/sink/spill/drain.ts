import { systemClock } from '../../clock.ts'
import { toError } from '../../errors.ts'
import { Closing } from '../../service/closing.ts'
import type { DiskSpill } from './disk-spill.ts'
import type { SpillBatch } from './spill-queue.ts'

const FIRST_WAIT_MS = 500
/** How long to wait before checking again whether a batch was completely written. */
const LOOK_MS = 5
/** How long a stop waits for the current delivery. */
const MAX_STOP_MS = 1_500

export interface DrainParts {
  readonly queue: DiskSpill
  /** Opens the sink. */
  readonly open: () => Promise<void>
  /** @throws if the batch must be tried again later */
  readonly deliver: (batch: SpillBatch, signal: AbortSignal) => Promise<void>
  readonly retryEveryMs: number
}

/** Sends the batches of a spill to their target, one after another, as soon as the target accepts them. */
export class Drain {
  readonly #parts: DrainParts
  readonly #stop = new AbortController()
  readonly #ended: Promise<void>

  constructor(parts: DrainParts) {
    this.#parts = parts
    this.#ended = this.#run()
  }

  /** Stops sending. Batches that were not sent stay on disk. */
  async stop(): Promise<void> {
    this.#stop.abort()
    const closing = new Closing(MAX_STOP_MS)
    try {
      await closing.within(() => this.#ended)
    } finally {
      closing.end()
    }
  }

  async #run(): Promise<void> {
    const { queue } = this.#parts
    const { signal } = this.#stop
    let failures = 0
    for (;;) {
      await queue.work(signal)
      if (signal.aborted) return
      try {
        const isEmpty = !(await this.#sendNext())
        failures = 0
        // A batch that is still being written can't be sent yet, so this waits for a moment.
        if (isEmpty) await systemClock.sleep(LOOK_MS, signal)
      } catch (thrown) {
        if (signal.aborted) return
        queue.outage(toError(thrown))
        const waitMs = Math.min(this.#parts.retryEveryMs, FIRST_WAIT_MS * 2 ** Math.min(failures++, 20))
        await systemClock.sleep(waitMs, signal)
      }
    }
  }

  /** Sends the oldest batch. Returns false if none is ready to be sent. */
  async #sendNext(): Promise<boolean> {
    const { queue, open, deliver } = this.#parts
    await open()
    queue.release()
    const record = await queue.peek()
    if (!record) return false
    await deliver(record.batch, this.#stop.signal)
    await queue.sent(record)
    return true
  }
}
