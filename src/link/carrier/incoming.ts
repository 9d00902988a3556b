import { PikoError } from '../../errors.ts'
import { Digest, sha256Of } from '../wire/digest.ts'
import { isTrailerOf, TRAILER_BYTES } from '../wire/frame.ts'
import type { Head, ReplyEnd } from '../wire/head.ts'
import { readReplyEnd } from '../wire/head.ts'
import { CANCEL_CODES, type IncomingMessage } from './carrier.ts'
import type { ChunkMemory } from './chunk-memory.ts'
import { Inbox } from './inbox.ts'

/** The methods of a connection that a received message uses. */
export interface IncomingOwner {
  /** Frees the memory of bytes that are no longer used. */
  readonly memory: ChunkMemory
  /** Called when the reader of a message has read bytes. */
  consumed(message: Incoming, bytes: number): void
  /** Called when bytes are no longer in memory: they were read, dropped or written to a file. */
  freed(bytes: number): void
  /** Called with the number of bytes when their write to a file begins, and with the negative number when it ends. */
  parking(bytes: number): void
  /**
   * Called when the message has ended.
   *
   * @param cancel the code and reason to send to the other end
   */
  over(message: Incoming, cancel?: { readonly code: number; readonly reason: string }): void
}

/** A message from the other end. Its frames arrive while it is read. */
export class Incoming implements IncomingMessage {
  readonly id: number
  readonly level: number
  readonly head: Head
  end: ReplyEnd | undefined
  /** The number of bytes that the other end may still send. */
  credit: number
  /** How many bytes have been read but not yet returned to the sender as credit. */
  owed = 0
  readonly #owner: IncomingOwner
  /** The whole body, if it came in one frame and has not been read yet. */
  #whole: Buffer | undefined
  #inbox: Inbox | undefined
  #digest: Digest | undefined
  #total = 0
  #isComplete = false
  #isOver = false
  #isReleased = false
  #cancelled: ((reason: PikoError) => void) | undefined

  constructor(id: number, level: number, head: Head, credit: number, owner: IncomingOwner) {
    this.id = id
    this.level = level
    this.head = head
    this.credit = credit
    this.#owner = owner
  }

  get isComplete(): boolean {
    return this.#isComplete
  }

  /** Whether further frames of this message are ignored. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** How many bytes are in memory and not read yet. */
  get unread(): number {
    return this.#inbox?.unread ?? 0
  }

  /** Moves unread bytes to a temporary file. */
  park(): void {
    this.#inbox?.park()
  }

  // Methods that handle received frames.

  /** Handles a message that came in one frame: its bytes and its trailer. */
  arrivedWhole(body: Buffer): void {
    const at = body.length - TRAILER_BYTES
    const bytes = body.subarray(0, at)
    this.#isComplete = true
    this.#total = at
    if (isTrailerOf(body, at, at, sha256Of(bytes))) this.#whole = bytes
    else this.#corrupt()
    if (this.head.kind !== 'request') this.release()
  }

  arrived(bytes: Buffer): void {
    this.#total += bytes.length
    ;(this.#digest ??= new Digest()).update(bytes)
    this.#box().push(bytes)
  }

  /** Handles the last DATA frame: its bytes and its trailer. */
  arrivedLast(body: Buffer): void {
    const at = body.length - TRAILER_BYTES
    if (at > 0) this.arrived(body.subarray(0, at))
    this.#finish(body, at)
  }

  /** Handles an END frame. @throws PikoError `LINK_BROKEN` */
  arrivedEnd(body: Buffer): void {
    this.end = readReplyEnd(body.subarray(TRAILER_BYTES))
    this.#finish(body, 0)
  }

  #finish(body: Buffer, at: number): void {
    this.#isComplete = true
    if (!isTrailerOf(body, at, this.#total, (this.#digest ?? new Digest()).end())) return this.#corrupt()
    this.#box().end()
    if (this.head.kind !== 'request') this.release()
  }

  #corrupt(): void {
    const error = new PikoError(
      'LINK_CORRUPT',
      `a message of ${this.#total} bytes arrived damaged: its length or SHA-256 differs; send it again`,
      { details: { route: this.head.route, bytes: this.#total } },
    )
    this.failed(error)
    this.#owner.over(this, { code: CANCEL_CODES.corrupt, reason: 'the length or the SHA-256 differs' })
  }

  /** Ends the message with an error, because its sender has cancelled it or the connection has ended. */
  failed(reason: PikoError): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#box().fail(reason)
    if (this.#isReleased) return
    this.#isReleased = true
    this.#cancelled?.(reason)
  }

  // Methods for the reader.

  take(max: number): Buffer | undefined {
    const whole = this.#whole
    if (!whole || whole.length > max) return undefined
    this.#whole = undefined
    return whole
  }

  async read(): Promise<Buffer | undefined> {
    const whole = this.take(Infinity)
    if (whole && whole.length > 0) return whole
    if (!this.#inbox && this.#isComplete) return undefined
    const bytes = await this.#box().read()
    if (bytes) this.#owner.consumed(this, bytes.length)
    return bytes
  }

  used(bytes: Buffer): void {
    this.#owner.memory.used(bytes)
  }

  cancel(code: number, reason: string): void {
    if (this.#isOver) return
    const wasOver = this.#isComplete && this.#isReleased
    this.#isOver = this.#isReleased = true
    this.#box().fail(new PikoError('LINK_CANCELLED', `this end cancelled the message: ${reason}`))
    this.#owner.over(this, wasOver ? undefined : { code, reason })
  }

  onCancelled(callback: (reason: PikoError) => void): void {
    this.#cancelled = callback
  }

  release(): void {
    if (this.#isReleased) return
    if (!this.#isComplete) return this.cancel(CANCEL_CODES.unwanted, 'it was answered before its end')
    this.#isReleased = true
    this.#owner.over(this)
  }

  get isReleased(): boolean {
    return this.#isReleased
  }

  #box(): Inbox {
    return (this.#inbox ??= new Inbox(
      (bytes) => this.#owner.freed(bytes),
      (bytes) => this.#owner.parking(bytes),
      this.#owner.memory,
    ))
  }
}
