import { describe, PikoError } from '../errors.ts'
import { maskSecret, maskText } from './mask.ts'

/** One problem of the settings. */
export interface SettingsProblem {
  /**
   * The subject of the problem: a key such as `mysql.pool_size`, the name of an unknown variable, or the path of a file that can't be read.
   */
  readonly key: string
  /** The printable form of the offending value; undefined if there is none to show. */
  readonly value: string | undefined
  /** The source of the value: `environment variable PIKO_…`, `file settings.toml`, `default` or `override`. */
  readonly origin: string
  /** The problem, or the value that is expected instead. */
  readonly expected: string
}

/** One error for all problems; `details.problems` has them as data. */
export function settingsError(problems: readonly SettingsProblem[]): PikoError {
  const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`
  const lines = problems.map(({ key, value, origin, expected }) => {
    return `  ${key}${value === undefined ? '' : ` = ${value}`} (${origin}): ${expected}`
  })
  return new PikoError('SETTINGS_INVALID', [`the settings have ${count}:`, ...lines].join('\n'), {
    details: { problems: problems.map((problem) => ({ ...problem })) },
  })
}

/** A printable form of a value. Does not show tables: they could contain a secret. */
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
