import { createConnection } from 'mysql2/promise'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { Item } from '../../src/item/item.ts'
import { defineJob } from '../../src/job/define-job.ts'
import { defineSink } from '../../src/sink/define-sink.ts'
import { sqlTable } from '../../src/sink/sql/sql-table.ts'
import type { OpenOptions } from '../../src/store/connection/database.ts'
import { eventually, nextEvent, recordEvents, startApp } from '../support/app.ts'
import { createSqliteFile } from '../support/databases.ts'
import { type MysqlServer, startMysqlServer } from '../support/mysql-server.ts'

/** Text with characters that the driver escapes and characters of several bytes. */
const LONG = `'${'"ä😀\\'.repeat(2_000)}`

const Page = z.object({ id: z.number(), body: z.string() })
const pages = sqlTable<z.infer<typeof Page>>({ name: 'pages', columns: ['id', 'body'], windowColumn: null })
const Pages = defineSink({
  name: 'pages',
  on: [[Page, (rows, batch) => pages.insert(batch, rows)]],
  async open({ sql }) {
    await sql.exec(`CREATE TABLE IF NOT EXISTS pages (id INTEGER PRIMARY KEY, body LONGTEXT NOT NULL)`)
  },
})

let server: MysqlServer | undefined
const stores = {
  sqlite: () => {
    const { path, remove } = createSqliteFile()
    return Promise.resolve({ options: { sqlitePath: path }, remove })
  },
  'a server that takes statements up to 1 MB': async () => {
    server = await startMysqlServer({ maxPacket: '1M' })
    const admin = await createConnection(server.dsn)
    await admin.query('CREATE DATABASE sizes CHARACTER SET utf8mb4')
    await admin.end()
    const { hostname, port, username, password } = new URL(server.dsn)
    const options: OpenOptions = {
      mysql: {
        ...{ host: hostname, port: Number(port), user: username, password, database: 'sizes' },
        ...{ poolSize: 10, poolRecycleMs: 0, connectTimeoutMs: 30_000, statementTimeoutMs: 60_000 },
      },
    }
    return { options, remove: () => server?.stop() }
  },
} as const

describe.each(Object.entries(stores))('on %s', (name, create) => {
  let options: OpenOptions
  let remove: () => unknown
  beforeAll(async () => ({ options, remove } = await create()))
  afterAll(() => remove())

  it('keeps 500 long lines of one run, and those of simultaneous runs', async () => {
    const chatty = defineJob({ id: 'chatty' }, (ctx) => {
      for (let line = 0; line < 500; line++) ctx.log.info({ body: LONG.slice(0, 4_000), line }, LONG)
    })
    const quiet = defineJob({ id: 'quiet' }, (ctx) => ctx.log.info('here'))
    const app = await startApp(options, [chatty, quiet])
    const failures = recordEvents(app, 'loop.failed')
    const [one, other] = await Promise.all([app.run('chatty', { wait: true }), app.run('quiet', { wait: true })])
    const lines = await app.runs.logs(one.id)
    expect(lines.map(({ fields }) => fields?.['line'])).toEqual(Array.from({ length: 500 }, (_, line) => line))
    expect(new Set(lines.map(({ message }) => message))).toEqual(new Set([LONG.slice(0, 4_000)]))
    expect(await app.runs.logs(other.id)).toHaveLength(1)
    expect(failures).toEqual([])
    await app.stop()
  })

  it('writes rows of a sink that exceed one statement', async () => {
    const job = defineJob({ id: 'crawl', sinks: { pages: Pages } }, async (ctx) => {
      for (let id = 0; id < 300; id++) await ctx.sinks.pages.write(Page, { id, body: LONG })
    })
    const app = await startApp(options, [job])
    await app.run('crawl', { wait: true })
    const [row] = await app.sql.query('SELECT count(*) AS n, min(body) AS least, max(body) AS most FROM pages')
    expect(row).toEqual({ n: 300, least: LONG, most: LONG })
  })

  it('stores the ends of many runs with long errors', async () => {
    const job = defineJob({ id: 'fails', retry: { limit: 0 } }, () => {
      const error = new Error(LONG)
      error.stack = LONG
      throw error
    })
    const app = await startApp(options, [job], { settings: { piko: { concurrency: 200 } } })
    const failures = recordEvents(app, 'loop.failed')
    const ids = await app.enqueueMany(
      'fails',
      Array.from({ length: 200 }, () => ({})),
    )
    const runs = await Promise.all(ids.map((id) => app.waitFor(id)))
    expect(runs.every(({ state }) => state === 'failed')).toBe(true)
    expect((await app.runs.show(ids[0] as number)).attempts[0]?.outcome).toBe('failed')
    expect(failures).toEqual([])
  })

  it('stores many runs with long inputs and reads them back', async () => {
    const job = defineJob({ id: 'echo' }, ({ input }) => (input as { body: string }).body.length)
    const app = await startApp(options, [job])
    const ids = await app.enqueueMany(
      'echo',
      Array.from({ length: 150 }, () => ({ input: { body: LONG } })),
    )
    const runs = await Promise.all(ids.map((id) => app.waitFor(id)))
    expect(new Set(runs.map(({ output }) => output))).toEqual(new Set([LONG.length]))
    const again = await app.sql.transaction((trx) =>
      app.enqueueMany(
        'echo',
        Array.from({ length: 150 }, () => ({ input: { body: LONG } })),
        { trx },
      ),
    )
    expect(again).toHaveLength(150)
  })

  it('registers jobs whose schedules and descriptions exceed one statement', async () => {
    const jobs = Array.from({ length: 400 }, (_, index) =>
      defineJob(
        { id: `described_${index}`, description: '😀"'.repeat(166), cron: '0 0 1 1 *', timezone: 'Europe/Berlin' },
        () => {},
      ),
    )
    const app = await startApp(options, jobs)
    const [row] = await app.sql.query(`SELECT count(*) AS n FROM piko_job WHERE id LIKE 'described%'`)
    expect(row).toEqual({ n: 400 })
  })

  it('writes the starts of many rate keys', async () => {
    const job = defineJob({ id: 'hosts', rate: { rate: '1000/h', key: (run) => String(run.input) } }, () => {})
    const app = await startApp(options, [job], { settings: { piko: { concurrency: 1_500 } } })
    const failures = recordEvents(app, 'loop.failed')
    const keys = Array.from({ length: 1_500 }, (_, index) => `${'"'.repeat(120)}${index}`)
    const ids = await app.enqueueMany(
      'hosts',
      keys.map((input) => ({ input })),
    )
    const runs = await Promise.all(ids.map((id) => app.waitFor(id)))
    expect(runs.every(({ state }) => state === 'succeeded')).toBe(true)
    expect(failures).toEqual([])
  })

  it('reports with the run how many lines did not fit while the database accepted none', async () => {
    const job = defineJob({ id: 'flood' }, (ctx) => {
      for (let line = 0; line < 20_500; line++) ctx.log.info('')
    })
    const app = await startApp(options, [job], { settings: { history: { run_log_lines: 100_000 } } })
    await app.sql.exec('ALTER TABLE piko_run_log RENAME TO piko_run_log_away')
    const refused = nextEvent(app, 'loop.failed', ({ loop }) => loop === 'run-logs')
    const { id } = await app.run('flood', { wait: true })
    await refused
    await app.sql.exec('ALTER TABLE piko_run_log_away RENAME TO piko_run_log')
    await eventually(async () => {
      const lines = await app.runs.logs(id, { level: 'warn' })
      expect(lines.map(({ message }) => message)).toEqual([
        'left out 500 lines that the database did not store in time',
      ])
    })
    expect(await app.runs.logs(id, { limit: 30_000 })).toHaveLength(20_001)
  })

  it('an item whose child or state exceeds one statement is dead, and the others end', async () => {
    const large = { text: '\n'.repeat(480_000) }
    const job = defineJob(
      {
        id: 'items',
        tolerate: { dead: '100%' },
        items: {
          child: { run: () => undefined },
          root: {
            run: async ({ data }: Item<number>, ctx) => {
              if (data === 3) await ctx.items.add('child', [large], { key: () => 'large' })
              if (data === 5) (await ctx.state('pool', { size: 1, create: () => Promise.resolve({}) })).save(large)
            },
          },
        },
      },
      (ctx) =>
        ctx.items.add(
          'root',
          Array.from({ length: 8 }, (_, n) => n),
        ),
    )
    const app = await startApp(options, [job])
    const failures = recordEvents(app, 'loop.failed')
    const { id } = await app.run('items', { wait: true })
    const dead = (await app.items.list(id, { state: 'dead' })).items.map(({ error }) => error?.message)
    const expected: unknown[] =
      name === 'sqlite' ? [] : Array.from({ length: 2 }, () => expect.stringContaining('max_allowed_packet') as unknown)
    expect(dead).toEqual(expected)
    expect(await app.items.status(id)).toMatchObject({ done: name === 'sqlite' ? 9 : 6, dead: expected.length })
    expect(failures).toEqual([])
    await app.stop()
  })

  it('reports an input or output that alone is too large, before it stores anything', async () => {
    const huge = '"'.repeat(1_000_001)
    const job = defineJob({ id: 'huge', retry: { limit: 0 } }, ({ input }) => (input === 'out' ? huge : undefined))
    const app = await startApp(options, [job])
    const failures = recordEvents(app, 'loop.failed')
    const tooLarge = {
      code: 'USAGE',
      message: expect.stringMatching(/^the input of job ".+" is \d+ bytes of JSON; at most \d+ /) as unknown,
    }
    await expect(app.run('huge', { input: huge })).rejects.toMatchObject(tooLarge)
    await expect(app.enqueue('huge', { input: huge })).rejects.toMatchObject(tooLarge)
    const run = await app.waitFor(await app.enqueue('huge', { input: 'out' }))
    expect(run).toMatchObject({
      state: 'failed',
      error: {
        code: 'USAGE',
        message: expect.stringMatching(/^the output of job ".+" is \d+ bytes of JSON; at most \d+ /) as unknown,
      },
    })
    expect(failures).toEqual([])
  })
})

describe('a server that takes statements up to 1 MB', () => {
  it('limits the size of an input, with quotes that the driver doubles', async () => {
    const { options, remove } = await stores['a server that takes statements up to 1 MB']()
    try {
      const job = defineJob({ id: 'echo', retry: { limit: 0 } }, ({ input }) => input)
      const app = await startApp(options, [job])
      const most = (2 ** 20 - 140_000) / 2
      const input = '"'.repeat(most / 2 - 1)
      expect((await app.run('echo', { input, wait: true })).output).toBe(input)
      await expect(app.run('echo', { input: `${input}"` })).rejects.toMatchObject({
        code: 'USAGE',
        message: expect.stringContaining(`at most ${most} are stored`) as unknown,
      })
      const failed = app.sql.exec('DO ?', ['x'.repeat(2 ** 20)])
      await expect(failed).rejects.toMatchObject({ code: 'STATEMENT_TOO_LARGE', details: { mostBytes: 2 ** 20 } })
      // Its connection and the others still work.
      expect(await app.sql.query('SELECT 1 AS a')).toEqual([{ a: 1 }])
      const row = pages.insert({ sql: app.sql, index: 0, fence: 1, window: undefined } as never, [
        { id: 1, body: 'x' },
        { id: 2, body: 'x'.repeat(2 ** 20) },
      ])
      await expect(row).rejects.toMatchObject({
        code: 'SINK_ROW_INVALID',
        message: expect.stringMatching(/^row 1 for table pages is 1048\d\d\d bytes/) as unknown,
      })
      await app.stop()
    } finally {
      await remove()
    }
  })
})
