import { distance } from 'fastest-levenshtein'
import { describe, headline, isObject, isOneOf, isWhole } from './errors-read.ts'

/**
 * Checks an option. Returns undefined if the value is valid. Otherwise returns the problem, as a string to be put after the option's name.
 */
export type OptionCheck = (value: unknown) => string | undefined

/** One check for each option. */
export type OptionChecks<T> = { readonly [K in keyof T]-?: OptionCheck }

export interface ReadOptions<T> {
  /** The value of each option, read once. Valid only if there are no problems. */
  readonly options: T
  readonly problems: readonly string[]
}

/**
 * Reads a caller's options and lists all their problems. An undefined option counts as missing.
 *
 * @param example a correct call, for the message
 * @param required options that must be given
 */
export function readOptions<T extends object>(
  given: unknown,
  checks: OptionChecks<T>,
  example: string,
  required: readonly (keyof T)[] = [],
): ReadOptions<Partial<T>> {
  if (typeof given !== 'object' || given === null || isList(given)) {
    return { options: {}, problems: [`the options are ${describe(given)}; expected an object, such as ${example}`] }
  }
  const known = Object.keys(checks) as (keyof T & string)[]
  const problems = unknownOptions(given, known)
  const options: Partial<T> = {}
  for (const name of known) {
    const value = readProperty(given, name)
    if ('problem' in value) problems.push(value.problem)
    else if (value.value !== undefined || required.includes(name)) {
      const problem = problemOf(checks[name], value.value)
      if (problem === undefined) options[name] = value.value as T[typeof name]
      else problems.push(placed(name, problem))
    }
  }
  return { options, problems }
}

/** Returns the result of a check, even if reading the value throws. */
export function problemOf(check: OptionCheck, value: unknown): string | undefined {
  try {
    return check(value)
  } catch (thrown) {
    return `can't be read: reading it threw ${headline(thrown)}`
  }
}

/** Joins the name of an option and its problem. The problem may begin with the position of an element: `[1] is …`. */
export function placed(name: string, problem: string): string {
  return problem.startsWith('[') ? `${name}${problem}` : `${name} ${problem}`
}

/** Reads a property of a caller's object, whose getter may throw. */
export function readProperty(owner: object, name: string): { readonly value: unknown } | { readonly problem: string } {
  try {
    return { value: Reflect.get(owner, name) as unknown }
  } catch (thrown) {
    return { problem: `${name} can't be read: reading it threw ${headline(thrown)}` }
  }
}

/** Returns a problem for each own property that is not an option. */
export function unknownOptions(given: object, known: readonly string[], prefix = ''): string[] {
  return ownNames(given)
    .filter((name) => !known.includes(name))
    .map((name) => unknownOption(name, known, prefix))
}

/** Whether the value is a list. Never throws, unlike `Array.isArray` with a revoked proxy. */
export function isList(given: unknown): given is readonly unknown[] {
  try {
    return Array.isArray(given)
  } catch {
    return false
  }
}

function ownNames(given: object): string[] {
  try {
    return Object.keys(given)
  } catch {
    return [] // A proxy may refuse to list its keys. The known options are still read.
  }
}

function unknownOption(name: string, known: readonly string[], prefix: string): string {
  const nearest = nearestName(name, known)
  const what = `unknown option ${describe(`${prefix}${name}`)}`
  if (nearest !== undefined) return `${what}, did you mean "${prefix}${nearest}"?`
  return `${what}; the options are ${known.map((one) => `${prefix}${one}`).join(', ')}`
}

/** Returns the known name that is most similar to a misspelt one. Ignores upper and lower case, `_` and `-`. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  const plain = plainName(name)
  // A longer name is not a typing mistake, and comparing it would take too long.
  if (plain.length > 64) return undefined
  const ranked = known
    .map((candidate) => ({ candidate, edits: distance(plain, plainName(candidate)) }))
    .toSorted((a, b) => a.edits - b.edits)
  const best = ranked[0]
  if (!best) return undefined
  const [shorter, longer] = [plain.length, best.candidate.length].toSorted((a, b) => a - b) as [number, number]
  // For names of four letters or more, at least two edits are allowed, because two swapped letters count as two.
  return best.edits <= (shorter < 4 ? 1 : Math.max(2, longer / 3)) ? best.candidate : undefined
}

function plainName(name: string): string {
  return name.replaceAll(/[_-]/g, '').toLowerCase()
}

/** Returns one message with all problems of a subject. */
export function problemsText(subject: string, problems: readonly string[]): string {
  return problems.length === 1
    ? `${subject}: ${problems[0]}`
    : `${subject} has ${problems.length} problems:\n${problems.map((problem) => `  ${problem}`).join('\n')}`
}

function wrong(value: unknown, expected: string): string {
  return `is ${describe(value)}; expected ${expected}`
}

/** Creates a check from a description of the valid values and a predicate. */
export function expecting(expected: string, fits: (value: unknown) => boolean): OptionCheck {
  return (value) => (safelyFits(fits, value) ? undefined : wrong(value, expected))
}

function safelyFits(fits: (value: unknown) => boolean, value: unknown): boolean {
  try {
    return fits(value)
  } catch {
    return false
  }
}

export const anything: OptionCheck = () => undefined
export const flag = expecting('true or false', (value) => typeof value === 'boolean')
export const aText = expecting('a string', (value) => typeof value === 'string' && value !== '')
export const aFunction = expecting('a function', (value) => typeof value === 'function')
export const anAbortSignal = expecting('an AbortSignal', (value) => value instanceof AbortSignal)
export const aTable = expecting('an object', (value) => isObject(value) && !Array.isArray(value))

/** Checks that a value is a number of milliseconds that a timer accepts. */
export const milliseconds = expecting(
  'milliseconds from 0 to 2147483647',
  (value) => typeof value === 'number' && value >= 0 && value <= 2 ** 31 - 1,
)

export function wholeNumber(min: number, max = Number.MAX_SAFE_INTEGER): OptionCheck {
  const range = max === Number.MAX_SAFE_INTEGER ? `from ${min}` : `from ${min} to ${max}`
  return expecting(`a whole number ${range}`, (value) => isWhole(value) && value >= min && value <= max)
}

export function oneOf(...allowed: readonly string[]): OptionCheck {
  return expecting(`one of ${allowed.join(', ')}`, (value) => isOneOf(allowed, value))
}

/** Creates a check for a list. Its message names the first wrong element. */
export function listOf(what: string, check: OptionCheck): OptionCheck {
  return (value) => {
    if (!Array.isArray(value)) return wrong(value, `a list of ${what}`)
    const items: readonly unknown[] = value
    for (const [index, item] of items.entries()) {
      const problem = check(item)
      if (problem !== undefined) return placed(`[${index}]`, problem)
    }
    return undefined
  }
}
