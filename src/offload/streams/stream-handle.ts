import type { ChunkReader } from './chunk-reader.ts'

/** Ends the generator of a stream whose handle was garbage-collected. Otherwise the generator would occupy its thread forever. */
const forgotten = new FinalizationRegistry<ChunkReader>((reader) => void reader.return().catch(() => {}))

/** The stream as the caller holds it. The open port keeps the reader in memory, so only this separate object can be garbage-collected. */
export class StreamHandle<T = unknown> implements AsyncIterableIterator<T, undefined> {
  readonly #reader: ChunkReader<T>

  constructor(reader: ChunkReader<T>) {
    this.#reader = reader
    forgotten.register(this, reader)
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<T, undefined>> {
    return this.#reader.next()
  }

  return(): Promise<IteratorReturnResult<undefined>> {
    return this.#reader.return()
  }
}
