import { describe, headline, isObject, propertyOf } from '../errors-read.ts'
import { isPikoError, PikoError } from '../errors.ts'
import {
  aFunction,
  aTable,
  aText,
  expecting,
  flag,
  listOf,
  milliseconds,
  type OptionChecks,
  placed,
  problemsText,
  readOptions,
} from '../options.ts'
import { Service } from '../service/service.ts'
import { type LoadedSettings, loadSettings } from '../settings/load.ts'
import { aNotifier } from '../engine/notices/notifiers.ts'
import type { PikoOptions } from './piko-options.ts'

/** The methods of a logger that Piko calls. */
const LOGGER_METHODS = ['trace', 'debug', 'info', 'warn', 'error', 'child', 'isLevelEnabled'] as const
const REGISTRY_METHODS = ['registerMetric', 'getSingleMetric', 'removeSingleMetric'] as const
const CLOCK_METHODS = ['now', 'monotonic', 'sleep'] as const

const CHECKS: OptionChecks<PikoOptions> = {
  jobs: jobSources,
  settings: aTable,
  logger: (value) => {
    const lacking = lackingMethods(value, LOGGER_METHODS)
    if (lacking.length === 0) return undefined
    const what = value === console ? 'console' : describe(value)
    return (
      `is ${what}, which lacks ${lacking.join(', ')}; expected a pino logger such as pino({ level: 'info' }). ` +
      'Leave it out for the default logger, which follows [piko] log_level and log_json'
    )
  },
  registry: (value) => {
    const lacking = lackingMethods(value, REGISTRY_METHODS)
    return lacking.length === 0
      ? undefined
      : `is ${describe(value)}, which lacks ${lacking.join(', ')}; expected a prom-client registry such as new Registry() or register`
  },
  construct: aFunction,
  services: listOf(
    'services',
    expecting('a Service, or a class of one that is constructed without arguments', isServiceSource),
  ),
  notifiers: listOf('notifiers', aNotifier),
  onFailure: aFunction,
  onLate: aFunction,
  onRecovered: aFunction,
  plan: flag,
  execute: flag,
  only: listOf('job ids', aText),
  onlyOwn: flag,
  clock: aClock,
  graceMs: milliseconds,
}

/** Checks that a value has the methods of a clock. */
export function aClock(value: unknown): string | undefined {
  const lacking = lackingMethods(value, CLOCK_METHODS)
  return lacking.length === 0
    ? undefined
    : `is ${describe(value)}, which lacks ${lacking.join(', ')}; expected a clock such as ManualClock of piko/testing`
}

const EXAMPLE = 'new Piko({ jobs: [OrderJobs] })'

/**
 * Checks the options of `new Piko`, and loads the settings. Reads each option once.
 *
 * @throws PikoError `USAGE` that names every wrong option and every problem of the settings; `SETTINGS_INVALID` if only settings are wrong
 */
export function checkedOptions(given: unknown): { readonly options: PikoOptions; readonly loaded: LoadedSettings } {
  const { options, problems } = readOptions(given, CHECKS, EXAMPLE)
  const loaded = settingsOf(options)
  if (problems.length > 0 || typeof loaded === 'string') {
    const all = typeof loaded === 'string' ? [...problems, loaded] : [...problems, ...settingsProblems(loaded)]
    throw new PikoError('USAGE', problemsText('new Piko', all), { details: { problems: all } })
  }
  if (isPikoError(loaded)) throw loaded
  return { options, loaded }
}

/** Returns the settings or their problems. Returns a string if reading the option threw an error. */
function settingsOf({ settings }: PikoOptions): LoadedSettings | PikoError | string {
  try {
    return loadSettings(settings ? { overrides: settings } : {})
  } catch (thrown) {
    return isPikoError(thrown) ? thrown : `settings can't be read: reading them threw ${headline(thrown)}`
  }
}

function settingsProblems(loaded: LoadedSettings | PikoError): string[] {
  return isPikoError(loaded) ? [loaded.message] : []
}

function lackingMethods(value: unknown, methods: readonly string[]): string[] {
  return methods.filter((method) => typeof propertyOf(value, method) !== 'function')
}

function isServiceSource(value: unknown): boolean {
  return value instanceof Service || (typeof value === 'function' && propertyOf(value, 'prototype') instanceof Service)
}

const MAX_DEPTH = 20

/** Checks only the type of each source. The app checks the contents later, when it starts, because that may construct a class. */
function jobSources(value: unknown, depth = 0): string | undefined {
  if (typeof value === 'string') {
    return `is ${describe(value)}; expected job classes or definitions. To name files, use settings: { piko: { jobs: [${describe(value)}] } }`
  }
  if (Array.isArray(value) && depth < MAX_DEPTH) {
    const items: readonly unknown[] = value
    for (const [index, item] of items.entries()) {
      const problem = jobSources(item, depth + 1)
      if (problem !== undefined) return placed(`[${index}]`, problem)
    }
    return undefined
  }
  if (isObject(value)) return undefined
  const circular = value === undefined ? '; modules that import each other in a cycle can be the cause' : ''
  return `is ${describe(value)}; expected a class or an instance with @job methods, a job definition, a module that exports these, or a list of them${circular}`
}
