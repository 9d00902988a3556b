import { callOf } from '../call-mark.ts'
import type { SinkBatch } from '../sink.ts'

/** Names the batches of one table, so that a repeated delivery is found. */
export class BatchNames {
  /** Calls of this table in one call of the sink's method. */
  readonly #calls = new WeakMap<object, number>()

  /** The same in each delivery of the batch. Undefined for a batch without a key. */
  of({ jobId, window, key, sink }: SinkBatch): string | undefined {
    if (key === '') return undefined
    const prefix = `${jobId}/${window?.start.toISOString() ?? ''}/`
    // The row of the window says the rest.
    const own = key.startsWith(prefix) ? key.slice(prefix.length) : key
    return sink === undefined ? own : `${sink}:${own}`
  }

  /** The same for one of several calls with the same batch, which each add other rows. */
  next(batch: SinkBatch): string | undefined {
    const delivery = callOf(batch)
    const call = this.#calls.get(delivery) ?? 0
    this.#calls.set(delivery, call + 1)
    const name = this.of(batch)
    return name === undefined || call === 0 ? name : `${call}:${name}`
  }
}
