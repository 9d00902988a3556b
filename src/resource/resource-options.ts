import { describe, isObject, isWhole } from '../errors-read.ts'
import { PikoError } from '../errors.ts'
import { expecting, isList, oneOf, type OptionCheck, problemOf, problemsText, readProperty } from '../options.ts'
import { type Duration, durationMs } from '../time/duration.ts'
import { aDuration } from '../time/duration-check.ts'
import type { ResourceClass, ResourceMap, ResourceScope } from './resource.ts'

/** The options of a resource with all defaults. Times are in milliseconds; `Infinity` means no limit. */
export interface ResourceOptions {
  readonly name: string
  readonly size: number
  readonly scope: ResourceScope
  readonly checkEveryMs: number
  readonly maxLifetimeMs: number
  readonly acquireTimeoutMs: number
  readonly needs: ResourceMap
}

/** The minimum of `checkEvery`, `maxLifetime` and `acquireTimeout`. */
const MIN_CHECK_EVERY_MS = 10

const isSize = (size: unknown): boolean => size === Infinity || (isWhole(size) && size >= 1)

const longEnough = aDuration(MIN_CHECK_EVERY_MS)

/** Finds the first value that is not a class. A class may be undefined if modules import each other in a cycle. */
const aResourceMap: OptionCheck = (value) => {
  if (!isObject(value) || isList(value))
    return `is ${describe(value)}; expected an object of resource or service classes by name`
  const wrong = Object.entries(value).find(([, one]: [string, unknown]) => typeof one !== 'function')
  return (
    wrong &&
    `has ${describe(wrong[1])} as ${wrong[0]}; expected a subclass of Resource or Service, or a class that defineResource returned. ` +
      'Modules that import each other in a cycle can be the cause of undefined'
  )
}

/** The options that a definition and a class have in common. */
export const OPTION_CHECKS = {
  size: expecting('a whole number from 1, or Infinity', isSize),
  scope: oneOf('process', 'run', 'attempt'),
  checkEvery: longEnough,
  maxLifetime: longEnough,
  acquireTimeout: longEnough,
  resources: aResourceMap,
} satisfies Record<string, OptionCheck>

/**
 * Reads the static options of a class.
 *
 * @throws PikoError `RESOURCE_INVALID` naming every wrong option
 */
export function readResource(resourceClass: ResourceClass, name: string): ResourceOptions {
  const problems: string[] = []
  const options: Record<string, unknown> = {}
  for (const [option, check] of Object.entries(OPTION_CHECKS)) {
    const read = readProperty(resourceClass, option)
    if ('problem' in read) problems.push(read.problem)
    else if (read.value !== undefined) {
      const problem = problemOf(check, read.value)
      if (problem === undefined) options[option] = read.value
      else problems.push(`${option} ${problem}`)
    }
  }
  if (problems.length > 0) throw resourceInvalid(name, problems)
  const { size = Infinity, scope = 'attempt', checkEvery = '30s', resources = {}, ...times } = options as Given
  return Object.freeze({
    ...{ name, size, scope, needs: resources },
    checkEveryMs: durationMs(checkEvery),
    maxLifetimeMs: msOf(times.maxLifetime),
    acquireTimeoutMs: msOf(times.acquireTimeout),
  })
}

type Given = Partial<
  Pick<ResourceClass, 'size' | 'scope' | 'checkEvery' | 'maxLifetime' | 'acquireTimeout' | 'resources'>
>

function msOf(duration: Duration | undefined): number {
  return duration === undefined ? Infinity : durationMs(duration)
}

/** Returns the error for wrong options of a resource. @param name the name of the resource, if it is a string */
export function resourceInvalid(name: unknown, problems: readonly string[]): PikoError {
  const what = problemsText(`resource ${typeof name === 'string' ? name : describe(name)}`, problems)
  return new PikoError('RESOURCE_INVALID', what, { details: { problems } })
}
