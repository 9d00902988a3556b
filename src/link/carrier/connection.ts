import { randomBytes } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { systemClock, type Clock } from '../../clock.ts'
import { messageOf } from '../../errors-read.ts'
import { isPikoError, PikoError } from '../../errors.ts'
import { ByteQueue } from '../wire/byte-queue.ts'
import {
  broken,
  CANCEL,
  codeAndReason,
  CREDIT,
  creditBody,
  DATA,
  END,
  type Frame,
  GOAWAY,
  goAwayBody,
  MAX_HEAD_BYTES,
  OPEN,
  PING,
  PONG,
  readCodeAndReason,
  readGoAway,
  smallFrame,
  TRAILER_BYTES,
} from '../wire/frame.ts'
import { FrameReader } from '../wire/frame-reader.ts'
import { headText, readOpen } from '../wire/head.ts'
import { GOAWAY_CODES, type Preface, type Role, VERSION, WINDOWS_PER_CONNECTION } from '../wire/preface.ts'
import { ById } from './by-id.ts'
import { CANCEL_CODES, type Carrier, type CarrierEvents, type CarrierStats, type OutgoingSpec } from './carrier.ts'
import { ChunkMemory } from './chunk-memory.ts'
import { goneError, Handshake, type HandshakeStep, mayBePreface } from './handshake.ts'
import { Incoming } from './incoming.ts'
import { KeepAlive } from './keep-alive.ts'
import type { LinkLimits } from './limits.ts'
import { Outgoing } from './outgoing.ts'
import { Sender } from './sender.ts'

export interface ConnectionOptions {
  readonly duplex: Duplex
  /** Whether only the link uses the chunks of the stream, so that it may free their memory. Default false. */
  readonly ownsChunks?: boolean
  readonly role: Role
  readonly limits: LinkLimits
  readonly secret: string | undefined
  /** The id of this node: 16 bytes. */
  readonly nodeId: Uint8Array
  readonly clock?: Clock
  /** The protocol version that this end offers; only for tests. */
  readonly version?: number
}

/**
 * The receiver confirms at least this many bytes at a time. The number is small, because the sender uses the confirmations to measure the
 * connection.
 */
const CONFIRM_EACH = 32_768
/**
 * Each confirmation is a system call. So a confirmation waits as long as each turn of the event loop brings further bytes, until there are
 * this many. This is half of the minimum credit of a connection.
 */
const CONFIRM_MOST = 262_144
const LAST_ID = 2 ** 31 - 1
/** How long the last frames may take to be sent before the connection is destroyed. */
const FAREWELL_MS = 1_000

type State = 'handshake' | 'open' | 'closed'

// Long because it is the table of what each frame does; sender, handshake and messages have their own files.

/** Carries messages in frames over a stream of bytes, as in docs/link-protocol.md. */
export class Connection implements Carrier {
  readonly #options: ConnectionOptions
  readonly #events: CarrierEvents
  readonly #clock: Clock
  readonly #handshake: Handshake
  readonly #keepAlive: KeepAlive
  readonly #memory = new ChunkMemory()
  readonly #received = new ByteQueue((part) => this.#memory.used(part))
  #reader: FrameReader | undefined
  #sender: Sender | undefined
  #peer: Preface | undefined
  #state: State = 'handshake'
  version: number | undefined
  #timeout: NodeJS.Timeout | undefined
  /** Messages that are waiting until the handshake is finished. */
  readonly #early = new Set<Outgoing>()
  readonly #outgoing = new ById<Outgoing>()
  readonly #incoming = new ById<Incoming>()
  #lastOwnId: number
  #lastPeerId: number
  #isLeaving = false
  #peerTakes = Infinity
  #isReading = false
  /** How many received bytes are not confirmed yet. */
  #unconfirmed = 0
  /** Whether a confirmation is waiting for the next turn of the event loop. */
  #isConfirming = false
  #credit: number
  #unread = 0
  /** How many unread bytes are being written to files. */
  #parking = 0
  /** Messages that may have unread bytes in memory. */
  readonly #held = new Set<Incoming>()
  #stats = { receivedBytes: 0, sentMessages: 0, receivedMessages: 0 }

  constructor(options: ConnectionOptions, events: CarrierEvents) {
    this.#options = options
    this.#events = events
    this.#clock = options.clock ?? systemClock
    const { limits, role, duplex } = options
    this.#credit = limits.window * WINDOWS_PER_CONNECTION
    this.#lastOwnId = role === 'dial' ? -1 : 0
    this.#lastPeerId = role === 'dial' ? 0 : -1
    this.#handshake = new Handshake(
      {
        version: options.version ?? VERSION,
        hasSecret: options.secret !== undefined,
        role,
        maxFrame: limits.maxFrame,
        window: limits.window,
        maxOpen: limits.maxOpen,
        nodeId: options.nodeId,
        nonce: randomBytes(16),
      },
      options.secret,
    )
    this.#keepAlive = new KeepAlive(this.#clock, limits.pingMs, {
      ping: (body) => this.#sender?.control(smallFrame(PING, 0, body)),
      lost: () => this.#fail(lost('did not answer three PINGs')),
    })
    this.#timeout = setTimeout(() => this.#fail(lost('did not complete the handshake in time')), limits.handshakeMs)
    duplex.on('data', (bytes: Buffer) => this.#arrived(bytes))
    duplex.on('end', () => this.#ended())
    duplex.on('close', () => this.#fail(lost('closed the connection')))
    duplex.on('error', (error) => this.#fail(lost(`broke the connection (${messageOf(error)})`, error)))
    duplex.write(this.#handshake.preface)
  }

  get isOpen(): boolean {
    return this.#state === 'open' && !this.#isLeaving && this.#peerTakes === Infinity
  }

  get peerId(): string | undefined {
    return this.#peer && Buffer.from(this.#peer.nodeId).toString('hex')
  }

  get maxOpen(): number {
    return this.#peer?.maxOpen ?? this.#options.limits.maxOpen
  }

  /** Begins a message. @throws PikoError `USAGE` if the head is larger than 64 KB; the error of JSON if it can't represent `meta` */
  begin(spec: OutgoingSpec): Outgoing {
    const head = headText(spec.head)
    // A character has at most three bytes, so most heads need no exact count.
    if (head.length * 3 > MAX_HEAD_BYTES && Buffer.byteLength(head) > MAX_HEAD_BYTES) {
      const { route } = spec.head
      const what = route === undefined ? 'a reply' : `a message to ${route}`
      const message = `the head of ${what} has ${Buffer.byteLength(head)} bytes; headers and meta may have ${MAX_HEAD_BYTES} bytes together: put the rest into the body`
      throw new PikoError('USAGE', message)
    }
    const message = new Outgoing(spec, head, this.#outgoingOwner)
    // This is called later, because the caller does not have the message yet.
    if (this.#state === 'closed') queueMicrotask(() => message.failed(lost('is closed')))
    else if (this.#sender) this.#sender.ready(message)
    else this.#early.add(message)
    return message
  }

  leave(): void {
    if (this.#isLeaving || this.#state === 'closed') return
    this.#isLeaving = true
    this.#sender?.control(smallFrame(GOAWAY, 0, goAwayBody(Math.max(0, this.#lastPeerId), GOAWAY_CODES.stopping, '')))
    if (this.#state === 'handshake') this.#fail(lost('is closed'))
    else this.#endIfEmpty()
  }

  close(reason: PikoError): void {
    this.#fail(reason)
  }

  stats(): CarrierStats {
    return {
      rttMs: this.#keepAlive.rttMs,
      open: this.#outgoing.size + this.#incoming.size + this.#early.size,
      waiting: this.#sender?.waiting ?? [0, 0, 0, 0],
      sentBytes: this.#sender?.sentBytes ?? 0,
      unreadBytes: this.#unread,
      creditWaits: this.#sender?.creditWaits ?? 0,
      ...this.#stats,
    }
  }

  // Methods that handle received bytes and frames.

  #arrived(bytes: Buffer): void {
    if (this.#state === 'closed') return
    this.#stats.receivedBytes += bytes.length
    this.#keepAlive.heard()
    if (this.#options.ownsChunks) this.#memory.own(bytes)
    try {
      if (this.#reader) this.#reader.push(bytes)
      else this.#begun(bytes)
      // If both ends are in this process, a handler may make the other end answer during this call. The call that is already reading also
      // reads these bytes.
      if (this.#isReading) return
      this.#isReading = true
      for (let frame = this.#reader?.next(); frame; frame = this.#reader?.next()) {
        this.#frame(frame)
        if (this.#isClosed()) return
      }
      this.#isReading = false
      this.#confirmIfRoom()
    } catch (error) {
      this.#fail(isPikoError(error) ? error : broken(`something that could not be handled (${messageOf(error)})`))
    }
  }

  #begun(bytes: Buffer): void {
    if (this.#received.length === 0 && !mayBePreface(bytes)) throw broken('something that is not a link')
    this.#received.push(bytes)
    this.#take(this.#handshake.readPreface(this.#received))
    if (this.#handshake.hasPreface) {
      const { maxFrame } = this.#options.limits
      this.#reader = new FrameReader(maxFrame, this.#received, (header) => this.#memory.used(header))
    }
  }

  #take(step: HandshakeStep): void {
    const { duplex } = this.#options
    if (step.is === 'send') duplex.write(step.bytes)
    else if (step.is === 'refused') {
      if (step.bytes.length > 0) duplex.end(step.bytes)
      this.#fail(step.error, step.bytes.length > 0)
    } else if (step.is === 'open') {
      if (step.bytes) duplex.write(step.bytes)
      this.#open(step.peer, step.version)
    }
  }

  #open(peer: Preface, version: number): void {
    clearTimeout(this.#timeout)
    this.#peer = peer
    this.version = version
    this.#state = 'open'
    this.#sender = new Sender({
      duplex: this.#options.duplex,
      clock: this.#clock,
      maxFrame: Math.min(peer.maxFrame, this.#options.limits.maxFrame),
      credit: peer.window * WINDOWS_PER_CONNECTION,
      begin: (message) => this.#beginOnWire(message),
      failed: (error) => this.#fail(lost(`broke the connection (${messageOf(error)})`, error)),
      idle: () => this.#endIfEmpty(),
    })
    this.#keepAlive.start()
    for (const message of this.#early) this.#sender.ready(message)
    this.#early.clear()
    this.#events.opened()
  }

  #frame(frame: Frame): void {
    if (this.#state === 'handshake') return this.#take(this.#handshake.readFrame(frame))
    const { type, message } = frame
    if (type === DATA || type === END) return this.#continued(frame)
    const { body } = frame
    switch (type) {
      case OPEN:
        return this.#opened(frame)
      case CREDIT:
        return this.#credited(message, body.readUInt32BE(0))
      case CANCEL:
        return this.#cancelled(message, readCodeAndReason(body))
      case PING:
        return this.#sender?.control(smallFrame(PONG, 0, body))
      case PONG:
        return this.#keepAlive.answered(body)
      case GOAWAY:
        return this.#gone(readGoAway(body))
      default:
        throw broken(`a second frame of type ${type}`)
    }
  }

  #opened({ message: id, level, isLast, body }: Frame): void {
    if (id <= this.#lastPeerId || (id - this.#lastPeerId) % 2 !== 0) throw broken(`a new message with the id ${id}`)
    this.#lastPeerId = id
    const { head, first } = readOpen(body, this.#options.limits.maxFrame + (isLast ? TRAILER_BYTES : 0))
    const bytes = first.length - (isLast ? TRAILER_BYTES : 0)
    if (bytes < 0) throw broken('a frame without its trailer')
    const { window, maxOpen } = this.#options.limits
    const message = new Incoming(id, level, head, window, this.#incomingOwner)
    this.#confirm(bytes)
    if (this.#isLeaving && head.kind !== 'reply') return
    if (head.kind !== 'reply' && this.#incoming.size >= maxOpen) return this.#refuse(id, maxOpen)
    this.#stats.receivedMessages++
    this.#useCredit(message, bytes)
    this.#incoming.add(message)
    if (isLast) message.arrivedWhole(first)
    else if (first.length > 0) {
      this.#hold(message, first.length)
      message.arrived(first)
    }
    // The caller must see that its reply is damaged.
    if (!message.isOver || head.kind === 'reply') this.#events.message(message)
  }

  #refuse(id: number, maxOpen: number): void {
    const reason = `at most ${maxOpen} messages may be open`
    this.#sender?.control(smallFrame(CANCEL, id, codeAndReason(CANCEL_CODES.full, reason)))
  }

  #continued(frame: Frame): void {
    const { type, message: id, isLast } = frame
    const bytes = type === END ? 0 : frame.length - (isLast ? TRAILER_BYTES : 0)
    if (bytes < 0) throw broken('a frame without its trailer')
    this.#confirm(bytes)
    const message = this.#incoming.get(id)
    if (!message) return this.#assertWasOpen(id)
    if (message.isComplete) throw broken(`more of the message ${id} after its end`)
    this.#useCredit(message, bytes)
    if (message.isOver) return
    this.#hold(message, bytes)
    if (type === END) message.arrivedEnd(frame.body)
    else if (isLast) message.arrivedLast(frame.body)
    else for (const piece of frame.pieces) message.arrived(piece)
  }

  #useCredit(message: Incoming, bytes: number): void {
    message.credit -= bytes
    if (message.credit < 0) throw broken(`more bytes of the message ${message.id} than it has credit for`)
  }

  #assertWasOpen(id: number): void {
    const last = id % 2 === Math.abs(this.#lastPeerId % 2) ? this.#lastPeerId : this.#lastOwnId
    if (id > last) throw broken(`a frame of the message ${id}, which was not opened`)
  }

  #credited(id: number, bytes: number): void {
    if (id === 0) return this.#sender?.credited(bytes)
    const message = this.#outgoing.get(id)
    if (!message) return this.#assertWasOpen(id)
    message.credit = Math.min(message.credit + bytes, Number.MAX_SAFE_INTEGER)
    this.#sender?.ready(message)
  }

  #cancelled(id: number, { code, reason }: { readonly code: number; readonly reason: string }): void {
    const message = this.#incoming.get(id) ?? this.#outgoing.get(id)
    if (!message) return this.#assertWasOpen(id)
    message.failed(cancelError(code, reason))
    this.#incoming.delete(id)
    this.#outgoing.delete(id)
  }

  #gone(goAway: ReturnType<typeof readGoAway>): void {
    const error = goneError(goAway)
    if (goAway.code > GOAWAY_CODES.spent) return this.#fail(error)
    this.#peerTakes = goAway.last
    for (const message of this.#outgoing.all())
      if ((message.id ?? 0) > goAway.last && message.kind !== 'reply') message.failed(error)
    this.#events.leaving()
    this.#endIfEmpty()
  }

  // Methods that handle credit.

  /** Counts bytes that have arrived and are not confirmed yet. @throws PikoError `LINK_BROKEN` if they exceed the credit */
  #confirm(bytes: number): void {
    this.#credit -= bytes
    if (this.#credit < 0) throw broken('more bytes than the connection has credit for')
    this.#unconfirmed += bytes
  }

  #confirmIfRoom(isQuiet = false): void {
    const room = this.#options.limits.window * WINDOWS_PER_CONNECTION
    if (this.#unread - this.#parking > room / 2) this.#park(room / 2)
    // Bytes that arrived together are confirmed together.
    if (this.#unconfirmed < CONFIRM_EACH || this.#unread > room || this.#isReading) return
    if (isQuiet || this.#unconfirmed >= CONFIRM_MOST) this.#sendCredit()
    else if (!this.#isConfirming) this.#confirmSoon()
  }

  /** Confirms as soon as a turn of the event loop brings no more bytes. */
  #confirmSoon(): void {
    this.#isConfirming = true
    const before = this.#unconfirmed
    setImmediate(() => {
      this.#isConfirming = false
      this.#confirmIfRoom(this.#unconfirmed === before)
    })
  }

  #sendCredit(): void {
    this.#sender?.control(smallFrame(CREDIT, 0, creditBody(this.#unconfirmed)))
    this.#credit += this.#unconfirmed
    this.#unconfirmed = 0
  }

  /** Moves the largest unread messages to temporary files, so that slow readers do not block others. */
  #park(until: number): void {
    const slow = [...this.#held].toSorted((a, b) => b.unread - a.unread)
    for (const message of slow) {
      if (this.#unread - this.#parking <= until) return
      message.park()
      this.#held.delete(message)
    }
  }

  /** Counts bytes of a message that have arrived but have not been read yet. */
  #hold(message: Incoming, bytes: number): void {
    if (bytes === 0) return
    this.#unread += bytes
    this.#held.add(message)
  }

  readonly #incomingOwner = {
    memory: this.#memory,
    parking: (bytes: number): void => void (this.#parking += bytes),
    consumed: (message: Incoming, bytes: number): void => {
      if (message.unread === 0) this.#held.delete(message)
      message.owed += bytes
      if (message.isComplete || message.isOver || message.owed < this.#options.limits.window / 4) return
      this.#sender?.control(smallFrame(CREDIT, message.id, creditBody(message.owed)))
      message.credit += message.owed
      message.owed = 0
    },
    freed: (bytes: number): void => {
      this.#unread -= bytes
      this.#confirmIfRoom()
    },
    over: (message: Incoming, cancel?: { readonly code: number; readonly reason: string }): void => {
      if (message.unread === 0) this.#held.delete(message)
      if (cancel) this.#sender?.control(smallFrame(CANCEL, message.id, codeAndReason(cancel.code, cancel.reason)))
      if (message.isComplete || cancel) this.#incoming.delete(message.id)
      this.#endIfEmpty()
    },
  }

  readonly #outgoingOwner = {
    ready: (message: Outgoing): void => this.#sender?.ready(message),
    over: (message: Outgoing, cancel?: { readonly code: number; readonly reason: string }): void => {
      this.#early.delete(message)
      this.#sender?.remove(message)
      if (message.id === undefined) return
      if (cancel) this.#sender?.control(smallFrame(CANCEL, message.id, codeAndReason(cancel.code, cancel.reason)))
      if (message.isOver) this.#outgoing.delete(message.id)
      this.#endIfEmpty()
    },
  }

  #beginOnWire(message: Outgoing): boolean {
    const id = this.#lastOwnId + 2
    if (id > LAST_ID || (message.kind !== 'reply' && this.#peerTakes !== Infinity)) {
      message.failed(lost('takes no new messages'))
      if (id > LAST_ID) this.leave()
      return false
    }
    this.#lastOwnId = id
    this.#stats.sentMessages++
    message.begin(id, this.#peer?.window ?? 0)
    this.#outgoing.add(message)
    return true
  }

  // The methods from here on end the connection.

  #isClosed(): boolean {
    return this.#state === 'closed'
  }

  #ended(): void {
    const isCut = this.#reader?.isInFrame === true || (this.#state === 'handshake' && this.#received.length > 0)
    this.#fail(isCut ? broken('only a part of a frame') : lost('closed the connection'))
  }

  #endIfEmpty(): void {
    if (this.#state !== 'open' || (!this.#isLeaving && this.#peerTakes === Infinity)) return
    if (this.#outgoing.size + this.#incoming.size + this.#early.size > 0) return
    if (this.#sender?.isBusy) return
    // The last frames may not be in the socket yet, so the socket is ended and not destroyed.
    this.#options.duplex.end()
    this.#fail(lost('has stopped'), true)
  }

  /**
   * Ends the connection and all its messages.
   *
   * @param isPolite whether to send the frames that have already been written before the connection closes
   */
  #fail(reason: PikoError, isPolite = false): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    clearTimeout(this.#timeout)
    this.#keepAlive.stop()
    const waiting = this.#sender?.stop() ?? []
    const { duplex } = this.#options
    if (isPolite) setTimeout(() => duplex.destroy(), FAREWELL_MS).unref()
    else duplex.destroy()
    const all = new Set([...this.#outgoing.all(), ...waiting, ...this.#early, ...this.#incoming.all()])
    for (const message of all) message.failed(reason)
    this.#outgoing.clear()
    this.#incoming.clear()
    this.#held.clear()
    this.#received.clear()
    this.#events.closed(reason)
  }
}

/** Creates the error for a connection that has ended. */
export function lost(what: string, cause?: unknown): PikoError {
  return new PikoError('LINK_LOST', `the other end of the link ${what}`, cause === undefined ? {} : { cause })
}

function cancelError(code: number, reason: string): PikoError {
  const said = reason === '' ? '' : `: ${reason}`
  switch (code) {
    case CANCEL_CODES.deadline:
      return new PikoError('LINK_TIMEOUT', `the other end cancelled the message at its deadline${said}`)
    case CANCEL_CODES.tooLarge:
      return new PikoError('LINK_TOO_LARGE', `the other end refused the message, because it is too large${said}`)
    case CANCEL_CODES.full:
      return new PikoError('LINK_FULL', `the other end has too many open messages${said}; try again later`)
    case CANCEL_CODES.corrupt:
      return new PikoError('LINK_CORRUPT', `the message arrived damaged${said}; send it again`)
    default:
      return new PikoError('LINK_CANCELLED', `the other end cancelled the message${said}`)
  }
}
