/** Smaller chunks are left to the garbage collector. */
const MIN_CHUNK = 16_384

/**
 * Frees the memory of received chunks as soon as all of their bytes are used. The garbage collector does not: it sees only small objects,
 * and lets tens of megabytes wait behind them. A chunk with bytes that are never reported as used is left to the garbage collector.
 */
export class ChunkMemory {
  /** The number of bytes of each chunk that are not used yet. */
  readonly #left = new WeakMap<ArrayBufferLike, number>()

  /** Adds a chunk to which nothing outside the link refers. */
  own(chunk: Buffer): void {
    if (chunk.length >= MIN_CHUNK && chunk.length === chunk.buffer.byteLength)
      this.#left.set(chunk.buffer, chunk.length)
  }

  /** These bytes are not needed any more. May be called only once for each byte; the bytes can't be read after that. */
  used(bytes: Buffer): void {
    const { buffer } = bytes
    const left = this.#left.get(buffer)
    if (left === undefined) return
    if (left > bytes.length) return void this.#left.set(buffer, left - bytes.length)
    this.#left.delete(buffer)
    if (buffer instanceof ArrayBuffer) buffer.transfer(0)
  }
}
