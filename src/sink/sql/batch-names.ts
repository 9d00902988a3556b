import { callOf } from '../call-mark.ts'
import type { SinkBatch } from '../sink.ts'

/** Names the batches of one table, so that repeated deliveries are recognised. */
export class BatchNames {
  /** How often each call to the sink's method has written to this table. */
  readonly #calls = new WeakMap<object, number>()

  /** Returns the name of a batch. It is the same in each delivery of the batch. Undefined for a batch without a key. */
  of({ jobId, window, key, sink }: SinkBatch): string | undefined {
    if (key === '') return undefined
    const prefix = `${jobId}/${window?.start.toISOString() ?? ''}/`
    // The key begins with the job and the window. They are removed, because the name is stored in the row of this window in `piko_fence`.
    const own = key.startsWith(prefix) ? key.slice(prefix.length) : key
    return sink === undefined ? own : `${sink}:${own}`
  }

  /**
   * Returns the name for the next write of a call to the sink's method. One call may write the same batch several times with different
   * rows, so each write gets its own name.
   */
  next(batch: SinkBatch): string | undefined {
    const delivery = callOf(batch)
    const call = this.#calls.get(delivery) ?? 0
    this.#calls.set(delivery, call + 1)
    const name = this.of(batch)
    return name === undefined || call === 0 ? name : `${call}:${name}`
  }
}
