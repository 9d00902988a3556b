import { createHash, hash, type Hash } from 'node:crypto'

/** Many messages have no bytes. */
const OF_NOTHING = hash('sha256', '', 'binary')

/** The SHA-256 of a whole message, with one character for each byte: to make a buffer of it takes three times as long. */
export function sha256Of(bytes: Uint8Array): string {
  return bytes.length === 0 ? OF_NOTHING : hash('sha256', bytes, 'binary')
}

/** The SHA-256 of a message that is sent or received in pieces. */
export class Digest {
  #hash: Hash | undefined

  update(bytes: Uint8Array): void {
    ;(this.#hash ??= createHash('sha256')).update(bytes)
  }

  /** Ends it. @returns as {@link sha256Of} */
  end(): string {
    return this.#hash?.digest('binary') ?? OF_NOTHING
  }
}
