/** The minimum size of a chunk whose memory is freed here. Smaller ones are left to the garbage collector. */
const MIN_CHUNK = 16_384

/**
 * Frees the memory of a received chunk as soon as all its bytes are used. The garbage collector does not: it sees only small objects,
 * although tens of megabytes belong to them. If some bytes of a chunk are never reported as used, the chunk is left to the garbage
 * collector.
 */
export class ChunkMemory {
  /** How many bytes of each chunk are still in use. */
  readonly #left = new WeakMap<ArrayBufferLike, number>()

  /** Adds a chunk that nothing outside the link refers to. */
  own(chunk: Buffer): void {
    if (chunk.length >= MIN_CHUNK && chunk.length === chunk.buffer.byteLength)
      this.#left.set(chunk.buffer, chunk.length)
  }

  /** Frees the memory of bytes that are no longer needed. Must be called only once for each byte. Afterwards, the bytes can't be read. */
  used(bytes: Buffer): void {
    const { buffer } = bytes
    const left = this.#left.get(buffer)
    if (left === undefined) return
    if (left > bytes.length) return void this.#left.set(buffer, left - bytes.length)
    this.#left.delete(buffer)
    if (buffer instanceof ArrayBuffer) buffer.transfer(0)
  }
}
