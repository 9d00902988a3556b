import { headline, isObject, propertyOf, watchStray } from '../errors-read.ts'
import { describe, PikoError, toError } from '../errors.ts'
import { aFunction, type OptionCheck, type OptionChecks, placed, problemOf, readOptions } from '../options.ts'
import { wrongCall } from '../call-options.ts'
import { parseRate } from '../run/limits.ts'

export const aRate: OptionCheck = (value) => {
  const parsed = parseRate(value)
  return 'problem' in parsed ? `is ${parsed.problem}` : undefined
}

/** How to read a call: its name, and its arguments before the options. */
export interface CallForm<T> {
  /** The call as users write it, such as `retry`. */
  readonly call: string
  readonly checks: OptionChecks<T>
  readonly required?: readonly (keyof T)[]
  readonly example: string
}

/**
 * Reads the arguments and the options of a call, each once.
 *
 * @param args each argument with its check, by its name
 * @throws PikoError `USAGE` naming all their problems
 */
export function readCall<T extends object>(
  form: CallForm<T>,
  args: Readonly<Record<string, readonly [value: unknown, check: OptionCheck]>>,
  given: unknown,
): Partial<T> {
  const wrong = Object.entries(args).flatMap(([name, [value, check]]) => {
    const problem = problemOf(check, value)
    return problem === undefined ? [] : [placed(name, problem)]
  })
  const { options, problems } = readOptions(given, form.checks, form.example, form.required)
  if (wrong.length + problems.length > 0) throw wrongCall(form.call, [...wrong, ...problems])
  return options
}

/** Pairs the argument `fn` of a call with the check that it is a function. */
export const asFunction = (fn: unknown): readonly [unknown, OptionCheck] => [fn, aFunction]

/**
 * Calls a user's function with an error, and returns its answer.
 *
 * @throws PikoError `USAGE` if the function throws, or returns anything but true or false; its cause is the error that was passed to the
 * function
 */
export function askAbout(option: string, ask: (error: Error) => unknown, thrown: unknown): boolean {
  const error = toError(thrown)
  let answer: unknown
  try {
    answer = ask(error)
  } catch (fault) {
    throw refused(option, `threw ${headline(fault)}`, error)
  }
  if (typeof answer === 'boolean') return answer
  watchStray(answer)
  const isPromise = isObject(answer) && typeof propertyOf(answer, 'then') === 'function'
  throw refused(option, `returned ${isPromise ? 'a promise' : describe(answer)}; expected true or false`, error)
}

function refused(option: string, what: string, error: Error): PikoError {
  return new PikoError('USAGE', `${option} was called with ${headline(error)} and ${what}`, {
    cause: error,
    details: { option },
  })
}
