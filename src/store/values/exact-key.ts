/** The mark sorts before a space, so a marked key equals no other one. */
const MARK = '\u0001'

/**
 * The stored form of a text key. In every collation that all versions of MySQL share, comparisons ignore trailing spaces. So no stored key
 * ends with one. Different keys have different stored forms.
 */
export function exactKey(key: string): string {
  return key.endsWith(' ') || key.endsWith(MARK) ? key + MARK : key
}

/** The key of a stored form. On SQLite, a person may have stored a value that is not text. */
export function keyOf(stored: unknown): string {
  if (typeof stored !== 'string') return String(stored)
  return stored.endsWith(MARK) ? stored.slice(0, -MARK.length) : stored
}

const VISIBLE_ASCII = /^[!-~]+$/

/** The job id to search for. Job ids have only ASCII characters; MySQL would ignore a trailing space, and fail on other characters. */
export function exactId(jobId: string): string {
  return VISIBLE_ASCII.test(jobId) ? jobId : ''
}

/** Whether a key is stored unchanged: a lone surrogate would become another character. */
export function isKey(key: unknown, maxCharacters: number): key is string {
  return typeof key === 'string' && key !== '' && exactKey(key).length <= maxCharacters && key.isWellFormed()
}
