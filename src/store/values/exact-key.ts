/** Compares as less than a blank, so a marked key equals no other one. */
const MARK = '\u0001'

/**
 * A text key as it is stored. MySQL ignores blanks at the end of what it compares, in every collation that all its versions share, so
 * no stored key ends with one. Different keys stay different.
 */
export function exactKey(key: string): string {
  return key.endsWith(' ') || key.endsWith(MARK) ? key + MARK : key
}

const VISIBLE_ASCII = /^[!-~]+$/

/** A job's id to look for. Ids have no other characters; MySQL ignores a blank at the end and fails on others than ASCII. */
export function exactId(jobId: string): string {
  return VISIBLE_ASCII.test(jobId) ? jobId : ''
}

/** A key that is stored as it is: a lone surrogate would be stored as another character. */
export function isKey(key: unknown, maxCharacters: number): key is string {
  return typeof key === 'string' && key !== '' && exactKey(key).length <= maxCharacters && key.isWellFormed()
}
