import { describe, PikoError } from '../errors.ts'
import { maskSecret, maskText } from './mask.ts'

/** One problem of the settings. */
export interface SettingsProblem {
  /**
   * What the problem is about: a key such as `mysql.pool_size`, the name of an unknown variable, or the path of a file that can't be read.
   */
  readonly key: string
  /** The wrong value in printable form; undefined if there is none to show. */
  readonly value: string | undefined
  /** Where the value comes from: `environment variable PIKO_…`, `file settings.toml`, `default` or `override`. */
  readonly origin: string
  /** The problem, or what is expected instead. */
  readonly expected: string
}

/** Creates one error for all problems. `details.problems` contains them as data. */
export function settingsError(problems: readonly SettingsProblem[]): PikoError {
  const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`
  const lines = problems.map(({ key, value, origin, expected }) => {
    return `  ${key}${value === undefined ? '' : ` = ${value}`} (${origin}): ${expected}`
  })
  return new PikoError('SETTINGS_INVALID', [`the settings have ${count}:`, ...lines].join('\n'), {
    details: { problems: problems.map((problem) => ({ ...problem })) },
  })
}

/** Returns a value in printable form. Tables are not shown, because they could contain a secret. */
export function showValue(value: unknown, isSecret: boolean): string {
  if (isSecret) return JSON.stringify(maskSecret(value))
  if (typeof value === 'string') return describe(maskText(value))
  if (value instanceof Date) return 'a date'
  if (Array.isArray(value)) {
    const items: readonly unknown[] = value
    if (items.some((item) => typeof item === 'object')) return 'an array of tables or arrays'
    return describe(items.map((item) => (typeof item === 'string' ? maskText(item) : item)))
  }
  return typeof value === 'object' && value !== null ? 'a table' : describe(value)
}
