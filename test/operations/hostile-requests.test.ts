import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { sql } from 'kysely'
import { createConnection } from 'mysql2/promise'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Piko } from '../../src/app/piko.ts'
import { PikoError } from '../../src/errors.ts'
import { defineJob } from '../../src/job/define-job.ts'
import { RunStore } from '../../src/store/runs/run-store.ts'
import { openDatabase } from '../../src/store/connection/database.ts'
import { enqueueIn } from '../../src/store/runs/enqueue-in.ts'
import { migrate } from '../../src/store/migration/migrate.ts'
import { startApp, storeSettings } from '../support/app.ts'
import { createSqliteFile, describeEachStore } from '../support/databases.ts'
import { cleanEnv, SOURCE_FLAGS } from '../support/source-process.ts'
import { rejected } from '../support/thrown.ts'

function refuse(what: string): never {
  throw new Error(`the trap of ${what}`)
}

/** Throws whatever is done with it. */
const HOSTILE: unknown = new Proxy(
  {},
  {
    get: () => refuse('get'),
    has: () => refuse('has'),
    ownKeys: () => refuse('ownKeys'),
    getPrototypeOf: () => refuse('getPrototypeOf'),
  },
)
function revoked(target: object): unknown {
  const { proxy, revoke } = Proxy.revocable(target, {})
  revoke()
  return proxy
}
function* twoItems(): Generator<object> {
  yield {}
  yield {}
}
const getter = (name: string): object => Object.defineProperty({}, name, { enumerable: true, get: () => refuse(name) })

const LISTS: unknown[] = [
  ...[twoItems(), new Set([{}]), { length: 2 }, null, undefined, 'ab', 5, HOSTILE, revoked([]), Promise.resolve([])],
  ...[new Proxy([{}], { get: (list, key) => (key === '0' ? refuse('0') : (Reflect.get(list, key) as unknown)) })],
  ...[new Proxy([{}], { get: (list, key) => (key === 'length' ? 1e9 : (Reflect.get(list, key) as unknown)) })],
]
const ITEMS: unknown[] = [
  ...[undefined, null, 5, 'x', [], () => {}, HOSTILE, revoked({})],
  ...['input', 'priority', 'runAt', 'config', 'idempotencyKey'].map(getter),
]
const TRANSACTIONS: unknown[] = [
  ...[HOSTILE, revoked({}), getter('dialect'), getter('executeQuery'), {}, { dialect: 'sqlite', exec: 5, query: 6 }],
  { dialect: 'sqlite', exec: () => Promise.resolve(null), query: () => Promise.resolve(null) },
  { isTransaction: true, executeQuery: () => {}, getExecutor: () => null, withoutPlugins: () => null },
  Object.assign(getter('isTransaction'), { executeQuery: () => {}, getExecutor: () => {}, withoutPlugins: () => {} }),
]
const IDS: unknown[] = [
  NaN,
  Infinity,
  1.5,
  2 ** 53,
  '1',
  '1 or 1=1',
  null,
  undefined,
  {},
  [],
  [1, 2],
  HOSTILE,
  Symbol('x'),
]

const job = defineJob({ id: 'job' }, (ctx) => ctx.input)
const windows = defineJob({ id: 'windows', every: '1h', windows: { start: '2025-01-01T00:00:00Z' } }, () => 1)
const refusing = (id: string, safeParse: () => unknown) =>
  defineJob({ id, config: { safeParse } as never, retry: { limit: 0 } }, () => 1)
const failure = (issues: unknown): object => ({ success: false, error: { issues } })
const SCHEMAS = [
  refusing('path', () => failure([Object.assign(getter('path'), { message: 'm' }), getter('path')])),
  refusing('message', () => failure([Object.assign(getter('message'), { path: ['a'] })])),
  refusing('no_issue', () => failure([null, 5, { path: 'ab', message: Symbol('x') }, { path: [HOSTILE], message: 5 }])),
  refusing('no_issues', () => failure([])),
  refusing('proxy', () => HOSTILE),
  refusing('data_getter', () => Object.assign(getter('data'), { success: true })),
]

describeEachStore((store) => {
  const start = (): Promise<Piko> => startApp(store.options, [job, windows, ...SCHEMAS], { execute: false })

  it('answers any items and transactions with a clear error, before anything is stored', async () => {
    await store.open()
    const app = await start()
    for (const list of LISTS)
      expect(await rejected(app.enqueueMany('job', list as never))).toMatchObject({ code: 'USAGE' })
    for (const one of ITEMS) {
      const error = await rejected(app.enqueueMany('job', [{}, one] as never))
      expect([error.code, error.message]).toEqual(['USAGE', expect.stringMatching(/^item 1: /)])
    }
    for (const one of ITEMS.slice(1)) expect((await rejected(app.enqueue('job', one as never))).code).toBe('USAGE')
    for (const trx of TRANSACTIONS) {
      expect(await rejected(app.enqueue('job', { trx } as never))).toMatchObject({ code: 'USAGE' })
      expect(await rejected(app.enqueueMany('job', [{}], { trx } as never))).toMatchObject({ code: 'USAGE' })
    }
    expect(await rejected(app.enqueue('job', getter('trx')))).toMatchObject({ code: 'USAGE' })
    expect(await app.runs.list()).toEqual([])
  })

  it('reports the issues of a schema that can not be read', async () => {
    const app = await start()
    for (const { id } of SCHEMAS)
      expect(await rejected(app.enqueue(id, { config: { a: 1 } }))).toMatchObject({ code: 'CONFIG_INVALID' })
  })

  it('finds nothing for an id that is none, and does not disturb others that ask at the same time', async () => {
    const app = await start()
    const known = await app.enqueue('job', { input: 'kept' })
    const stop = new AbortController()
    const beside = app.waitFor(known, stop.signal).catch(() => 'waits')
    for (const id of IDS as number[]) {
      // An object could be a job.
      expect((await rejected(app.waitFor(id))).code).toMatch(
        typeof id === 'number' ? /^RUN_UNKNOWN$/ : /RUN_UNKNOWN|USAGE/,
      )
      for (const ask of [() => app.runs.show(id), () => app.runs.logs(id)])
        expect(await rejected(ask())).toMatchObject({ code: 'RUN_UNKNOWN' })
      for (const ask of [() => app.backfills.show(id), () => app.backfills.pause(id), () => app.backfills.wait(id)])
        expect(await rejected(ask())).toMatchObject({ code: 'BACKFILL_UNKNOWN' })
      for (const ask of [() => app.batches.show(id), () => app.batches.cancel(id), () => app.batches.replay(id)])
        expect(await rejected(ask())).toMatchObject({ code: 'BATCH_UNKNOWN' })
      for (const ids of [id, [id]] as unknown as number[][]) {
        if (ids === undefined || (Array.isArray(ids) && ids.every((one) => Number.isSafeInteger(one)))) continue
        // Null would mean all runs.
        expect(await rejected(app.runs.cancel({ ids }))).toMatchObject({ code: 'USAGE' })
        expect(await rejected(app.runs.replay({ ids }))).toMatchObject({ code: 'USAGE' })
      }
    }
    expect(await rejected(app.nodes.set(HOSTILE as never))).toMatchObject({ code: 'USAGE' })
    const range = { from: HOSTILE, to: '2025-01-02T00:00:00Z' }
    expect(await rejected(app.backfills.create('windows', range as never))).toMatchObject({ code: 'USAGE' })
    expect(await rejected(app.run('windows', { window: HOSTILE } as never))).toMatchObject({ code: 'WINDOW_UNKNOWN' })
    expect(await app.runs.show(known)).toMatchObject({ state: 'queued' })
    stop.abort(new PikoError('STOPPED', 'done'))
    expect(await beside).toBe('waits')
    expect(await new RunStore(await store.open()).findEach([NaN, known])).toMatchObject({ runs: [{ id: known }] })
  })

  it.runIf(store.name === 'mysql')('names a transaction that may only read, not the input', async () => {
    const app = await start()
    const connection = await createConnection((storeSettings(store.options).mysql as { dsn: string }).dsn)
    onTestFinished(() => connection.end())
    await connection.query('START TRANSACTION READ ONLY')
    expect(await rejected(app.enqueue('job', { trx: connection }))).toMatchObject({
      code: 'USAGE',
      message: expect.stringMatching(/^trx is a transaction that may only read; expected/) as string,
    })
  })
})

describe('an SQLite file whose disk is full', () => {
  it('is named with the remedy, from each kind of write, and works again with more room', async () => {
    const { path, remove } = createSqliteFile()
    const database = await openDatabase({ sqlitePath: path })
    onTestFinished(async () => {
      await database.close()
      remove()
    })
    await migrate(database, { direction: 'up' })
    const limit = (pages: number): Promise<unknown> =>
      database.db.executeQuery(sql.raw(`PRAGMA max_page_count = ${pages}`).compile(database.db))
    await limit(1)
    const run = { jobId: 'job', kind: 'manual', priority: 0, input: 'x'.repeat(200_000) } as const
    const runs = new RunStore(database)
    const full = {
      code: 'DATABASE_UNREACHABLE',
      message: expect.stringMatching(/disk is full.*free some space/) as string,
    }
    expect(await rejected(runs.enqueue([run]))).toMatchObject(full)
    expect(await rejected(database.sql.transaction((trx) => enqueueIn(database, trx, [run])))).toMatchObject(full)
    expect(await rejected(database.sql.exec('CREATE TABLE big AS SELECT randomblob(200000) AS a'))).toMatchObject(full)
    await limit(1_000_000)
    expect(await runs.enqueue([run])).toHaveLength(1)
  })
})

it('a process that is not allowed to start threads is told which permission is missing', async () => {
  const { path, remove } = createSqliteFile()
  onTestFinished(remove)
  const program = `
    import { Piko, defineJob } from 'piko'
    const app = new Piko({ jobs: [defineJob({ id: 'a' }, () => 1)], settings: { piko: { log_level: 'silent' }, sqlite: { path: ${JSON.stringify(path)} } } })
    await app.start().catch((error) => console.log(error.code, error.message))
    process.exit()`
  const flags = ['--permission', '--allow-fs-read=*', '--allow-fs-write=*', '--input-type=module', '--eval', program]
  const { stdout } = await promisify(execFile)(process.execPath, [...SOURCE_FLAGS, ...flags], { env: cleanEnv() })
  expect(stdout).toMatch(/^\S+ .*is not allowed to start threads.*--allow-worker/)
})
