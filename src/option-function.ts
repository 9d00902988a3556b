import { describe, headline, isError, isObject, propertyOf, safely, watchStray } from './errors-read.ts'
import { isPikoError, PikoError } from './errors.ts'

/** A function that a user passed as an option of a job. */
export interface OptionFunction<T> {
  readonly jobId: string | undefined
  /** The option's name in the job's spec: `exclude`, `concurrency.key`. */
  readonly option: string
  readonly isAnswer: (value: unknown) => value is T
  /** A description of the result that is expected. */
  readonly expected: string
  /** What happens next, or what the user should do. */
  readonly next: string
}

/**
 * Calls the function and checks its result.
 *
 * @throws PikoError `JOB_INVALID` if the function throws (its error is the cause), or returns a wrong value, such as a promise
 */
export function answerOf<T>(option: OptionFunction<T>, call: () => unknown): T {
  const answer = called(option, call)
  if (option.isAnswer(answer)) return answer
  watchStray(answer)
  const what = isThenable(answer) ? 'a promise' : describe(answer)
  const at = isThenable(answer) ? ' immediately: it may not be async' : ''
  throw failed(option, `returned ${what}; expected ${option.expected}${at}`)
}

function called(option: OptionFunction<unknown>, call: () => unknown): unknown {
  try {
    return call()
  } catch (thrown) {
    throw failed(option, `threw ${isError(thrown) ? headline(thrown) : describe(thrown)}`, { cause: thrown })
  }
}

function failed(
  { jobId, option, next }: OptionFunction<unknown>,
  what: string,
  options: { readonly cause?: unknown } = {},
): PikoError {
  const owner = jobId === undefined ? '' : ` of job "${jobId}"`
  return new PikoError('JOB_INVALID', `${option}${owner} ${what}; ${next}`, { ...options, details: { jobId, option } })
}

function isThenable(value: unknown): boolean {
  return isObject(value) && safely(() => typeof propertyOf(value, 'then') === 'function', false)
}

/** Whether an error comes from a function in this job's options. */
export function isOptionFault(error: unknown, jobId: string): error is PikoError {
  return isPikoError(error, 'JOB_INVALID') && propertyOf(error.details, 'jobId') === jobId
}

export function isBoolean(value: unknown): value is boolean {
  return typeof value === 'boolean'
}
