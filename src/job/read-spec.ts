import { describe, isObject } from '../errors-read.ts'
import { aFunction, expecting, isList, type OptionCheck, problemOf, readProperty, unknownOptions } from '../options.ts'
import type { RetrySpec } from '../run/retry.ts'
import type { AnyJobSpec, JobSpec, WindowsSpec } from './spec.ts'

const whatever: OptionCheck = () => undefined
const text = expecting('a string', (value) => typeof value === 'string')
/** Finds the first value that is not a class. A class may be undefined if modules import each other in a cycle. */
const named =
  (kind: string): OptionCheck =>
  (value) => {
    const map = expecting(`an object of ${kind} classes by name`, (given) => isObject(given) && !isList(given))
    const problem = map(value)
    if (problem !== undefined) return problem
    const wrong = Object.entries(value as object).find(([, one]: [string, unknown]) => typeof one !== 'function')
    return wrong && `has ${describe(wrong[1])} as ${wrong[0]}; expected a ${kind} class`
  }

/** The check of each option; `whatever` for an option that is checked later. */
const OPTIONS: Readonly<Record<keyof JobSpec, OptionCheck>> = {
  id: whatever,
  description: text,
  cron: whatever,
  every: whatever,
  at: whatever,
  timezone: whatever,
  dst: whatever,
  start: whatever,
  end: whatever,
  exclude: whatever,
  jitter: whatever,
  windows: expecting('an object such as { start: "2026-01-01T00:00:00Z" }', isObject),
  config: whatever,
  input: whatever,
  output: whatever,
  resources: named('resource'),
  sinks: named('sink'),
  retry: expecting('an object such as { limit: 3 }', isObject),
  timeout: whatever,
  misfireGraceTime: whatever,
  misfire: whatever,
  misfireLimit: whatever,
  overlap: whatever,
  concurrency: whatever,
  rate: whatever,
  dependsOn: whatever,
  onUpstreamChange: whatever,
  priority: whatever,
  proof: whatever,
  deadline: whatever,
  onFailure: aFunction,
  onLate: aFunction,
  onRecovered: aFunction,
  items: whatever,
  tolerate: whatever,
  limits: whatever,
}

/** The names of all options of a job. */
export const JOB_OPTIONS: readonly string[] = Object.keys(OPTIONS)

const WINDOWS: Readonly<Record<keyof WindowsSpec, true>> = {
  start: true,
  end: true,
  grid: true,
  delay: true,
  catchUp: true,
  parallel: true,
}
const RETRY: Readonly<Record<keyof RetrySpec, true>> = {
  limit: true,
  backoff: true,
  base: true,
  max: true,
  jitter: true,
  retryIf: true,
}

/** The names of the nested options of an option. Undefined if another check reads them. */
const INNER: Readonly<Record<string, readonly string[] | undefined>> = {
  windows: Object.keys(WINDOWS),
  retry: Object.keys(RETRY),
  concurrency: ['limit', 'key'],
  rate: ['rate', 'key'],
}

/**
 * Copies a spec and reads every option only once, because a getter may throw or return another value the next time. Leaves out unknown and
 * unusable options.
 */
export function readSpec(given: object): { readonly spec: Partial<AnyJobSpec>; readonly problems: readonly string[] } {
  const spec: Record<string, unknown> = {}
  const problems = unknownOptions(given, Object.keys(OPTIONS))
  for (const [name, check] of Object.entries(OPTIONS)) {
    const read = readProperty(given, name)
    if ('problem' in read) problems.push(read.problem)
    else if (read.value !== undefined) {
      const problem = problemOf(check, read.value)
      if (problem === undefined) spec[name] = innerCopy(name, read.value, problems)
      else problems.push(`${name} ${problem}`)
    }
  }
  return { spec: spec as Partial<AnyJobSpec>, problems }
}

function innerCopy(option: string, value: unknown, problems: string[]): unknown {
  const known = INNER[option]
  if (!known || typeof value !== 'object' || value === null || isList(value)) return value
  problems.push(...unknownOptions(value, known, `${option}.`))
  const copy: Record<string, unknown> = {}
  for (const name of known) {
    const read = readProperty(value, name)
    if ('problem' in read) problems.push(`${option}.${read.problem}`)
    else if (read.value !== undefined) copy[name] = read.value
  }
  return Object.freeze(copy)
}
