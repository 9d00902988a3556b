/** Sorts before a blank, so a marked key equals no other one. */
const MARK = '\u0001'

/**
 * The stored form of a text key. MySQL ignores trailing blanks in comparisons, in every collation that all its versions share, so no stored
 * key ends with one. Different keys stay different.
 */
export function exactKey(key: string): string {
  return key.endsWith(' ') || key.endsWith(MARK) ? key + MARK : key
}

/** The key that is stored like this. SQLite accepts other values than text from a person. */
export function keyOf(stored: unknown): string {
  if (typeof stored !== 'string') return String(stored)
  return stored.endsWith(MARK) ? stored.slice(0, -MARK.length) : stored
}

const VISIBLE_ASCII = /^[!-~]+$/

/** The id of a job to search for. Ids have only ASCII characters. MySQL ignores a trailing blank and fails on other characters. */
export function exactId(jobId: string): string {
  return VISIBLE_ASCII.test(jobId) ? jobId : ''
}

/** Whether a key is stored unchanged: a lone surrogate would become another character. */
export function isKey(key: unknown, maxCharacters: number): key is string {
  return typeof key === 'string' && key !== '' && exactKey(key).length <= maxCharacters && key.isWellFormed()
}
