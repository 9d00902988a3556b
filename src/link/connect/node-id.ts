import { randomBytes } from 'node:crypto'

const own = randomBytes(16)

/** Returns this node's id for the preface: 16 bytes. */
export function nodeIdOf(given: string | undefined): Uint8Array {
  return given === undefined ? own : Buffer.from(given, 'hex')
}
