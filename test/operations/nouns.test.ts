import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { expect, it } from 'vitest'
import { Piko } from '../../src/app/piko.ts'
import { createProgram } from '../../src/cli/program.ts'

const NOUNS = [
  'runs',
  'jobs',
  'schedules',
  'windows',
  'backfills',
  'batches',
  'items',
  'crawls',
  'configs',
  'limits',
  'locks',
  'nodes',
  'resources',
  'services',
  'live',
  'sinks',
  'notify',
  'shared',
  'cache',
  'tokens',
  'audit',
] as const
/** Commands without a counterpart on an app. */
const OWN_COMMANDS = [
  'piko start',
  'piko attach',
  'piko init',
  'piko dev',
  'piko migrate up',
  'piko migrate down',
  'piko migrate status',
  'piko graph',
  'piko dashboard',
  'piko completion',
  'piko complete',
  'piko jobs types',
]

const page = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8')
const documented = (pattern: RegExp): string[] => [
  ...new Set([...page.matchAll(pattern)].map(([, found]) => found ?? '')),
]

it('docs/operations.md lists every verb of every noun of an app, and no other', () => {
  const app = new Piko({ jobs: [] })
  const verbs = NOUNS.flatMap((noun) =>
    Object.getOwnPropertyNames(Object.getPrototypeOf(app[noun]))
      .filter((name) => name !== 'constructor')
      .map((verb) => `${noun}.${verb}`),
  )
  expect(documented(/`app\.(\w+\.\w+)\(/g).sort()).toEqual(verbs.sort())
})

/** What the command line says with an option, and what it does not have. */
const OTHERWISE: ReadonlyMap<string, string | undefined> = new Map([
  ['runs follow', 'runs logs'],
  ['locks acquire', undefined],
  ['configs watch', undefined],
  ['runs page', 'runs list'],
  ['jobs page', 'jobs list'],
  ['backfills preview', 'backfills create'],
  ['backfills wait', 'backfills show'],
])

it('a verb of a noun has the same name in code and on the command line', () => {
  const rows = [...page.matchAll(/`app\.(\w+)\.(\w+)\([^|\n]*\|([^|\n]*)\|/g)]
  expect(rows.length).toBeGreaterThan(20)
  for (const [, noun, verb, cell = ''] of rows) {
    const name = `${noun} ${verb}`
    const command = /`piko ([a-z]+ [a-z]+)/.exec(cell)?.[1]
    expect([name, command]).toEqual([name, OTHERWISE.has(name) ? OTHERWISE.get(name) : name])
  }
})

it('docs/operations.md lists every command that makes a request, and no other', () => {
  const commands = leaves(createProgram({ json: false }), 'piko').filter((name) => !OWN_COMMANDS.includes(name))
  expect(documented(/`(piko [a-z]+(?: [a-z]+)?)/g).sort()).toEqual(commands.sort())
})

it('a call of a noun rejects while the app is not running', async () => {
  const { runs, jobs, windows, backfills, batches, crawls, configs, locks, nodes, sinks, shared, cache } = new Piko({
    jobs: [],
  })
  const calls = [
    runs.list(),
    runs.show(1),
    runs.cancel(1),
    jobs.list(),
    windows.summary('a'),
    backfills.show(1),
    batches.show(1),
    crawls.status(1),
    configs.show('a'),
    locks.list(),
    nodes.list(),
    sinks.list(),
    shared.list(),
    cache.list(),
  ]
  for (const call of calls) await expect(call).rejects.toMatchObject({ code: 'STOPPED' })
})

function leaves(command: Command, path: string): string[] {
  if (command.commands.length === 0) return [path]
  return command.commands.flatMap((child) => leaves(child, `${path} ${child.name()}`))
}
