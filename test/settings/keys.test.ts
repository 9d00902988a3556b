import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { parse } from 'smol-toml'
import { describeSettings } from '../../src/settings/describe.ts'
import { envName, FORMATS, KEYS } from '../../src/settings/keys.ts'
import { loadSettings } from '../../src/settings/load.ts'

const fromRoot = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url))
const EXAMPLE = fromRoot('settings.example.toml')

describe('settings.example.toml', () => {
  test('has every key, in order, with its default', () => {
    const defaults = Object.fromEntries(
      Object.entries(KEYS).map(([section, keys]) => [
        section,
        Object.fromEntries(
          Object.entries(keys).map(([key, format]) => [key, (format as { default: unknown }).default]),
        ),
      ]),
    )
    const example = parse(readFileSync(EXAMPLE, 'utf8'))
    expect(example).toEqual(defaults)
    expect(JSON.stringify(example)).toBe(JSON.stringify(defaults))
  })

  test('loads as the defaults', () => {
    const { settings, origins } = loadSettings({ env: {}, file: EXAMPLE })
    expect(settings).toEqual(loadSettings({ env: {}, cwd: fromRoot('src/settings') }).settings)
    expect([...origins.values()].every((origin) => origin === `file ${EXAMPLE}`)).toBe(true)
  })

  test('explains every key', () => {
    const lines = readFileSync(EXAMPLE, 'utf8').split('\n')
    const keys = lines.filter((line) => /^\w+ =/.test(line))
    expect(keys).toHaveLength(FORMATS.size)
    expect(keys.filter((line) => !/ # \S/.test(line))).toEqual([])
  })
})

describe('docs/settings.md', () => {
  const rows = readFileSync(fromRoot('docs/settings.md'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => line.split('|').slice(1, -1))
    .map((cells) => cells.map((cell) => cell.replaceAll('`', '').trim()))

  test('has a row for every key with its variable, default and meaning', () => {
    expect(rows.filter((cells) => cells.length === 4)).toEqual(
      [...FORMATS].map(([key, format]) => [key, envName(key), JSON.stringify(format.default), format.doc]),
    )
  })

  test('has the limits of every key with limits', () => {
    const limits = [...FORMATS].flatMap(([key, format]) => {
      const [, min, max] = /from (\S+) to (\w+)/.exec(format.complaint(undefined) ?? '') ?? []
      return min === undefined ? [] : [[key, `${min} to ${max}`]]
    })
    expect(limits.length).toBeGreaterThan(5)
    expect(rows.filter((cells) => cells.length === 2)).toEqual(limits)
  })
})

test('every key accepts its own default', () => {
  for (const [key, format] of FORMATS) expect([key, format.complaint(format.default)]).toEqual([key, undefined])
})

test('the settings in force are listed by key, with units and masked, and load again', () => {
  const { settings } = loadSettings({
    cwd: fromRoot('src/settings'),
    env: {
      PIKO_LOG_LEVEL: 'WARNING',
      PIKO_POLL_INTERVAL: '1500ms',
      PIKO_LEASE: '90s',
      PIKO_SHUTDOWN_TIMEOUT: '0s',
      PIKO_MYSQL__DSN: 'mysql://me:pw@db/orders',
      PIKO_OFFLOAD__THREADS: '2',
    },
  })
  const described = describeSettings(settings)
  expect(Object.keys(described)).toEqual([...FORMATS.keys()])
  expect(described).toMatchObject({
    'piko.log_level': 'warn',
    'piko.poll_interval': '1500ms',
    'piko.lease': '90s',
    'piko.shutdown_timeout': '0s',
    'mysql.dsn': 'mysql://me:***@db/orders',
    'mysql.pool_recycle': '1h',
    'offload.threads': 2,
  })
  for (const [key, format] of FORMATS) expect([key, format.complaint(described[key])]).toEqual([key, undefined])
})
