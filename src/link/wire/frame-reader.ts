import { ByteQueue } from './byte-queue.ts'
import { Frame, type FrameHeader, HEADER_BYTES, readHeader } from './frame.ts'

/** Finds the frames in a stream of bytes. It does not matter how the bytes are divided into pieces. */
export class FrameReader {
  readonly #maxFrame: number
  readonly #bytes: ByteQueue
  readonly #used: ((bytes: Buffer) => void) | undefined
  #header: FrameHeader | undefined

  /**
   * @param maxFrame the maximum body of a DATA frame
   * @param bytes the bytes that have already been received
   * @param used called with the bytes of headers that are no longer needed
   */
  constructor(maxFrame: number, bytes = new ByteQueue(), used?: (bytes: Buffer) => void) {
    this.#used = used
    this.#maxFrame = maxFrame
    this.#bytes = bytes
  }

  /** Whether the last frame is incomplete. */
  get isInFrame(): boolean {
    return this.#header !== undefined || this.#bytes.length > 0
  }

  push(chunk: Buffer): void {
    this.#bytes.push(chunk)
  }

  /**
   * Returns the next complete frame.
   *
   * @throws PikoError `LINK_BROKEN`
   */
  next(): Frame | undefined {
    if (!this.#header) {
      const bytes = this.#bytes.take(HEADER_BYTES)
      if (!bytes) return undefined
      this.#header = readHeader(bytes, this.#maxFrame)
      this.#used?.(bytes)
    }
    const pieces = this.#bytes.takePieces(this.#header.length)
    if (!pieces) return undefined
    const header = this.#header
    this.#header = undefined
    return new Frame(header, pieces)
  }
}
