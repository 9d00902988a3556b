import { callOf } from '../call-mark.ts'
import type { SinkBatch } from '../sink.ts'

/** Names the batches of one table, so that a repeated delivery is recognized. */
export class BatchNames {
  /** The number of writes to this table within one call of the sink's method. */
  readonly #calls = new WeakMap<object, number>()

  /** The name of a batch, which is the same in each of its deliveries. Undefined for a batch without a key. */
  of({ jobId, window, key, sink }: SinkBatch): string | undefined {
    if (key === '') return undefined
    const prefix = `${jobId}/${window?.start.toISOString() ?? ''}/`
    // The row in `piko_fence` already belongs to one window, so the name needs neither job nor window.
    const own = key.startsWith(prefix) ? key.slice(prefix.length) : key
    return sink === undefined ? own : `${sink}:${own}`
  }

  /** The name for the next of several writes with the same batch, each of which adds other rows. */
  next(batch: SinkBatch): string | undefined {
    const delivery = callOf(batch)
    const call = this.#calls.get(delivery) ?? 0
    this.#calls.set(delivery, call + 1)
    const name = this.of(batch)
    return name === undefined || call === 0 ? name : `${call}:${name}`
  }
}
