import { isWhole, propertyOf } from '../errors-read.ts'
import { describe } from '../errors.ts'
import {
  aText,
  aTable,
  expecting,
  nearestName,
  type OptionCheck,
  type OptionChecks,
  problemOf,
  placed,
  readOptions,
} from '../options.ts'
import { aDuration } from '../time/duration-check.ts'
import { serviceInvalid } from './invalid.ts'

/** Creates the check that a value has these methods. */
export function withMethods(what: string, methods: readonly string[]): OptionCheck {
  return (value) => {
    const lacking = methods.filter((method) => typeof propertyOf(value, method) !== 'function')
    return lacking.length === 0 ? undefined : `is ${describe(value)}; expected ${what}; it has no ${lacking.join(', ')}`
  }
}

export const aLog = withMethods('a log', ['trace', 'debug', 'info', 'warn', 'error'])
export const aClock = withMethods('a clock', ['now', 'monotonic', 'sleep'])

/** The checks of `ServiceOptions`, which every service accepts. */
export const SERVICE_CHECKS = {
  name: aText,
  log: aLog,
  clock: aClock,
  observer: aTable,
  taskGrace: aDuration(),
  stopTimeout: aDuration(),
} satisfies Record<string, OptionCheck>

/**
 * Checks the options of a service.
 *
 * @param service.isOpen whether the service may have more options, as a user's class may. Then an unknown name is refused only if it
 *   differs from a known one only in upper and lower case, `_` or `-`.
 * @param parts problems of the arguments that are not options
 * @throws PikoError `SERVICE_INVALID` naming everything that is wrong
 */
export function assertOptions<T extends object>(
  { name, isOpen }: { readonly name: string; readonly isOpen: boolean },
  given: T,
  checks: OptionChecks<T>,
  parts: readonly string[] = [],
): void {
  const { problems } = readOptions<T>(given, checks, "{ name: 'cache' }")
  const known = Object.keys(checks)
  const wrong = isOpen ? problems.filter((problem) => !isUnknown(problem) || isSpelling(problem, known)) : problems
  const all = [...parts, ...wrong]
  if (all.length > 0) throw serviceInvalid(name, all)
}

const UNKNOWN = /^unknown option "([^"]*)"/

function isUnknown(problem: string): boolean {
  return UNKNOWN.test(problem)
}

function isSpelling(problem: string, known: readonly string[]): boolean {
  const name = UNKNOWN.exec(problem)?.[1] ?? ''
  const plain = (text: string): string => text.replaceAll(/[_-]/g, '').toLowerCase()
  const nearest = nearestName(name, known)
  return nearest !== undefined && plain(nearest) === plain(name)
}

/** Returns the problems of the services that a parent gets as children. */
export function childProblems(name: string, children: unknown, isService: (child: unknown) => boolean): string[] {
  const check: OptionCheck = (value) => {
    if (!Array.isArray(value)) return `is ${describe(value)}; expected a list of services`
    const items: readonly unknown[] = value
    const index = items.findIndex((item) => !isService(item))
    return index < 0 ? undefined : `[${index}] is ${describe(items[index])}; expected a service`
  }
  const problem = problemOf(check, children)
  return problem === undefined ? [] : [placed(name, problem)]
}

export const aCountOrInfinity = expecting(
  'a whole number from 0, or Infinity',
  (value) => value === Infinity || (isWhole(value) && value >= 0),
)
