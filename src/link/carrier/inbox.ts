import type { PikoError } from '../../errors.ts'

/** Smaller pieces are gathered, because each buffer costs a hundred bytes of its own and keeps the packet it came in. */
const SMALL_PIECE = 4_096
const GATHERED = 16_384

/** Bytes that have arrived and wait for their reader. */
export class Inbox {
  readonly #freed: (bytes: number) => void
  #chunks: Buffer[] = []
  /** Where small pieces are gathered; the last chunk is its filled part. */
  #gathering: { readonly buffer: Buffer; filled: number } | undefined
  #unread = 0
  #isEnded = false
  #failure: PikoError | undefined
  #waiting: PromiseWithResolvers<Buffer | undefined> | undefined

  /** @param freed called with each number of bytes that have left the memory */
  constructor(freed: (bytes: number) => void) {
    this.#freed = freed
  }

  /** Bytes in memory. */
  get unread(): number {
    return this.#unread
  }

  push(bytes: Buffer): void {
    if (this.#failure) return this.#freed(bytes.length)
    if (this.#waiting) return this.#hand(bytes)
    this.#unread += bytes.length
    if (bytes.length < SMALL_PIECE) this.#gather(bytes)
    else {
      this.#gathering = undefined
      this.#chunks.push(bytes)
    }
  }

  end(): void {
    this.#isEnded = true
    this.#settle()
  }

  /** Discards what is there. */
  fail(reason: PikoError): void {
    this.#failure ??= reason
    this.#freed(this.#unread)
    this.#unread = 0
    this.#chunks = []
    this.#gathering = undefined
    this.#settle()
  }

  read(): Promise<Buffer | undefined> {
    const chunk = this.#chunks.shift()
    if (chunk) {
      if (this.#chunks.length === 0) this.#gathering = undefined
      this.#unread -= chunk.length
      this.#freed(chunk.length)
      return Promise.resolve(chunk)
    }
    if (this.#failure) return Promise.reject(this.#failure)
    if (this.#isEnded) return Promise.resolve(undefined)
    this.#waiting = Promise.withResolvers<Buffer | undefined>()
    return this.#waiting.promise
  }

  #hand(bytes: Buffer): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    this.#freed(bytes.length)
    waiting?.resolve(bytes)
  }

  #settle(): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    if (this.#failure) waiting?.reject(this.#failure)
    else waiting?.resolve(undefined)
  }

  #gather(bytes: Buffer): void {
    if (!this.#gathering || this.#gathering.filled + bytes.length > GATHERED) {
      this.#gathering = { buffer: Buffer.allocUnsafeSlow(GATHERED), filled: 0 }
      this.#chunks.push(this.#gathering.buffer.subarray(0, 0))
    }
    const { buffer, filled } = this.#gathering
    buffer.set(bytes, filled)
    this.#gathering.filled += bytes.length
    const from = (this.#chunks.at(-1) as Buffer).byteOffset - buffer.byteOffset
    this.#chunks[this.#chunks.length - 1] = buffer.subarray(from, this.#gathering.filled)
  }
}
