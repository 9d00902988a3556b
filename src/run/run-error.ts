import { messageOf, readError, stackOf } from '../errors-read.ts'
import { redactText } from './redact.ts'

/** An error in its stored form. Its size is limited, but enough is kept to show it and to search for it. */
export interface RunError {
  readonly name: string
  readonly message: string
  readonly code?: string
  readonly stack?: string
}

const LONGEST_MESSAGE = 2_000
const LONGEST_STACK = 8_000
/**
 * How many characters of a string are searched for secrets. A string is redacted before it is truncated to its final length, because a
 * truncated connection string no longer matches the pattern.
 */
const LONGEST_SEARCHED = 100_000

/** Converts an error to its stored form: redacted and truncated. The stack text includes the chain of causes. */
export function runError(error: Error): RunError {
  const { name, code, stack, cause } = readError(error)
  return {
    name: name.slice(0, 200),
    message: storable(messageOf(error), LONGEST_MESSAGE),
    ...(typeof code === 'string' && { code: code.slice(0, 200) }),
    ...((stack ?? cause) !== undefined && { stack: storable(stackOf(error), LONGEST_STACK) }),
  }
}

/** Returns the message of an error that was stored as JSON. */
export function storedMessage(json: string): string {
  return (JSON.parse(json) as RunError).message
}

/** Joins two errors: why the run failed, and why it was not retried. */
export function withAdviceError(error: RunError, adviceError: Error | undefined): RunError {
  if (!adviceError) return error
  const advice = runError(adviceError)
  const message = `${error.message.slice(0, LONGEST_MESSAGE / 2)} (${advice.message})`.slice(0, LONGEST_MESSAGE)
  const stacks = [error.stack?.slice(0, LONGEST_STACK / 2), advice.stack].filter((stack) => stack !== undefined)
  return { ...error, message, stack: stacks.join('\nAnd then: ').slice(0, LONGEST_STACK) }
}

function storable(text: string, longest: number): string {
  return redactText(text.slice(0, LONGEST_SEARCHED)).slice(0, longest)
}
