import { createHash } from 'node:crypto'
import type { ReadyBody } from './request.ts'

/** What makes two requests of a step one item. */
export interface KeyParts {
  readonly method: string
  readonly canonicalUrl: string
  readonly body: ReadyBody | undefined
  /** The request's own `dedup` text. */
  readonly extra: string
}

/** The longest key that people read whole. */
const MAX_PLAIN = 1_500
const SHOWN = 1_000

/**
 * Method and URL, as people read them in a list of items. Whatever else makes the request different follows as the SHA-256 of all parts,
 * so equal keys have equal parts.
 */
export function itemKey(parts: KeyParts): string {
  const { method, canonicalUrl, body, extra } = parts
  const plain = `${method} ${canonicalUrl}`
  const isWhole = !body && extra === '' && plain.length <= MAX_PLAIN && !/\s/.test(canonicalUrl) && plain.isWellFormed()
  return isWhole ? plain : `${plain.slice(0, SHOWN).toWellFormed()} ${fingerprint(parts)}`
}

/** Each part is preceded by its length, so no two lists of parts join to the same bytes. */
function fingerprint({ method, canonicalUrl, body, extra }: KeyParts): string {
  const hash = createHash('sha256')
  for (const part of [method, canonicalUrl, bytesOf(body), extra]) {
    const bytes = Buffer.from(part)
    hash.update(`${bytes.length}:`).update(bytes)
  }
  return hash.digest('hex')
}

/** The bytes that a request sends. */
export function bytesOf(body: ReadyBody | undefined): Uint8Array {
  if (!body) return new Uint8Array()
  return 'text' in body ? Buffer.from(body.text) : Buffer.from(body.base64, 'base64')
}
