import { createHash } from 'node:crypto'
import type { ReadyBody } from './request.ts'

/** The parts that identify an item. Two requests of a step with equal parts are the same item. */
export interface KeyParts {
  readonly method: string
  readonly canonicalUrl: string
  readonly body: ReadyBody | undefined
  /** The text of the request's option `dedup`. */
  readonly extra: string
}

/** The maximum length of a key that is stored as plain text, in characters. */
const MAX_PLAIN = 1_500
/** How many characters of a longer key come before its hash. */
const SHOWN = 1_000

/**
 * Returns the key of an item: the method and the URL, so that people can read it in a list of items. If the URL is too long or the request
 * has further parts, the SHA-256 of all parts follows. So equal keys mean equal parts.
 */
export function itemKey(parts: KeyParts): string {
  const { method, canonicalUrl, body, extra } = parts
  const plain = `${method} ${canonicalUrl}`
  const isWhole = !body && extra === '' && plain.length <= MAX_PLAIN && !/\s/.test(canonicalUrl) && plain.isWellFormed()
  return isWhole ? plain : `${plain.slice(0, SHOWN).toWellFormed()} ${fingerprint(parts)}`
}

/** Returns the SHA-256 of all parts. Each part is hashed after its length; otherwise different parts could produce the same bytes. */
function fingerprint({ method, canonicalUrl, body, extra }: KeyParts): string {
  const hash = createHash('sha256')
  for (const part of [method, canonicalUrl, bytesOf(body), extra]) {
    const bytes = Buffer.from(part)
    hash.update(`${bytes.length}:`).update(bytes)
  }
  return hash.digest('hex')
}

/** Returns the bytes of a request's body; empty without a body. */
export function bytesOf(body: ReadyBody | undefined): Uint8Array {
  if (!body) return new Uint8Array()
  return 'text' in body ? Buffer.from(body.text) : Buffer.from(body.base64, 'base64')
}
