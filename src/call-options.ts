import { PikoError } from './errors.ts'
import { type OptionCheck, problemsText, readOptions } from './options.ts'

/**
 * Reads the options of a call, each once.
 *
 * @param call the name of the call as users write it, such as `app.runs`
 * @param required options that must be given
 * @throws PikoError `USAGE` that names all problems
 */
export function checkedCall<T extends object>(
  call: string,
  checks: Readonly<Record<string, OptionCheck>>,
  given: T,
  required: readonly string[] = [],
): T {
  const { options, problems } = readOptions(given, checks, `{ ${Object.keys(checks)[0] ?? ''}: … }`, required)
  if (problems.length === 0) return options as T
  throw wrongCall(call, problems)
}

export function wrongCall(call: string, problems: readonly string[]): PikoError {
  return new PikoError('USAGE', problemsText(call, problems), { details: { problems } })
}
