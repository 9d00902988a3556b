import { isIPv4 } from 'node:net'
import { durationMs, type Duration } from '../time/duration.ts'
import { inspectDsn } from './dsn.ts'
import { LOG_LEVELS, logLevelOf } from './log-level.ts'

/** The format of one key. `T` is the type of its value in the file. */
export interface KeyFormat<T> {
  readonly default: T
  /** The meaning of the key, with the units and limits that a reader needs. */
  readonly doc: string
  /** Whether the value is secret and never printed in full. */
  readonly isSecret: boolean
  /** The value of an environment variable's text, or the text itself if it is not valid. */
  readonly fromEnv: (text: string) => unknown
  /** What is expected instead of `value`; undefined if the value is valid. */
  readonly complaint: (value: unknown) => string | undefined
}

interface Range {
  readonly min: number
  readonly max: number
}

export function text(fallback: string, doc: string): KeyFormat<string> {
  return textThat((value) => value.trim() !== '', 'expected a text, not empty', fallback, doc)
}

/** A path, not a URI, which SQLite would also accept: Piko creates, watches and compares folder and file by path. */
export function filePath(fallback: string, doc: string): KeyFormat<string> {
  const isPath = (value: string): boolean => value.trim() !== '' && !/^file:/i.test(value) && !value.includes('\0')
  return textThat(isPath, 'expected the path of a file, not empty and not a URI', fallback, doc)
}

function textThat(isFine: (value: string) => boolean, complaint: string, fallback: string, doc: string) {
  return {
    default: fallback,
    doc,
    isSecret: false,
    fromEnv: (value: string) => value,
    complaint: (value: unknown) => (typeof value === 'string' && isFine(value) ? undefined : complaint),
  }
}

export function flag(fallback: boolean, doc: string): KeyFormat<boolean> {
  const words: Readonly<Record<string, boolean>> = { true: true, '1': true, false: false, '0': false }
  return {
    default: fallback,
    doc,
    isSecret: false,
    fromEnv: (value) => words[value.toLowerCase()] ?? value,
    complaint: (value) => (typeof value === 'boolean' ? undefined : 'expected true or false'),
  }
}

export function integer(fallback: number, { min, max }: Range, doc: string): KeyFormat<number> {
  return {
    default: fallback,
    doc,
    isSecret: false,
    fromEnv: integerFromEnv,
    complaint: (value) =>
      isIntegerIn(value, { min, max }) ? undefined : `expected a whole number from ${min} to ${max}`,
  }
}

/** A length of time with its unit, between `min` and `max`. */
export function duration(fallback: Duration, range: DurationRange, doc: string): KeyFormat<string> {
  const expected = `expected a duration with its unit (ms, s, m, h, d) from ${range.min} to ${range.max}, such as "${fallback}"`
  return textThat((value) => isDurationIn(value, range), expected, fallback, doc)
}

/** A duration that the original wrote as a number of seconds; accepts both forms. */
export function durationOrSeconds(fallback: Duration, range: DurationRange, doc: string): KeyFormat<string | number> {
  const { complaint } = duration(fallback, range, doc)
  return {
    default: fallback,
    doc,
    isSecret: false,
    fromEnv: integerFromEnv,
    complaint: (value) => {
      const found = complaint(Number.isInteger(value) ? `${value as number}s` : value)
      return found === undefined ? undefined : `${found}, or whole seconds`
    },
  }
}

interface DurationRange {
  readonly min: Duration
  readonly max: Duration
}

export function list(fallback: readonly string[], doc: string): KeyFormat<readonly string[]> {
  return {
    default: fallback,
    doc,
    isSecret: false,
    fromEnv: splitList,
    complaint: (value) =>
      Array.isArray(value) && value.every((item) => typeof item === 'string' && item.trim() !== '')
        ? undefined
        : 'expected an array of texts, none empty',
  }
}

export function logLevel(fallback: string, doc: string): KeyFormat<string> {
  const expected = `expected one of ${LOG_LEVELS.join(', ')}`
  return textThat((value) => logLevelOf(value) !== undefined, expected, fallback, doc)
}

/** `auto`, `off`, or the address of a UDP socket. */
export function udpAddress(fallback: string, doc: string): KeyFormat<string> {
  const expected = 'expected "auto", "off" or an IPv4 address with a port, such as "10.0.0.5:9465"'
  return textThat((value) => value === 'auto' || value === 'off' || isUdpAddress(value), expected, fallback, doc)
}

function isUdpAddress(value: string): boolean {
  const [host = '', port = '', ...rest] = value.split(':')
  return isIPv4(host) && /^\d{1,5}$/.test(port) && Number(port) > 0 && Number(port) < 65_536 && rest.length === 0
}

/** A DSN, or empty. */
export function optionalDsn(doc: string): KeyFormat<string> {
  return {
    default: '',
    doc,
    isSecret: true,
    fromEnv: (value) => value,
    complaint: (value) => {
      if (value === '') return undefined
      if (typeof value !== 'string') return 'expected a text such as "mysql://user:password@host:3306/database", or ""'
      const found = inspectDsn(value)
      return 'dsn' in found ? undefined : found.complaint
    },
  }
}

function integerFromEnv(value: string): unknown {
  return /^[+-]?\d+$/.test(value) ? Number(value) : value
}

function isIntegerIn(value: unknown, { min, max }: Range): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
}

function isDurationIn(value: string, { min, max }: DurationRange): boolean {
  try {
    const ms = durationMs(value)
    return ms >= durationMs(min) && ms <= durationMs(max)
  } catch {
    return false
  }
}

/** Splits at commas outside the braces of a glob: `jobs/*.{ts,js},more/*.ts` is two. */
function splitList(value: string): string[] {
  const items = ['']
  let depth = 0
  for (const char of value) {
    if (char === '{') depth += 1
    if (char === '}') depth = Math.max(0, depth - 1)
    if (char === ',' && depth === 0) items.push('')
    else items[items.length - 1] += char
  }
  return items.map((item) => item.trim()).filter((item) => item !== '')
}
