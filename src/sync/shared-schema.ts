import { headline } from '../errors-read.ts'
import { describe, PikoError } from '../errors.ts'
import { jsonCopy, pathText } from '../json/json-copy.ts'
import { deepFreeze } from '../json/deep-freeze.ts'
import { checkedBy } from '../job/schemas/schema-check.ts'

/** The value of a stored string, or why it can't be used. */
export type SharedReading<T> = { readonly value: T } | { readonly error: PikoError }

/** The schema of a shared value. Converts values to their stored text and back. */
export class SharedSchema<T> {
  readonly #topic: string
  readonly #schema: object

  constructor(topic: string, schema: object) {
    this.#topic = topic
    this.#schema = schema
  }

  /**
   * Returns the JSON text to store for a value. The schema must also accept what will later be read back from this text.
   *
   * @param what the subject of the error
   * @throws PikoError `SHARED_INVALID` naming every part that JSON would lose, and every problem of the schema
   */
  textOf(value: unknown, maxBytes: number, what = `the value of "${this.#topic}"`): string {
    const copy = jsonCopy(value, maxBytes)
    const lost = copy.problems.map(({ path, text }) => `${pathText('value', path)} ${text}`)
    if (lost.length === 0 && copy.value === undefined) lost.push(`value is ${describe(value)}; expected JSON`)
    if (lost.length > 0) throw this.#invalid(`${what} can't be stored as JSON`, lost)
    const text = JSON.stringify(copy.value)
    const bytes = Buffer.byteLength(text)
    if (bytes > maxBytes) {
      const problem = `it is ${bytes} bytes of JSON; at most ${maxBytes} are stored: store the data elsewhere and share its location`
      throw this.#invalid(`${what} is too large`, [problem])
    }
    const problems = this.#problemsOf(copy.value)
    if (problems.length > 0) throw this.#invalid(`${what} does not match its schema`, problems)
    return text
  }

  /** Returns the value of a stored string. Never throws. */
  read(text: string): SharedReading<T> {
    let stored: unknown
    try {
      stored = JSON.parse(text)
    } catch (thrown) {
      return { error: this.#invalid(`the stored value of "${this.#topic}" is not JSON`, [headline(thrown)]) }
    }
    const answer = checkedBy(this.#schema, stored)
    if (answer.issues) {
      const problems = this.#problemsOf(stored)
      return { error: this.#invalid(`the stored value of "${this.#topic}" does not match the schema here`, problems) }
    }
    return { value: deepFreeze(answer.data as T) }
  }

  #problemsOf(value: unknown): string[] {
    const { issues = [] } = checkedBy(this.#schema, value)
    return issues.map(({ path, message }) => `${path.map(String).join('.') || 'value'}: ${message}`)
  }

  #invalid(what: string, problems: readonly string[]): PikoError {
    return new PikoError('SHARED_INVALID', `${what}: ${problems.join('; ')}`, {
      details: { topic: this.#topic, problems },
    })
  }
}
