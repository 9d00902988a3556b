import type { SqlExecutor } from '../../sql/sql.ts'

const QUOTED = "''"

/**
 * Reads a statement's text token by token, without white space and comments. A token is a word in lower case, one other character, `@@`, or
 * `''` for any quoted text. Follows the rules of SQLite, and of MySQL in the SQL mode of Piko's sessions.
 */
export class SqlScanner {
  readonly #text: string
  readonly #isMysql: boolean
  #at = 0
  #begin = 0
  #previous: readonly [begin: number, end: number] = [0, 0]

  constructor(text: string, dialect: SqlExecutor['dialect']) {
    this.#text = text
    this.#isMysql = dialect === 'mysql'
  }

  /** The position at which the last token ends. */
  get position(): number {
    return this.#at
  }

  /** The character after the last token; empty at the end. */
  get following(): string {
    return this.#text[this.#at] ?? ''
  }

  /** The character before the last token, which must be a single character. Empty at the beginning. */
  get preceding(): string {
    return this.#text[this.#at - 2] ?? ''
  }

  /** The token before the last one, as it is written. */
  get previous(): string {
    return this.#text.slice(...this.#previous)
  }

  /** Returns the next token, or undefined at the end. */
  next(): string | undefined {
    this.#previous = [this.#begin, this.#at]
    for (;;) {
      const char = this.#text[this.#at]
      if (char === undefined) return undefined
      if (this.#skipBlank(char)) continue
      this.#begin = this.#at
      if (WORD_BEGIN.test(char)) return this.#word()
      this.#at += 1
      switch (char) {
        case "'":
        case '"':
          this.#skipQuoted(char, this.#isMysql)
          return QUOTED
        case '`':
          this.#skipQuoted(char, false)
          return QUOTED
        case '[':
          if (this.#isMysql) return char
          this.#skipPast(']')
          return QUOTED
        case '@':
          if (this.following !== '@') return char
          this.#at += 1
          return '@@'
        default:
          return char
      }
    }
  }

  #word(): string {
    const begin = this.#at
    this.#skip(WORD)
    return this.#text.slice(begin, this.#at).toLowerCase()
  }

  #skip(pattern: RegExp): boolean {
    pattern.lastIndex = this.#at
    if (!pattern.test(this.#text)) return false
    this.#at = pattern.lastIndex
    return true
  }

  /** Skips white space and comments. Returns true if it skipped any. */
  #skipBlank(char: string): boolean {
    const text = this.#text
    if (this.#skip(BLANKS)) return true
    if (char === '-' && text[this.#at + 1] === '-' && this.#isDashComment()) this.#skipPast('\n')
    else if (char === '#' && this.#isMysql) this.#skipPast('\n')
    else if (char === '/' && text[this.#at + 1] === '*') this.#skipBlockComment()
    // The end of a comment that MySQL executes.
    else if (this.#isMysql && char === '*' && text[this.#at + 1] === '/') this.#at += 2
    else return false
    return true
  }

  /** Whether a comment that starts with two dashes begins here. MySQL requires white space after the dashes. */
  #isDashComment(): boolean {
    const after = this.#text[this.#at + 2]
    return !this.#isMysql || after === undefined || BLANK.test(after)
  }

  #skipBlockComment(): void {
    if (this.#isMysql && this.#skip(EXECUTED)) return
    this.#at += 2
    this.#skipPast('*/')
  }

  #skipQuoted(quote: string, hasBackslashes: boolean): void {
    const text = this.#text
    for (;;) {
      const begin = this.#at
      this.#skipPast(quote)
      let first = this.#at - 1
      while (hasBackslashes && first > begin && text[first - 1] === '\\') first -= 1
      const isEscaped = (this.#at - 1 - first) % 2 === 1
      if (isEscaped && this.#at < text.length) continue
      if (this.following !== quote) return
      this.#at += 1
    }
  }

  #skipPast(end: string): void {
    const found = this.#text.indexOf(end, this.#at)
    this.#at = found < 0 ? this.#text.length : found + end.length
  }
}

const BLANK = /[\s\0]/
const BLANKS = /[\s\0]+/y
const WORD_BEGIN = /[\w\u0080-\uffff]/
const WORD = /[\w$\u0080-\uffff]+/y
/** Matches the beginning of a comment whose content the server executes as part of the statement: `/*!`, on MariaDB also `/*M!`. */
const EXECUTED = /\/\*M?!\d*/y
