import { anAbortSignal, type OptionChecks, wholeNumber } from '../options.ts'
import { rowBytes } from '../sink/row-bytes.ts'
import { Sink } from '../sink/sink.ts'
import { type Duration, durationMs } from '../time/duration.ts'
import { readCall } from './call-checks.ts'
import { aDuration } from '../time/duration-check.ts'
import { aSource, drawn, type Source } from './drawn.ts'
import { settled } from './fan-out.ts'
import { LinkedSignal } from '../signals/linked-signal.ts'
import { after } from '../time/after.ts'

export interface BatchesOptions {
  /** The maximum number of items in a batch. Default 1,000, as in a sink. */
  readonly rows?: number
  /** The approximate maximum size of a batch, in bytes; a larger item gets its own batch. Default 8,000,000, as in a sink. */
  readonly bytes?: number
  /** How long an item waits for further items. Default: until the batch is full or the source ends. */
  readonly wait?: Duration
  /** Aborting this signal ends the loop with the signal's reason. */
  readonly signal?: AbortSignal
}

const FORM = {
  call: 'batches',
  checks: {
    rows: wholeNumber(1),
    bytes: wholeNumber(1),
    wait: aDuration(1),
    signal: anAbortSignal,
  } satisfies OptionChecks<BatchesOptions>,
  example: '{ rows: 500 }',
}

/**
 * Groups the items of a source into arrays, in order. Yields an array as soon as it is full or its first item has waited long enough. While
 * the loop works on a batch, reads at most one further item.
 *
 * @throws PikoError `USAGE`; in the loop, the signal's reason, and the error of the source, after the items that came before it
 */
export function batches<T>(items: Source<T>, options: BatchesOptions = {}): AsyncGenerator<T[], void, void> {
  const read = readCall<BatchesOptions>(FORM, { items: [items, aSource] }, options)
  const batch = new Batch<T>(
    read.rows ?? Sink.batchSize,
    read.bytes ?? Sink.batchBytes,
    read.wait === undefined ? undefined : durationMs(read.wait),
  )
  return grouped(items, batch, read.signal)
}

async function* grouped<T>(
  items: Source<T>,
  batch: Batch<T>,
  parent: AbortSignal | undefined,
): AsyncGenerator<T[], void, void> {
  const linked = new LinkedSignal(parent)
  const source = drawn(items, linked.signal)
  try {
    for (;;) {
      const asked = settled(() => source.next())
      if (batch.late && (await Promise.race([asked, batch.late])) === LATE) yield batch.take()
      const next = await asked
      linked.signal.throwIfAborted()
      if (next.status === 'rejected' || next.value.done) {
        if (batch.size > 0) yield batch.take()
        if (next.status === 'rejected') throw next.reason
        return
      }
      const bytes = rowBytes(next.value.value)
      if (!batch.hasRoomFor(bytes)) yield batch.take()
      batch.add(next.value.value, bytes)
      if (batch.isFull) yield batch.take()
    }
  } finally {
    batch.take()
    linked.abort()
    await source.return()
    linked.release()
  }
}

const LATE = Symbol('late')

class Batch<T> {
  readonly #maxRows: number
  readonly #maxBytes: number
  readonly #waitMs: number | undefined
  #items: T[] = []
  #bytes = 0
  #late: Promise<typeof LATE> | undefined
  #cancel = (): void => {}

  constructor(maxRows: number, maxBytes: number, waitMs: number | undefined) {
    this.#maxRows = maxRows
    this.#maxBytes = maxBytes
    this.#waitMs = waitMs
  }

  get size(): number {
    return this.#items.length
  }

  get isFull(): boolean {
    return this.#items.length >= this.#maxRows || this.#bytes >= this.#maxBytes
  }

  /** Resolves when the first item has waited long enough. Undefined if items may wait forever, or if no item is waiting. */
  get late(): Promise<typeof LATE> | undefined {
    return this.#late
  }

  hasRoomFor(bytes: number): boolean {
    return this.#items.length === 0 || this.#bytes + bytes <= this.#maxBytes
  }

  add(item: T, bytes: number): void {
    const ms = this.#waitMs
    if (this.#items.length === 0 && ms !== undefined) {
      this.#late = new Promise((resolve) => (this.#cancel = after(ms, () => resolve(LATE))))
    }
    this.#items.push(item)
    this.#bytes += bytes
  }

  take(): T[] {
    const items = this.#items
    this.#items = []
    this.#bytes = 0
    this.#late = undefined
    this.#cancel()
    return items
  }
}
