import { createHash, randomBytes } from 'node:crypto'
import type { Role } from './actor.ts'

/** The beginning of every token, so that scanners for secrets recognize one. */
const PREFIX = 'piko_'
const SECRET_BYTES = 32
/** The shortest token that people may choose themselves, in a file of tokens. */
export const MIN_TOKEN_CHARACTERS = 32
export const MAX_TOKEN_CHARACTERS = 512
export const MAX_TOKEN_NAME = 100
/** The maximum number of globs of one token. */
export const MAX_TOKEN_JOBS = 100
export const MAX_GLOB_CHARACTERS = 128

/** The rights of a token, without its text. */
export interface TokenGrant {
  readonly name: string
  readonly role: Role
  /** Globs of job ids. Undefined: all jobs. */
  readonly jobs: readonly string[] | undefined
  /** When the token expires; undefined: never. */
  readonly expiresAt: Date | undefined
}

/** A name has at least one letter, because a number is the id of a token. */
const NAME = /^(?=.*\p{L})[\p{L}\p{N}][\p{L}\p{N} ._@/:-]*$/u

/** A new random text with 256 bits. */
export function newSecret(prefix = PREFIX): string {
  return `${prefix}${randomBytes(SECRET_BYTES).toString('base64url')}`
}

/**
 * The stored form of a token: its SHA-256 in hexadecimal. No slow hash is necessary, because it only protects guessable passwords, and a
 * token has 256 random bits.
 */
export function digestOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}

/** The reason why a name is not valid for a token; undefined if it is valid. */
export function nameProblem(name: unknown): string | undefined {
  const isName = typeof name === 'string' && name.length <= MAX_TOKEN_NAME && NAME.test(name) && name.trim() === name
  return isName
    ? undefined
    : `expected 1 to ${MAX_TOKEN_NAME} characters, at least one letter, then digits, spaces and . _ @ / : -`
}

/** The reason why a value is not valid as the globs of a token; undefined if it is valid. */
export function globsProblem(globs: unknown): string | undefined {
  const expected = `expected 1 to ${MAX_TOKEN_JOBS} globs of job ids, such as "orders_*"`
  if (!Array.isArray(globs) || globs.length === 0 || globs.length > MAX_TOKEN_JOBS) return expected
  const isGlob = (glob: unknown): boolean =>
    typeof glob === 'string' && glob.length <= MAX_GLOB_CHARACTERS && /^[!-~]+$/.test(glob)
  return globs.every(isGlob) ? undefined : expected
}
