import { PikoError } from '../../errors.ts'
import { messageOf } from '../../errors-read.ts'
import type { ChunkMemory } from './chunk-memory.ts'
import { Parked } from './parked.ts'

/** Smaller pieces are copied to a common buffer. A separate buffer would need a hundred bytes more and keep its whole packet in memory. */
const SMALL_PIECE = 4_096
const GATHERED = 16_384
/** Pieces of at least this size are passed on without a copy. */
const MIN_READ = 32_768

/** Bytes that have arrived and are waiting for their reader. They are in memory, or in a temporary file if memory is short. */
export class Inbox {
  readonly #freed: (bytes: number) => void
  readonly #parking: (bytes: number) => void
  readonly #memory: ChunkMemory
  #chunks: Buffer[] = []
  /** The common buffer for small pieces. The last chunk is its filled part. */
  #gathering: { readonly buffer: Buffer; filled: number } | undefined
  #unread = 0
  #isEnded = false
  #failure: Error | undefined
  #waiting: PromiseWithResolvers<void> | undefined
  /** The temporary file. While it exists, later bytes are also written to it, until the reader has read all of it. */
  #parked: Parked | undefined

  /**
   * @param freed called with the number of bytes that are no longer in memory
   * @param parking called with the number of bytes that are being written to a file; negative when they are written
   * @param memory frees the memory of bytes that were copied
   */
  constructor(freed: (bytes: number) => void, parking: (bytes: number) => void, memory: ChunkMemory) {
    this.#memory = memory
    this.#freed = freed
    this.#parking = parking
  }

  /** How many bytes in memory could be moved to a file. */
  get unread(): number {
    return this.#unread
  }

  push(bytes: Buffer): void {
    if (this.#failure) return this.#freed(bytes.length)
    if (this.#parked) return this.#write(this.#parked, bytes)
    this.#unread += bytes.length
    // The reader continues when all frames that arrived together have been handled, and then reads them together.
    this.#wake()
    if (bytes.length < SMALL_PIECE) this.#gather(bytes)
    else {
      this.#gathering = undefined
      this.#chunks.push(bytes)
    }
  }

  end(): void {
    this.#isEnded = true
    this.#wake()
  }

  /** Drops all bytes. Further reads fail. */
  fail(reason: Error): void {
    this.#failure ??= reason
    this.#freed(this.#unread)
    this.#unread = 0
    this.#chunks = []
    this.#gathering = undefined
    this.#unpark()
    this.#wake()
  }

  /** Moves the bytes in memory to a temporary file. */
  park(): void {
    if (this.#failure || this.#unread === 0) return
    const parked = (this.#parked ??= new Parked())
    const chunks = this.#chunks
    this.#chunks = []
    this.#gathering = undefined
    this.#unread = 0
    for (const chunk of chunks) this.#write(parked, chunk)
  }

  async read(): Promise<Buffer | undefined> {
    for (;;) {
      if (this.#parked) return this.#readParked(this.#parked)
      if (this.#chunks.length > 0) return this.#take()
      if (this.#failure) throw this.#failure
      if (this.#isEnded) return undefined
      this.#waiting ??= Promise.withResolvers<void>()
      await this.#waiting.promise
    }
  }

  /** Takes several small pieces together, because each read costs more than a copy. */
  #take(): Buffer {
    let [count, bytes] = [1, this.#chunks[0]?.length ?? 0]
    for (
      let next = this.#chunks[count];
      next && bytes < MIN_READ && next.length < MIN_READ;
      next = this.#chunks[count]
    ) {
      bytes += next.length
      count++
    }
    const taken = count === 1 ? this.#chunks.shift() : this.#joined(this.#chunks.splice(0, count), bytes)
    if (this.#chunks.length === 0) this.#gathering = undefined
    this.#unread -= bytes
    this.#freed(bytes)
    return taken as Buffer
  }

  #joined(chunks: readonly Buffer[], bytes: number): Buffer {
    const whole = Buffer.concat(chunks, bytes)
    for (const chunk of chunks) this.#memory.used(chunk)
    this.#memory.own(whole)
    return whole
  }

  async #readParked(parked: Parked): Promise<Buffer | undefined> {
    try {
      const bytes = await parked.read()
      if (parked.length === 0) this.#unpark()
      if (this.#failure) throw this.#failure
      return bytes
    } catch (error) {
      throw this.#failure ?? error
    }
  }

  #write(parked: Parked, bytes: Buffer): void {
    this.#parking(bytes.length)
    const left = (): void => {
      this.#parking(-bytes.length)
      this.#freed(bytes.length)
      this.#memory.used(bytes)
    }
    parked.write(bytes).then(left, (error: unknown) => {
      left()
      const message = `a message could not be stored in a temporary file: ${messageOf(error)}`
      this.fail(new PikoError('LINK_CANCELLED', message, { cause: error }))
    })
  }

  #unpark(): void {
    const parked = this.#parked
    this.#parked = undefined
    void parked?.close()
  }

  /** Wakes a waiting reader, so that it checks again. */
  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.resolve()
  }

  #gather(bytes: Buffer): void {
    if (!this.#gathering || this.#gathering.filled + bytes.length > this.#gathering.buffer.length) {
      // Large pieces often have a single small one between them, so the first buffer is small.
      const size = this.#gathering ? GATHERED : Math.min(GATHERED, bytes.length * 8)
      this.#gathering = { buffer: Buffer.allocUnsafeSlow(size), filled: 0 }
      this.#chunks.push(this.#gathering.buffer.subarray(0, 0))
    }
    const { buffer, filled } = this.#gathering
    buffer.set(bytes, filled)
    this.#gathering.filled += bytes.length
    const from = (this.#chunks.at(-1) as Buffer).byteOffset - buffer.byteOffset
    this.#chunks[this.#chunks.length - 1] = buffer.subarray(from, this.#gathering.filled)
    // This comes last, because the bytes may have no length afterwards.
    this.#memory.used(bytes)
  }
}
