import { setImmediate as nextTurn } from 'node:timers/promises'
import { PikoError } from '../../errors.ts'
import { describe } from '../../errors.ts'
import { kindOf } from '../../json/json-copy.ts'
import type { FileWriter } from './file-writer.ts'
import type { RowEncoder } from './file-attempt.ts'

/** The number of characters to encode in one turn of the event loop; this takes about 2 ms. */
const MAX_CHARACTERS_A_TURN = 500_000

/** Encodes rows as lines of text. */
export class LineEncoder implements RowEncoder<readonly string[]> {
  readonly #file: FileWriter
  readonly #line: (row: object, where: () => string) => string
  readonly #place: string
  /** Text to write before the first row, such as the names of columns. */
  #head: string

  /**
   * @param place the path of the file, for messages
   * @param line the text of a row with its line end
   */
  constructor(file: FileWriter, place: string, line: (row: object, where: () => string) => string, head = '') {
    this.#file = file
    this.#place = place
    this.#line = line
    this.#head = head
  }

  async encode(rows: readonly object[], from: number): Promise<readonly string[]> {
    const chunks: string[] = []
    let text = ''
    for (const [index, row] of rows.entries()) {
      text += this.#line(row, () => `row ${from + index} for file ${this.#place}`)
      if (text.length < MAX_CHARACTERS_A_TURN) continue
      chunks.push(text)
      text = ''
      await nextTurn()
    }
    chunks.push(text)
    return chunks
  }

  async write(chunks: readonly string[]): Promise<void> {
    await this.#begin()
    for (const chunk of chunks) if (chunk !== '') await this.#file.write(chunk)
  }

  async end(): Promise<void> {
    await this.#begin()
  }

  async #begin(): Promise<void> {
    const head = this.#head
    this.#head = ''
    if (head !== '') await this.#file.write(head)
  }
}

/**
 * Creates the error for a value that the format can't represent.
 *
 * @returns PikoError `SINK_ROW_INVALID`
 */
export function unfitValue(where: string, path: string, value: unknown, expected: string): PikoError {
  return new PikoError(
    'SINK_ROW_INVALID',
    `${path === '' ? '' : `${path} of `}${where} is ${shown(value)}; expected ${expected}`,
  )
}

function shown(value: unknown): string {
  if (value instanceof Date) return 'an invalid date'
  if (typeof value === 'object' && value !== null) return `an instance of ${kindOf(value)}`
  return typeof value === 'string' ? `text with half of a surrogate pair: ${describe(value)}` : describe(value)
}
