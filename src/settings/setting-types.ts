import { isIPv4 } from 'node:net'
import { RUN_LOG_LEVELS, type RunLogLevel } from '../run/run-log.ts'
import { durationMs, type Duration } from '../time/duration.ts'
import { inspectDsn } from './dsn.ts'
import { LOG_LEVELS, type LogLevel, logLevelOf } from './log-level.ts'
import type { Setting } from './setting.ts'

/** What a section defines about a setting. The setting's type adds the rest. */
interface Entry<K extends string, Raw> {
  readonly key: K
  readonly default: Raw
  readonly help: string
}

interface NumberEntry<K extends string> extends Entry<K, number> {
  readonly min: number
  readonly max: number
}

interface DurationEntry<K extends string> extends Entry<K, Duration> {
  readonly min: Duration
  readonly max: Duration
}

export function text<const K extends string>(entry: Entry<K, string>): Setting<K, string, string> {
  return textThat(entry, (value) => value.trim() !== '', 'expected a string, not empty')
}

/** Defines a setting whose value is a string, by default an empty one. */
export function optionalText<const K extends string>(
  entry: Omit<Entry<K, string>, 'default'>,
): Setting<K, string, string> {
  return textThat({ ...entry, default: '' }, () => true, 'expected a string')
}

/** Defines a setting whose value is empty, or the address of a mail server. The address may contain a password. */
export function optionalMailServer<const K extends string>(
  entry: Omit<Entry<K, string>, 'default'>,
): Setting<K, string, string> {
  const isFine = (value: string): boolean => value === '' || /^smtps?:\/\/\S+$/i.test(value)
  const expected = 'expected an address such as "smtps://user:password@mail.example.com", or ""'
  return { ...textThat({ ...entry, default: '' }, isFine, expected), isSecret: true }
}

/** Defines a setting whose value is an `http` or `https` address, or empty. The path of the address may be a secret. */
export function optionalWebhook<const K extends string>(
  entry: Omit<Entry<K, string>, 'default'>,
): Setting<K, string, string> {
  const isFine = (value: string): boolean => value === '' || /^https?:\/\/\S+$/i.test(value)
  const expected = 'expected an address such as "https://example.com/hook", or ""'
  return { ...textThat({ ...entry, default: '' }, isFine, expected), isSecret: true }
}

const NO_PATH = /^(?:file|sqlite3?):|^[a-z][\w+.-]*:\/\/|^~(?:\/|$)|\0/i

/**
 * Defines a setting whose value is a file path. SQLite would also accept a URI, but Piko creates, watches and compares the folder and the
 * file by path. A leading `~` is refused too, because only a shell replaces it.
 */
export function filePath<const K extends string>(entry: Entry<K, string>): Setting<K, string, string> {
  const isPath = (value: string): boolean => value.trim() !== '' && !NO_PATH.test(value)
  return textThat(entry, isPath, 'expected the path of a file, not empty, not a URI and without "~"')
}

function textThat<const K extends string>(
  { key, default: fallback, help }: Entry<K, string>,
  isFine: (value: string) => boolean,
  complaint: string,
): Setting<K, string, string> {
  return {
    ...{ key, default: fallback, help },
    limits: undefined,
    isSecret: false,
    fromEnv: (value) => value,
    complaint: (value) => (typeof value === 'string' && isFine(value) ? undefined : complaint),
    parse: (value) => value,
  }
}

export function flag<const K extends string>(entry: Entry<K, boolean>): Setting<K, boolean, boolean> {
  const words: Readonly<Record<string, boolean>> = { true: true, '1': true, false: false, '0': false }
  return {
    ...entry,
    limits: undefined,
    isSecret: false,
    fromEnv: (value) => words[value.toLowerCase()] ?? value,
    complaint: (value) => (typeof value === 'boolean' ? undefined : 'expected true or false'),
    parse: (value) => value,
  }
}

export function integer<const K extends string>(entry: NumberEntry<K>): Setting<K, number, number> {
  const { key, default: fallback, help, min, max } = entry
  return {
    ...{ key, default: fallback, help },
    limits: { min, max },
    isSecret: false,
    fromEnv: integerFromEnv,
    complaint: (value) => (isIntegerIn(value, entry) ? undefined : `expected a whole number from ${min} to ${max}`),
    parse: (value) => value,
  }
}

/** Defines a setting whose value is a duration with its unit, between `min` and `max`. The program uses milliseconds. */
export function duration<const K extends string>(entry: DurationEntry<K>): Setting<K, string, number> {
  const { default: fallback, min, max } = entry
  const expected = `expected a duration with its unit (ms, s, m, h, d) from ${min} to ${max}, such as "${fallback}"`
  return {
    ...textThat(entry, (value) => isDurationIn(value, entry), expected),
    limits: { min, max },
    parse: (value) => durationMs(value, entry.key),
  }
}

/** Defines a setting whose value is a duration with its unit, or a number of seconds as in old settings files. */
export function durationOrSeconds<const K extends string>(
  entry: DurationEntry<K>,
): Setting<K, string | number, number> {
  const { complaint, parse, ...rest } = duration(entry)
  const withUnit = (value: unknown): unknown =>
    typeof value === 'number' && Number.isInteger(value) ? `${value}s` : value
  return {
    ...rest,
    fromEnv: integerFromEnv,
    complaint: (value) => {
      const found = complaint(withUnit(value))
      return found === undefined ? undefined : `${found}, or whole seconds`
    },
    parse: (value) => parse(typeof value === 'number' ? `${value}s` : value),
  }
}

export function list<const K extends string>(
  entry: Entry<K, readonly string[]>,
): Setting<K, readonly string[], readonly string[]> {
  return {
    ...entry,
    limits: undefined,
    isSecret: false,
    fromEnv: splitList,
    complaint: (value) =>
      Array.isArray(value) && value.every((item) => typeof item === 'string' && item.trim() !== '')
        ? undefined
        : 'expected an array of strings, none empty',
    parse: (value) => [...value],
  }
}

export function logLevel<const K extends string>(entry: Entry<K, LogLevel>): Setting<K, string, LogLevel> {
  const expected = `expected one of ${LOG_LEVELS.join(', ')}`
  return {
    ...textThat(entry, (value) => logLevelOf(value) !== undefined, expected),
    parse: (value) => logLevelOf(value) ?? entry.default,
  }
}

/** Defines a setting whose value is the lowest level of a run's lines; undefined: no lines. */
export function runLogLevel<const K extends string>(
  entry: Entry<K, LogLevel>,
): Setting<K, string, RunLogLevel | undefined> {
  const { parse, ...rest } = logLevel(entry)
  return { ...rest, parse: (value) => RUN_LOG_LEVELS.find((level) => level === parse(value)) }
}

/** Defines a setting whose value is `auto`, `off`, or the address of a UDP socket. */
export function udpAddress<const K extends string>(entry: Entry<K, string>): Setting<K, string, string> {
  const expected = 'expected "auto", "off" or an IPv4 address with a port, such as "10.0.0.5:9465"'
  return textThat(entry, (value) => value === 'auto' || value === 'off' || isUdpAddress(value), expected)
}

function isUdpAddress(value: string): boolean {
  const [host = '', port = '', ...rest] = value.split(':')
  return isIPv4(host) && /^\d{1,5}$/.test(port) && Number(port) > 0 && Number(port) < 65_536 && rest.length === 0
}

/** Defines a setting whose value is `auto`, `off`, or the address of a TCP socket. */
export function tcpAddress<const K extends string>(entry: Entry<K, string>): Setting<K, string, string> {
  const expected = 'expected "auto", "off" or a host with a port, such as "10.0.0.5:9466" or "[fd00::5]:9466"'
  return textThat(entry, (value) => value === 'auto' || value === 'off' || isTcpAddress(value), expected)
}

function isTcpAddress(value: string): boolean {
  const [, host = '', port = ''] = /^(\[[0-9a-fA-F:.]+\]|[^\s:[\]]+):(\d{1,5})$/.exec(value) ?? []
  return host !== '' && Number(port) < 65_536
}

const MIN_SECRET = 16

/** Defines a setting whose value is a secret of at least 16 characters, or empty. */
export function optionalSecret<const K extends string>(
  entry: Omit<Entry<K, string>, 'default'>,
): Setting<K, string, string> {
  const isFine = (value: string): boolean => value === '' || value.length >= MIN_SECRET
  return {
    ...textThat({ ...entry, default: '' }, isFine, `expected at least ${MIN_SECRET} characters, or ""`),
    isSecret: true,
  }
}

/** Defines a setting whose value is a DSN, or empty. */
export function optionalDsn<const K extends string>(
  entry: Omit<Entry<K, string>, 'default'>,
): Setting<K, string, string> {
  return {
    ...entry,
    default: '',
    limits: undefined,
    isSecret: true,
    fromEnv: (value) => value,
    complaint: (value) => {
      if (value === '') return undefined
      if (typeof value !== 'string')
        return 'expected a string such as "mysql://user:password@host:3306/database", or ""'
      const found = inspectDsn(value)
      return 'dsn' in found ? undefined : found.complaint
    },
    parse: (value) => value,
  }
}

function integerFromEnv(value: string): unknown {
  return /^[+-]?\d+$/.test(value) ? Number(value) : value
}

function isIntegerIn(value: unknown, { min, max }: { readonly min: number; readonly max: number }): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
}

function isDurationIn(value: string, { min, max }: { readonly min: Duration; readonly max: Duration }): boolean {
  try {
    const ms = durationMs(value)
    return ms >= durationMs(min) && ms <= durationMs(max)
  } catch {
    return false
  }
}

/** Splits a string at commas, except inside the braces of a glob: `jobs/*.{ts,js},more/*.ts` has two parts. */
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
