import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { parse } from 'smol-toml'
import { loadSettings } from '../../src/settings/load.ts'
import { envName, SECTIONS, SETTINGS } from '../../src/settings/sections.ts'
import type { Section } from '../../src/settings/setting.ts'

const fromRoot = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url))
const EXAMPLE = fromRoot('settings.example.toml')

describe('settings.example.toml', () => {
  test('has every key, in order, with its default', () => {
    const defaults = Object.fromEntries(
      Object.entries<Section>(SECTIONS).map(([name, section]) => [
        name,
        Object.fromEntries(Object.values(section).map((setting) => [setting.key, setting.default])),
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
    expect(keys).toHaveLength(SETTINGS.size)
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
      [...SETTINGS].map(([key, setting]) => [key, envName(key), JSON.stringify(setting.default), setting.help]),
    )
  })

  test('has the limits of every key with limits', () => {
    const limits = [...SETTINGS].flatMap(([key, setting]) => {
      const [, min, max] = /from (\S+) to (\w+)/.exec(setting.complaint(undefined) ?? '') ?? []
      return min === undefined ? [] : [[key, `${min} to ${max}`]]
    })
    expect(limits.length).toBeGreaterThan(5)
    expect(rows.filter((cells) => cells.length === 2)).toEqual(limits)
  })
})

describe('npm run settings', () => {
  const PAGES = ['settings.example.toml', 'docs/settings.md']
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'piko-settings-pages-'))
    mkdirSync(join(folder, 'docs'))
    for (const page of PAGES) cpSync(fromRoot(page), join(folder, page))
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  const script = (...flags: string[]): { status: number | null; stderr: string } =>
    spawnSync(process.execPath, [fromRoot('scripts/settings.ts'), ...flags], { cwd: folder, encoding: 'utf8' })
  const plant = (page: string, old: string, text: string): void => {
    const before = readFileSync(join(folder, page), 'utf8')
    expect(before).toContain(old)
    writeFileSync(join(folder, page), before.replace(old, text))
  }

  test('fails in the check for each file that differs from the settings, and writes them as committed', () => {
    plant('settings.example.toml', 'lease = "15s"', 'lease = "16s"')
    plant('docs/settings.md', 'Longest wait for a new connection.', 'Shortest wait for a new connection.')
    const check = script('--check')
    expect(check.stderr.trim().split('\n')).toEqual(
      PAGES.map((page) => `${page} differs from the settings in src/settings/sections; run "npm run settings"`),
    )
    expect(check.status).toBe(1)
    expect(script().status).toBe(0)
    for (const page of PAGES)
      expect(readFileSync(join(folder, page), 'utf8')).toBe(readFileSync(fromRoot(page), 'utf8'))
  })
})

test('every key accepts its own default', () => {
  for (const [key, setting] of SETTINGS) expect([key, setting.complaint(setting.default)]).toEqual([key, undefined])
})
