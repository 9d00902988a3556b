/** The limits of one end of a connection: sizes, numbers and times. */
export interface LinkLimits {
  /** The maximum size of a frame from the other end, in bytes. Default 64 KB; 1 KB to 1 MB. */
  readonly maxFrame: number
  /** How many bytes of a message the other end may send before they are read. Default 1 MB. */
  readonly window: number
  /** The maximum number of messages of the other end that may be open. Default 1,000. */
  readonly maxOpen: number
  /** How long the handshake may take. Default 10 s. */
  readonly handshakeMs: number
  /** The time between two PINGs. Default 10 s. Three PINGs without an answer end the connection. */
  readonly pingMs: number
}

export const DEFAULT_LIMITS: LinkLimits = {
  maxFrame: 65_536,
  window: 1_048_576,
  maxOpen: 1_000,
  handshakeMs: 10_000,
  pingMs: 10_000,
}

/** After this many PINGs without an answer, the connection counts as lost. */
export const MAX_UNANSWERED = 3
