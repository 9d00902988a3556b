import { createHash } from 'node:crypto'
import type { ReadyBody } from './request.ts'

/** Two requests of a step with equal parts are the same item. */
export interface KeyParts {
  readonly method: string
  readonly canonicalUrl: string
  readonly body: ReadyBody | undefined
  /** The request's own `dedup` text. */
  readonly extra: string
}

/** The maximum length of a key that is stored as plain text, in characters. */
const MAX_PLAIN = 1_500
/** The number of characters of a longer key that come before its hash. */
const SHOWN = 1_000

/**
 * The key of an item: method and URL, so that people can read it in a list of items. If the request has further parts or the URL is too
 * long, the SHA-256 of all parts follows. So requests with equal keys have equal parts.
 */
export function itemKey(parts: KeyParts): string {
  const { method, canonicalUrl, body, extra } = parts
  const plain = `${method} ${canonicalUrl}`
  const isWhole = !body && extra === '' && plain.length <= MAX_PLAIN && !/\s/.test(canonicalUrl) && plain.isWellFormed()
  return isWhole ? plain : `${plain.slice(0, SHOWN).toWellFormed()} ${fingerprint(parts)}`
}

/** The SHA-256 of all parts. The length of each part is hashed before the part, so that different parts never give the same bytes. */
function fingerprint({ method, canonicalUrl, body, extra }: KeyParts): string {
  const hash = createHash('sha256')
  for (const part of [method, canonicalUrl, bytesOf(body), extra]) {
    const bytes = Buffer.from(part)
    hash.update(`${bytes.length}:`).update(bytes)
  }
  return hash.digest('hex')
}

/** The bytes of a request's body; empty without a body. */
export function bytesOf(body: ReadyBody | undefined): Uint8Array {
  if (!body) return new Uint8Array()
  return 'text' in body ? Buffer.from(body.text) : Buffer.from(body.base64, 'base64')
}
