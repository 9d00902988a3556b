import type { PikoError } from '../../errors.ts'
import type { Head, ReplyEnd } from '../wire/head.ts'

/** Why a message is cancelled: the codes of CANCEL in docs/link-protocol.md. */
export const CANCEL_CODES = { unwanted: 1, deadline: 2, tooLarge: 3, full: 4, corrupt: 5, failed: 6 } as const

/** A message that this end sends. */
export interface OutgoingMessage {
  /** Its id, as soon as it has begun. */
  readonly id: number | undefined
  /** Whether all bytes have been passed to the connection. */
  readonly isSent: boolean
  readonly isOver: boolean
  /**
   * Adds bytes. Resolves when there is room for more, which takes credit from the other end.
   *
   * @throws the reason why the message can't be sent any more
   */
  write(bytes: Buffer): Promise<void>
  end(end?: ReplyEnd): void
  /** Cancels the message. Does nothing if it has ended. */
  cancel(code: number, reason: string): void
  /** Forgets a request whose reply has ended. */
  release(): void
  /** Resolves when all bytes have been passed to the connection. @throws the reason why that is impossible */
  whenSent(): Promise<void>
}

/** A message that the other end sends. */
export interface IncomingMessage {
  readonly id: number
  readonly level: number
  readonly head: Head
  /** The end of a reply. It is available only after the last byte was read. */
  readonly end: ReplyEnd | undefined
  /** Reads the complete, verified body if it has already arrived and is not longer than this. */
  take(max: number): Buffer | undefined
  /**
   * The next bytes, or undefined at the verified end. Only one reader may call it, and only after the previous result. Reading gives credit
   * to the sender.
   *
   * @throws PikoError `LINK_CORRUPT`, `LINK_CANCELLED`, `LINK_LOST`, `LINK_BROKEN`
   */
  read(): Promise<Buffer | undefined>
  /**
   * The reader does not need these bytes of {@link read} any more, and nobody else does. Frees their memory, which the garbage collector
   * would do much later.
   */
  used(bytes: Buffer): void
  /** Discards the rest and tells the sender to stop. Does nothing if the message has ended. */
  cancel(code: number, reason: string): void
  /** Called once if the sender cancels it, or the connection ends, before it was released. */
  onCancelled(callback: (reason: PikoError) => void): void
  /** Forgets a request that was answered. */
  release(): void
}

/** The properties of a message to send. */
export interface OutgoingSpec {
  readonly head: Head
  readonly level: number
  /** The complete body if it is known. Without it, the caller writes and ends it. */
  readonly whole?: Buffer
  /** Called with the id when the message begins. */
  readonly onBegun?: (id: number) => void
  /** Called once when everything has been given to the connection. */
  readonly onSent?: () => void
  /** Called once if the other end cancels it, or the connection ends, before it was released. */
  readonly onFailed?: (reason: PikoError) => void
}

/** The events that a carrier reports to its link. */
export interface CarrierEvents {
  readonly opened: () => void
  readonly message: (message: IncomingMessage) => void
  /** The other end accepts no new messages. */
  readonly leaving: () => void
  readonly closed: (reason: PikoError) => void
}

export interface CarrierStats {
  /** The round trip of the last PING in milliseconds; undefined before the first. */
  readonly rttMs: number | undefined
  /** The number of unfinished messages in both directions. */
  readonly open: number
  /** The number of messages with data to send, by level. */
  readonly waiting: readonly number[]
  readonly sentBytes: number
  readonly receivedBytes: number
  readonly sentMessages: number
  readonly receivedMessages: number
  /** The number of bytes that have arrived and that no reader has taken. */
  readonly unreadBytes: number
  /** How often a message had to wait for credit of the other end. */
  readonly creditWaits: number
}

/**
 * Carries messages in both directions over one connection. All other code uses only this interface, so that another protocol can replace
 * the frames of `wire/`.
 */
export interface Carrier {
  readonly isOpen: boolean
  /** The id of the node at the other end in hexadecimal; undefined before the handshake. */
  readonly peerId: string | undefined
  readonly version: number | undefined
  /** The maximum number of messages that the other end accepts at the same time. */
  readonly maxOpen: number
  begin(spec: OutgoingSpec): OutgoingMessage
  /** Accepts no new messages, and closes when no message is open. */
  leave(): void
  close(reason: PikoError): void
  stats(): CarrierStats
}
