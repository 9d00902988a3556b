import type { ChunkReader } from './chunk-reader.ts'

/** Ends the generator of a stream whose handle was garbage-collected, because the generator would occupy its thread forever. */
const forgotten = new FinalizationRegistry<ChunkReader>((reader) => void reader.return().catch(() => {}))

/** The caller's object for a stream. The port also refers to the reader, so only this handle can be garbage-collected. */
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
