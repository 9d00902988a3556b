import type { Duplex } from 'node:stream'
import type { Clock } from '../../clock.ts'
import { MIN_FRAME } from '../wire/frame.ts'
import { InFlight } from './in-flight.ts'
import { Levels } from './levels.ts'
import type { Outgoing } from './outgoing.ts'

/** The approximate maximum size of one write. An urgent message need not wait for more than that. */
const MAX_WRITE = 65_536
/** The maximum size of a piece of a message while other messages are also waiting. */
const SHARED_PIECE = 16_384
/** By how many bytes messages of level 0 may exceed the limit of bytes in transit. */
const URGENT_EXTRA = 131_072
/** When this many messages are waiting, they are sent before the end of the turn, so that the other end can begin to work on them. */
const EAGER = 16
/** Smaller buffers are copied into one. Larger ones are written without a copy. */
const MIN_PART = 4_096
/** If more than this many bytes of control frames are waiting, because the other end does not read, the connection is closed. */
const MAX_CONTROL_BYTES = 1_048_576

export interface SenderDeps {
  readonly duplex: Duplex
  readonly clock: Clock
  /** The maximum body of a DATA frame that the other end accepts. */
  readonly maxFrame: number
  /** The initial credit of the connection. */
  readonly credit: number
  /**
   * Gives a message its id and its credit when it begins.
   *
   * @returns false if it can't begin any more
   */
  readonly begin: (message: Outgoing) => boolean
  readonly failed: (error: unknown) => void
  /** Called when all waiting frames are written. */
  readonly idle: () => void
}

/** Writes frames with one write at a time, the most urgent messages first, within the credit and the limit of bytes in transit. */
export class Sender {
  readonly #deps: SenderDeps
  readonly #levels = new Levels<Outgoing>()
  readonly #inFlight: InFlight
  #controls: Buffer[] = []
  #controlBytes = 0
  #credit: number
  #isWriting = false
  #writes = 0
  #isScheduled = false
  #isStopped = false
  sentBytes = 0
  creditWaits = 0

  constructor(deps: SenderDeps) {
    this.#deps = deps
    this.#credit = deps.credit
    this.#inFlight = new InFlight(deps.credit)
  }

  get waiting(): readonly number[] {
    return this.#levels.waiting
  }

  /** Whether frames are waiting or being written. `idle` is called afterwards. */
  get isBusy(): boolean {
    return this.#isWriting || this.#levels.size > 0
  }

  /** Sends a small frame before all waiting messages. */
  control(frame: Buffer): void {
    if (this.#isStopped) return
    this.#controls.push(frame)
    this.#controlBytes += frame.length
    if (this.#controlBytes > MAX_CONTROL_BYTES)
      return this.#deps.failed(new Error('the other end sends requests, but does not read'))
    this.#schedule()
  }

  ready(message: Outgoing): void {
    if (this.#isStopped) return
    if (message.isReady) {
      if (this.#levels.size >= EAGER) this.#write()
      this.#levels.add(message)
      this.#schedule()
    } else if (message.isWaitingForCredit) this.creditWaits++
  }

  remove(message: Outgoing): void {
    this.#levels.remove(message)
  }

  /** Adds credit: the other end accepts this many more bytes, counted over all messages. */
  credited(bytes: number): void {
    this.#credit += bytes
    this.#inFlight.received(bytes, this.#deps.clock.monotonic())
    this.#schedule()
  }

  /** Sends nothing more. Returns the messages that are waiting, some of which have not begun. */
  stop(): Outgoing[] {
    this.#isStopped = true
    this.#controls = []
    return this.#levels.drain()
  }

  /** Collects the frames of one turn of the event loop in a single write, because each write is a system call. */
  #schedule(): void {
    if (this.#isScheduled || this.#isWriting) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      this.#write()
    })
  }

  #write(): void {
    if (this.#isWriting || this.#isStopped) return
    // Set now, because other messages may become ready while frames are created.
    this.#isWriting = true
    const batch = this.#batch()
    if (this.#isStopped) return
    if (batch.length === 0) {
      this.#isWriting = false
      return this.#levels.size === 0 ? this.#deps.idle() : undefined
    }
    const write = ++this.#writes
    const { duplex } = this.#deps
    const last = batch.pop() as Buffer
    if (batch.length > 0) duplex.cork()
    for (const part of batch) duplex.write(part)
    duplex.write(last, (error) => {
      if (error) return this.#deps.failed(error)
      if (write === this.#writes) this.#isWriting = false
      this.#write()
    })
    if (batch.length > 0) duplex.uncork()
    // The kernel has already accepted everything, so there is no event to wait for.
    if (duplex.writableLength === 0) this.#isWriting = false
  }

  /** Returns the frames for one write. If that fails, only this connection fails, not the process. */
  #batch(): Buffer[] {
    try {
      return this.#nextBatch()
    } catch (error) {
      this.#deps.failed(error)
      return []
    }
  }

  #nextBatch(): Buffer[] {
    const parts: Buffer[] = this.#controls
    let bytes = this.#controlBytes
    this.#controls = []
    this.#controlBytes = 0
    let own = 0
    while (bytes < MAX_WRITE && own < this.#credit) {
      const message = this.#levels.take((level) => this.#mayGo(level, own))
      if (!message) break
      const frame = this.#nextFrame(message, this.#pieceOf(bytes, own))
      if (!frame) continue
      own += frame.bytes
      for (const part of frame.parts) {
        parts.push(part)
        bytes += part.length
      }
    }
    this.#credit -= own
    if (own > 0) this.#inFlight.sent(own, this.#deps.clock.monotonic())
    this.sentBytes += bytes
    // A stream that can write several buffers at once needs no copies of large ones.
    return this.#deps.duplex._writev ? joined(parts) : parts.length > 1 ? [Buffer.concat(parts, bytes)] : parts
  }

  #mayGo(level: number, own: number): boolean {
    const limit = this.#inFlight.limit + (level === 0 ? URGENT_EXTRA : 0)
    return this.#inFlight.bytes + own < limit
  }

  /** Returns how many bytes of a message to send in one frame. */
  #pieceOf(bytes: number, own: number): number {
    const { maxFrame } = this.#deps
    const left = Math.max(MIN_FRAME, MAX_WRITE - bytes)
    return Math.min(maxFrame, left, this.#credit - own, this.#levels.size > 0 ? SHARED_PIECE : maxFrame)
  }

  #nextFrame(message: Outgoing, most: number): ReturnType<Outgoing['nextFrame']> | undefined {
    const isFirst = message.id === undefined
    if (isFirst && !this.#deps.begin(message)) return undefined
    if (!isFirst && !message.isReady) return undefined
    const frame = message.nextFrame(most, isFirst)
    this.ready(message)
    return frame
  }
}

/** Joins small buffers, because an additional buffer costs more than a small copy. */
function joined(parts: readonly Buffer[]): Buffer[] {
  const all: Buffer[] = []
  let from = 0
  const join = (to: number): void => {
    if (to - from > 1) all.push(Buffer.concat(parts.slice(from, to)))
    else if (to > from) all.push(parts[from] as Buffer)
  }
  for (const [at, part] of parts.entries()) {
    if (part.length < MIN_PART) continue
    join(at)
    all.push(part)
    from = at + 1
  }
  join(parts.length)
  return all
}
