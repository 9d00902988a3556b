import { type Context, createContext, Script } from 'node:vm'
import { propertyOf } from '../../errors-read.ts'

/** Shorter documents need no time limit: even in the worst case, they are parsed within a fraction of a second. */
const SHORT_CHARS = 50_000
const BASE_MS = 1_000
const CHARS_PER_MS = 1_000
const TRIES = 3

/** Thrown if a document takes too long to parse. */
export class ParsedTooSlowly extends Error {}

const SCRIPT = new Script('work()')
let context: (Context & { work?: (() => unknown) | undefined }) | undefined

/**
 * Parses a document with a time limit that grows with its length: about five times the usual time for a page of that length. The time to
 * parse HTML can grow with the square of its length, for example if a tag has a million attributes. Such a page must not block the process.
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
        // Only a `node:vm` script can be interrupted while synchronous code runs.
        return SCRIPT.runInContext(context, { timeout: ms }) as T
      } catch (thrown) {
        if (propertyOf(thrown, 'code') !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw thrown
        // The timeout measures elapsed time. If the process was suspended or got little processor time, the text is parsed again.
        if (tries < TRIES && process.cpuUsage(before).user < (ms * 1_000) / 2) continue
        throw new ParsedTooSlowly(`has a body of ${text.length} characters that takes more than ${ms} ms to parse`)
      }
    }
  } finally {
    context.work = undefined
  }
}
