import type { PikoError } from '../../errors.ts'
import type { Head, ReplyEnd } from '../wire/head.ts'

/** Why a message is cancelled: the codes of a CANCEL frame in docs/link-protocol.md. */
export const CANCEL_CODES = { unwanted: 1, deadline: 2, tooLarge: 3, full: 4, corrupt: 5, failed: 6 } as const

/** A message that this end sends. */
export interface OutgoingMessage {
  /** The id of the message; undefined until it has begun. */
  readonly id: number | undefined
  /** Whether the connection has accepted all bytes. */
  readonly isSent: boolean
  readonly isOver: boolean
  /**
   * Adds bytes. Resolves when there is room for more; this needs credit from the other end.
   *
   * @throws why the message can't be sent any more
   */
  write(bytes: Buffer): Promise<void>
  end(end?: ReplyEnd): void
  /** Cancels the message. Has no effect if it has ended. */
  cancel(code: number, reason: string): void
  /** Removes a request whose reply has ended. */
  release(): void
  /**
   * Resolves when the connection has accepted all bytes.
   *
   * @throws why that is impossible
   */
  whenSent(): Promise<void>
}

/** A message that the other end sends. */
export interface IncomingMessage {
  readonly id: number
  readonly level: number
  readonly head: Head
  /** The end of a reply. Available only after the last byte was read. */
  readonly end: ReplyEnd | undefined
  /** Returns the whole verified body if it came in one frame, has not been read, and is not longer than `max`; otherwise undefined. */
  take(max: number): Buffer | undefined
  /**
   * Returns the next bytes, or undefined at the verified end. Only one reader may call this, and only after the previous call has returned.
   * Reading gives credit to the sender.
   *
   * @throws PikoError `LINK_CORRUPT`, `LINK_CANCELLED`, `LINK_LOST`, `LINK_BROKEN`
   */
  read(): Promise<Buffer | undefined>
  /**
   * Must be called when these bytes of {@link read} are no longer needed anywhere. Frees their memory immediately; the garbage collector
   * would do so much later.
   */
  used(bytes: Buffer): void
  /** Drops the remaining bytes and asks the sender to stop. Has no effect if the message has ended. */
  cancel(code: number, reason: string): void
  /** Registers a function to call if the sender cancels the message or the connection ends before `release`. It is called at most once. */
  onCancelled(callback: (reason: PikoError) => void): void
  /** Removes a request that was answered. */
  release(): void
}

/** The message to send. */
export interface OutgoingSpec {
  readonly head: Head
  readonly level: number
  /** The whole body, if it is known. Otherwise the caller writes the body and ends it. */
  readonly whole?: Buffer
  /** Called with the id when the message begins. */
  readonly onBegun?: (id: number) => void
  /** Called once when the connection has accepted everything. */
  readonly onSent?: () => void
  /** Called at most once: if the other end cancels the message or the connection ends before `release`. */
  readonly onFailed?: (reason: PikoError) => void
}

/** What a carrier reports to its link. */
export interface CarrierEvents {
  readonly opened: () => void
  readonly message: (message: IncomingMessage) => void
  /** Called when the other end accepts no more new messages. */
  readonly leaving: () => void
  readonly closed: (reason: PikoError) => void
}

export interface CarrierStats {
  /** The round trip of the last PING in milliseconds; undefined before the first. */
  readonly rttMs: number | undefined
  /** How many messages are not finished, in both directions. */
  readonly open: number
  /** How many messages have data to send, by level. */
  readonly waiting: readonly number[]
  readonly sentBytes: number
  readonly receivedBytes: number
  readonly sentMessages: number
  readonly receivedMessages: number
  /** How many bytes have arrived but have not been read yet. */
  readonly unreadBytes: number
  /** How often a message had to wait for credit from the other end. */
  readonly creditWaits: number
}

/**
 * Carries messages in both directions over one connection. Other code uses only this interface, so another protocol could replace the
 * frames of `wire/`.
 */
export interface Carrier {
  readonly isOpen: boolean
  /** The id of the other end's node, in hexadecimal; undefined before the handshake. */
  readonly peerId: string | undefined
  readonly version: number | undefined
  /** The maximum number of messages that the other end accepts at the same time. */
  readonly maxOpen: number
  begin(spec: OutgoingSpec): OutgoingMessage
  /** Accepts no more new messages, and closes when no message is open. */
  leave(): void
  close(reason: PikoError): void
  stats(): CarrierStats
}
