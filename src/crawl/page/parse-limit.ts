import { type Context, createContext, Script } from 'node:vm'
import { propertyOf } from '../../errors-read.ts'

/** Even in the worst case, shorter texts are parsed within a fraction of a second. */
const SHORT_CHARS = 50_000
const BASE_MS = 1_000
const CHARS_PER_MS = 1_000
const TRIES = 3

/** A text that takes too long to parse. */
export class ParsedTooSlowly extends Error {}

const SCRIPT = new Script('work()')
let context: (Context & { work?: (() => unknown) | undefined }) | undefined

/**
 * Parses a text within a time that grows with its length: about five times what a page of that length usually takes. The time to parse
 * HTML can grow with the square of its length, for instance with a million attributes of one tag. Such a page must not stop the process.
 *
 * @throws ParsedTooSlowly, or the error of `parse`
 */
export function parsedInTime<T>(text: string, parse: (text: string) => T): T {
  if (text.length < SHORT_CHARS) return parse(text)
  const ms = Math.ceil(BASE_MS + text.length / CHARS_PER_MS)
  context ??= createContext({ work: undefined })
  context.work = () => parse(text)
  try {
    for (let tries = 1; ; tries++) {
      const before = process.cpuUsage()
      try {
        // Only a script of `node:vm` can be ended while its code, and all that it calls, does not return.
        return SCRIPT.runInContext(context, { timeout: ms }) as T
      } catch (thrown) {
        if (propertyOf(thrown, 'code') !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw thrown
        // The time limit is one of the wall clock. A process that was suspended, or got little of the processor, tries again.
        if (tries < TRIES && process.cpuUsage(before).user < (ms * 1_000) / 2) continue
        throw new ParsedTooSlowly(`has a body of ${text.length} characters that takes more than ${ms} ms to parse`)
      }
    }
  } finally {
    context.work = undefined
  }
}
