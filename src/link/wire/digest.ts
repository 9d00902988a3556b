import { createHash, hash, type Hash } from 'node:crypto'

/** The digest of a message without bytes. It is calculated only once, because there are many such messages. */
const OF_NOTHING = hash('sha256', '', 'binary')

/** Returns the SHA-256 of a whole message as a string with one character per byte, because creating a buffer takes three times as long. */
export function sha256Of(bytes: Uint8Array): string {
  return bytes.length === 0 ? OF_NOTHING : hash('sha256', bytes, 'binary')
}

/** Calculates the SHA-256 of a message that is sent or received in pieces. */
export class Digest {
  #hash: Hash | undefined

  update(bytes: Uint8Array): void {
    ;(this.#hash ??= createHash('sha256')).update(bytes)
  }

  /**
   * Finishes the digest.
   *
   * @returns the SHA-256, in the form of {@link sha256Of}
   */
  end(): string {
    return this.#hash?.digest('binary') ?? OF_NOTHING
  }
}
