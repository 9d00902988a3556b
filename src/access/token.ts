import { createHash, randomBytes } from 'node:crypto'
import type { Role } from './actor.ts'

/** The prefix of every token, so that secret scanners recognize tokens. */
const PREFIX = 'piko_'
const SECRET_BYTES = 32
/** The minimum length of a token that a person chose, in a tokens file. */
export const MIN_TOKEN_CHARACTERS = 32
export const MAX_TOKEN_CHARACTERS = 512
export const MAX_TOKEN_NAME = 100
/** The maximum number of globs of one token. */
export const MAX_TOKEN_JOBS = 100
export const MAX_GLOB_CHARACTERS = 128

/** What a token allows. It does not contain the token itself. */
export interface TokenGrant {
  readonly name: string
  readonly role: Role
  /** Globs of job ids. Undefined: all jobs. */
  readonly jobs: readonly string[] | undefined
  /** When the token expires; undefined: never. */
  readonly expiresAt: Date | undefined
}

/** A name has at least one letter, because a string of digits is read as the id of a token. */
const NAME = /^(?=.*\p{L})[\p{L}\p{N}][\p{L}\p{N} ._@/:-]*$/u

/** Returns a new random secret of 256 bits. */
export function newSecret(prefix = PREFIX): string {
  return `${prefix}${randomBytes(SECRET_BYTES).toString('base64url')}`
}

/**
 * Returns the form in which a token is stored: its SHA-256 in hexadecimal. A slow hash is not necessary: it protects passwords that can be
 * guessed, but a token has 256 random bits.
 */
export function digestOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}

/** Returns why a name is not valid for a token, or undefined if it is valid. */
export function nameProblem(name: unknown): string | undefined {
  const isName = typeof name === 'string' && name.length <= MAX_TOKEN_NAME && NAME.test(name) && name.trim() === name
  return isName
    ? undefined
    : `expected 1 to ${MAX_TOKEN_NAME} characters, at least one letter, then digits, spaces and . _ @ / : -`
}

/** Returns why a list of globs is not valid for a token, or undefined if it is valid. */
export function globsProblem(globs: unknown): string | undefined {
  const expected = `expected 1 to ${MAX_TOKEN_JOBS} globs of job ids, such as "orders_*"`
  if (!Array.isArray(globs) || globs.length === 0 || globs.length > MAX_TOKEN_JOBS) return expected
  const isGlob = (glob: unknown): boolean =>
    typeof glob === 'string' && glob.length <= MAX_GLOB_CHARACTERS && /^[!-~]+$/.test(glob)
  return globs.every(isGlob) ? undefined : expected
}
