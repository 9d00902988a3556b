/** Received bytes that have not been read yet. It accepts pieces of any length, and returns pieces of exact lengths. */
export class ByteQueue {
  readonly #copied: ((part: Buffer) => void) | undefined
  #chunks: Buffer[] = []
  /** The first chunk with unread bytes. */
  #first = 0
  /** The position of the first unread byte in that chunk. */
  #offset = 0
  #length = 0

  /** @param copied called with parts of chunks that were copied and are no longer needed */
  constructor(copied?: (part: Buffer) => void) {
    this.#copied = copied
  }

  get length(): number {
    return this.#length
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return
    this.#chunks.push(chunk)
    this.#length += chunk.length
  }

  /** Takes exactly `bytes` bytes. Returns undefined if there are fewer. Copies only if the bytes are in several pieces. */
  take(bytes: number): Buffer | undefined {
    if (this.#length < bytes) return undefined
    const head = this.#chunks[this.#first]
    this.#length -= bytes
    if (head && head.length - this.#offset >= bytes) {
      const part = head.subarray(this.#offset, this.#offset + bytes)
      this.#advance(bytes)
      return part
    }
    return this.#gather(bytes)
  }

  /** Like {@link take}, but without copying: returns the pieces as they arrived. */
  takePieces(bytes: number): readonly Buffer[] | undefined {
    if (this.#length < bytes) return undefined
    const pieces: Buffer[] = []
    for (let left = bytes; left > 0;) {
      const piece = this.takeSome(left)
      pieces.push(piece)
      left -= piece.length
    }
    return pieces
  }

  /** Takes at most `bytes` bytes without copying. */
  takeSome(bytes: number): Buffer {
    const head = this.#chunks[this.#first]
    if (!head) return Buffer.alloc(0)
    const part = head.subarray(this.#offset, this.#offset + bytes)
    this.#length -= part.length
    this.#advance(part.length)
    return part
  }

  clear(): void {
    this.#chunks = []
    this.#first = this.#offset = this.#length = 0
  }

  #gather(bytes: number): Buffer {
    const whole = Buffer.allocUnsafe(bytes)
    let filled = 0
    while (filled < bytes) {
      const head = this.#chunks[this.#first] as Buffer
      const part = head.subarray(this.#offset, this.#offset + bytes - filled)
      whole.set(part, filled)
      filled += part.length
      this.#advance(part.length)
      this.#copied?.(part)
    }
    return whole
  }

  #advance(bytes: number): void {
    this.#offset += bytes
    if (this.#offset < (this.#chunks[this.#first] as Buffer).length) return
    this.#offset = 0
    this.#first++
    if (this.#first === this.#chunks.length) {
      this.#chunks = []
      this.#first = 0
    } else if (this.#first >= 1_024) {
      this.#chunks.splice(0, this.#first)
      this.#first = 0
    }
  }
}
