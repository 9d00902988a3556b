import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { expect, it, onTestFinished, vi } from 'vitest'
import { createProgram } from '../../src/cli/program.ts'
import { remoteTarget } from '../../src/cli/remote/target.ts'
import { VERBS } from '../../src/operations/audit/verbs.ts'
import { apiFixture, type ApiFixture } from '../support/api-fixture.ts'
import { describeSqlite } from '../support/databases.ts'

/** Commands that do not ask a node, and why. */
const LOCAL: Readonly<Record<string, string>> = {
  init: 'writes the files of a new project',
  dev: 'starts a node on this machine',
  start: 'starts a node on this machine',
  attach: 'opens a console over the socket of a node on this machine',
  'jobs types': 'writes types of the jobs in this folder',
  'crawls try': 'runs the code of this folder',
  'migrate up': 'works before a node can start',
  'migrate down': 'works before a node can start',
  'migrate status': 'works before a node can start',
  completion: 'is about the shell',
}
/** The arguments that they require. */
const ARGUMENTS: Readonly<Record<string, string>> = {
  attach: 'none.sock',
  'crawls try': 'shops http://127.0.0.1:1',
  completion: 'bash',
}

/** Their `--url` is tested in other files, because they end only with a signal, or take every word. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  dashboard: 'test/http/dashboard-proxy.test.ts',
  complete: 'is called by the shell',
  'live follow': 'test/cli/remote.test.ts',
}

type Words = string | ((ids: Readonly<Record<string, number>>) => string)

/** Commands that only show something. Over HTTP they must show exactly what they show with the database. */
const READS: Readonly<Record<string, Words>> = {
  'runs list': '--job broken --limit 1',
  'runs show': ({ runId }) => `${runId}`,
  'runs logs': ({ runId }) => `${runId}`,
  'runs summary': '',
  'runs timeline': '--from 2020-01-01T00:00:00Z --to 2100-01-01T00:00:00Z --job broken',
  'jobs overview': '--limit 1 --after broken --order attention',
  'jobs list': '',
  'jobs show': 'sync_orders',
  'jobs dependencies': 'sync_orders',
  'jobs why': 'sync_orders 2026-01-01T00:00:00Z',
  why: 'sync_orders 2026-01-01',
  'schedules list': '--after broken --limit 2',
  'schedules preview': 'sync_orders --from 2026-01-01T00:00:00Z --count 2',
  'configs show': 'sync_orders',
  'configs history': 'sync_orders',
  'configs diff': 'sync_orders 1 2',
  'windows list': 'sync_orders --limit 2',
  'windows coverage': 'sync_orders',
  'windows summary': 'sync_orders',
  'windows prove': 'sync_orders',
  'windows grid': '--from 2026-01-01T00:00:00Z --to 2026-02-01T00:00:00Z --limit 1',
  'backfills list': '--limit 1',
  'backfills show': ({ backfillId }) => `${backfillId}`,
  'batches list': '',
  'batches show': ({ batchId }) => `${batchId}`,
  'batches wait': ({ batchId }) => `${batchId}`,
  'items status': ({ itemRun }) => `${itemRun}`,
  'items list': ({ itemRun }) => `${itemRun} --state dead --limit 1`,
  'items show': ({ itemId }) => `${itemId}`,
  'items lanes': '--limit 1',
  'crawls status': 'shops',
  'crawls items': 'shops --after 1',
  'crawls dead': 'shops',
  'crawls lanes': '',
  'nodes list': '',
  'nodes leader': '',
  'nodes settings': '',
  'resources list': '',
  'services list': '',
  'services tree': '',
  'live page': '--after 0 --kinds job',
  'limits list': '--after a',
  'locks list': '',
  'shared list': '',
  'shared show': 'fx-rates',
  'shared history': 'fx-rates --limit 1',
  'cache list': '',
  'cache stats': 'prices',
  'sinks dead': '',
  'notify list': '',
  'notify alerts': '',
  'tokens list': '',
  'tokens show': 'remote',
  'audit list': '--limit 3 --before 4',
}

/** Commands about the process that answers: its settings, its notifiers, the code that it has. */
const OF_THE_NODE: Readonly<Record<string, Words>> = {
  doctor: '',
  graph: '',
  'notify test': '',
  'jobs limits': 'sync_orders',
  'sinks list': '',
}

/** Commands that change something, in this order: each leaves one row of its verb in the audit, by the token. */
const CHANGES: Readonly<Record<string, Words>> = {
  run: 'ship_order --input 1',
  'runs cancel': ({ later }) => `${later}`,
  'runs replay': ({ later }) => `${later}`,
  'runs prune': '--older-than 10d',
  'jobs pause': 'ship_order',
  'jobs resume': 'ship_order',
  'schedules set': 'ship_order --every 1h',
  'schedules clear': 'ship_order',
  'configs set': 'sync_orders {"shop":"it"}',
  'configs rollback': 'sync_orders 1',
  'windows rerun': 'sync_orders --from 2026-01-01 --to 2026-01-02 --only failed',
  'windows stale': 'sync_orders --from 2026-01-01 --to 2026-01-02',
  'backfills create': 'sync_orders --from 2026-02-02 --to 2026-03-01 --parallel 1',
  'backfills pause': ({ created }) => `${created}`,
  'backfills resume': ({ created }) => `${created}`,
  'backfills cancel': ({ created }) => `${created}`,
  'batches create': 'ship_order --items ITEMS --wait',
  'batches cancel': ({ batchId }) => `${batchId}`,
  'batches replay': ({ batchId }) => `${batchId}`,
  'items replay': ({ itemRun }) => `${itemRun}`,
  'items pause': 'shop-1',
  'items resume': 'shop-1',
  'crawls replay': 'shops',
  'crawls pause': '127.0.0.1:1',
  'crawls resume': '127.0.0.1:1',
  'nodes drain': 'HOST',
  'nodes resume': 'HOST',
  'nodes set': 'concurrency=9',
  'limits reset': 'mail',
  'services restart': 'Prices',
  'shared publish': 'fx-rates {"usd":2}',
  'shared rollback': 'fx-rates 1',
  'cache clear': 'prices',
  'sinks replay': 'OrdersSink',
  'sinks drop': 'OrdersSink',
  'tokens create': 'grafana --role viewer',
  'tokens revoke': 'grafana',
}

interface Result {
  readonly shown: unknown
  readonly code: string | undefined
}

/** Calls the command in this process, and takes what it writes. */
async function piko(words: readonly string[]): Promise<Result> {
  let text = ''
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
    text += String(chunk)
    return true
  })
  let code: string | undefined
  try {
    await createProgram({ json: true, first: words[0] }).parseAsync([...words, '--json'], { from: 'user' })
  } catch (error) {
    code = `${(error as { code?: string }).code}: ${(error as Error).message}`
  } finally {
    write.mockRestore()
  }
  return { shown: text === '' ? undefined : timeless(JSON.parse(text)), code }
}

/** Without what changes from one moment to the next. */
function timeless(value: unknown): unknown {
  const passing = /^(heartbeatAt|expiresAt|load|lagMs|etaMs|ratePerSecond|perSecond|durationMs|lastUsedAt|provedAt)$/
  if (Array.isArray(value)) return value.map(timeless)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => [name, passing.test(name) ? '…' : timeless(one)]),
  )
}

function leaves(command: Command, path: readonly string[]): string[] {
  if (command.commands.length === 0) return [path.join(' ')]
  return command.commands.flatMap((one) => leaves(one, [...path, one.name()]))
}

it('has a case for every command', () => {
  const cases = [LOCAL, ELSEWHERE, READS, OF_THE_NODE, CHANGES].flatMap((of) => Object.keys(of))
  expect(cases.toSorted()).toEqual(leaves(createProgram({ json: false }), []).toSorted())
  const changing = Object.keys(CHANGES).map((name) => (name === 'run' ? 'runs.start' : name.replace(' ', '.')))
  const verbs = Object.entries(VERBS).flatMap(([noun, of]) =>
    Object.entries(of).flatMap(([verb, change]) => (typeof change === 'string' ? [] : [`${noun}.${verb}`])),
  )
  expect(verbs.filter((verb) => !changing.includes(verb))).toEqual([])
})

describeSqlite((store) => {
  async function prepared(): Promise<{ fixture: ApiFixture; remote: readonly string[]; wordsOf: WordsOf }> {
    await store.empty()
    const fixture = await apiFixture(store.options)
    const { app, ids } = fixture
    vi.stubEnv('PIKO_SQLITE__PATH', store.options.sqlitePath ?? '')
    vi.stubEnv('PIKO_LOG_LEVEL', 'silent')
    onTestFinished(() => {
      vi.unstubAllEnvs()
      remoteTarget.set(undefined)
    })
    const { token } = await app.tokens.create({ name: 'remote', role: 'admin' })
    await app.backfills.cancel(ids['backfillId'] ?? 0)
    await app.backfills.wait(ids['backfillId'] ?? 0)
    const later = await app.enqueue('ship_order', { input: 2, runAt: new Date('2100-01-01T00:00:00Z') })
    const items = join(store.options.sqlitePath ?? '', '..', 'items.ndjson')
    writeFileSync(items, '1\n2\n')
    const host = (await app.nodes.list())[0]?.host ?? ''
    const own: Record<string, number> = { ...ids, later }
    return {
      fixture,
      remote: ['--url', fixture.url.replace('/api/v1', ''), '--token', token],
      wordsOf: (command, words, more = {}) => [
        ...command.split(' '),
        ...(typeof words === 'string' ? words : words({ ...own, ...more }))
          .replace('HOST', host)
          .replace('ITEMS', items)
          .split(' ')
          .filter((word) => word !== ''),
      ],
    }
  }
  type WordsOf = (command: string, words: Words, more?: Readonly<Record<string, number>>) => string[]

  it('shows over HTTP exactly what it shows with the database', async () => {
    const { remote, wordsOf } = await prepared()
    const [here, there]: [Record<string, Result>, Record<string, Result>] = [{}, {}]
    for (const [command, given] of Object.entries(READS)) {
      const words = wordsOf(command, given)
      here[command] = await piko(words)
      there[command] = await piko([...words, ...remote])
    }
    expect(there).toEqual(here)
    expect(
      Object.entries(here)
        .filter(([, { code }]) => code !== undefined)
        .map(([name]) => name),
    ).toEqual(['windows prove'])
    for (const [command, given] of Object.entries(OF_THE_NODE)) {
      const { shown, code } = await piko([...wordsOf(command, given), ...remote])
      expect([command, typeof shown, code?.replace(/:.*/, '') ?? '']).toEqual([
        command,
        'object',
        expect.stringMatching(/^(DOCTOR_FOUND)?$/) as string,
      ])
    }
    for (const [command, words] of Object.entries(LOCAL)) {
      const { code } = await piko([...wordsOf(command, ARGUMENTS[command] ?? ''), ...remote])
      expect([words, code]).toEqual([words, expect.stringContaining('leave out --url') as string])
    }
    const refused = await piko(['runs', 'list', '--url', remote[1] ?? '', '--token', 'garbage'])
    expect(refused.code).toMatch(/^TOKEN_INVALID/)
  })

  it('makes every change over HTTP, which the audit knows by the token and the reason', async () => {
    const { fixture, remote, wordsOf } = await prepared()
    let created = 0
    const wrong: unknown[] = []
    for (const [command, given] of Object.entries(CHANGES)) {
      const words = wordsOf(command, given, { created })
      const [last] = await fixture.app.audit.list({ limit: 1 })
      const { shown, code } = await piko([...words, '--reason', `to ${command}`, ...remote])
      if (command === 'backfills create') created = (shown as { readonly id: number }).id
      const rows = (await fixture.app.audit.list({ limit: 5 })).filter(({ id }) => id > (last?.id ?? 0))
      const [row] = rows
      const isRight =
        rows.length === 1 &&
        row?.verb === (command === 'run' ? 'runs.start' : command.replace(' ', '.')) &&
        (row.actor.kind as string) === 'token' &&
        row.actor.name === 'remote' &&
        row.reason === `to ${command}` &&
        row.outcome === 'done'
      if (code !== undefined || shown === undefined || !isRight) wrong.push({ words, code, shown, rows })
    }
    expect(wrong).toEqual([])
  })
})
