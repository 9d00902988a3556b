import type { ChunkReader } from './chunk-reader.ts'

/**
 * If the handle of a stream was garbage-collected, this ends the stream's generator. Otherwise the generator would occupy its thread
 * forever.
 */
const forgotten = new FinalizationRegistry<ChunkReader>((reader) => void reader.return().catch(() => {}))

/** The object for a stream that the caller has. The port also refers to the reader, so only this object can be garbage-collected. */
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
