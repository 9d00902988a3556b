import type { ChunkReader } from './chunk-reader.ts'

/** Streams that nobody can read any more end their generators, which would otherwise keep their threads. */
const forgotten = new FinalizationRegistry<ChunkReader>((reader) => void reader.return().catch(() => {}))

/** What callers have of a stream. Its reader is also known to the port, so only this shows that the stream was forgotten. */
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
