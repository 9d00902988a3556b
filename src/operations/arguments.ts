import { wrongCall } from '../call-options.ts'
import { type OptionCheck, placed, problemOf, readOptions } from '../options.ts'

/** A call to an operation, and the checks of its options. */
export interface NounCall {
  readonly call: string
  readonly checks: Readonly<Record<string, OptionCheck>>
  readonly example: string
}

/**
 * Reads the arguments and the options of a call, each once. Loads less code than `readCall`, because every process loads the nouns.
 *
 * @param args each argument with its check, by its name
 * @throws PikoError `USAGE` naming all their problems
 */
export function readArguments<T extends object>(
  { call, checks, example }: NounCall,
  args: Readonly<Record<string, readonly [value: unknown, check: OptionCheck]>>,
  given: T,
): T {
  const wrong = Object.entries(args).flatMap(([name, [value, check]]) => {
    const problem = problemOf(check, value)
    return problem === undefined ? [] : [placed(name, problem)]
  })
  const { options, problems } = readOptions<Record<string, unknown>>(given, checks, example)
  if (wrong.length + problems.length > 0) throw wrongCall(call, [...wrong, ...problems])
  return options as T
}
