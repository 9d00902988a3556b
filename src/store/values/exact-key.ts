/** The character that is added to a key. It sorts before a space, so a key with this character never equals another key. */
const MARK = '\u0001'

/**
 * Returns the stored form of a string key. Different keys have different stored forms. All collations that every version of MySQL supports
 * ignore trailing spaces in comparisons. So no stored key ends with a space.
 */
export function exactKey(key: string): string {
  return key.endsWith(' ') || key.endsWith(MARK) ? key + MARK : key
}

/** Returns the key of a stored form. On SQLite, a person may have stored a value that is not text. */
export function keyOf(stored: unknown): string {
  if (typeof stored !== 'string') return String(stored)
  return stored.endsWith(MARK) ? stored.slice(0, -MARK.length) : stored
}

const VISIBLE_ASCII = /^[!-~]+$/

/**
 * Returns the job id to search for; empty if the id can't exist. Job ids have only visible ASCII characters. MySQL would ignore a trailing
 * space, and fail on characters that are not ASCII.
 */
export function exactId(jobId: string): string {
  return VISIBLE_ASCII.test(jobId) ? jobId : ''
}

/**
 * Whether a value is a key that can be stored: a string that is not empty and fits into its column. A lone surrogate is not allowed,
 * because it would become another character.
 */
export function isKey(key: unknown, maxCharacters: number): key is string {
  return typeof key === 'string' && key !== '' && exactKey(key).length <= maxCharacters && key.isWellFormed()
}
