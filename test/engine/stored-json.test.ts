import { beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { Piko } from '../../src/app/piko.ts'
import type { PikoError } from '../../src/errors.ts'
import { defineJob } from '../../src/job/define-job.ts'
import type { Run } from '../../src/run/run.ts'
import type { Database } from '../../src/store/connection/database.ts'
import { startApp } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'
import { rejected } from '../support/thrown.ts'

const DAY = '2025-01-01T00:00:00Z'

class Money {
  readonly #cents: number
  constructor(cents: number) {
    this.#cents = cents
  }
  toJSON(): string {
    return (this.#cents / 100).toFixed(2)
  }
}

const thrower = {
  get shop(): string {
    throw new Error('no shop')
  },
}
const loop: Record<string, unknown> = {}
loop['self'] = loop

describeEachStore((store) => {
  let database: Database

  beforeEach(async () => {
    database ??= await store.open()
    await store.empty()
  })

  /** All ways in which a config gets into the database. */
  async function refusals(app: Piko, config: unknown): Promise<PikoError[]> {
    const range = { from: DAY, to: '2025-01-03T00:00:00Z' }
    const errors = [
      await rejected(app.configs.set('job', config)),
      await rejected(app.run('job', { config })),
      await rejected(app.enqueue('job', { config })),
      await rejected(app.enqueueMany('job', [{ config }])),
      await rejected(app.sql.transaction((trx) => app.enqueue('job', { config, trx }))),
      await rejected(app.backfills.create('daily', { ...range, only: 'all', config })),
      await rejected(app.configs.set('daily', config)),
    ]
    return errors
  }

  async function stored(): Promise<number> {
    const { db } = database
    const runs = await db.selectFrom('piko_run').select('id').where('kind', '!=', 'scheduled').execute()
    const configs = await db.selectFrom('piko_job_config').select('id').execute()
    const backfills = await db.selectFrom('piko_backfill').select('id').execute()
    return runs.length + configs.length + backfills.length
  }

  const jobs = (config: z.ZodType) => [
    defineJob({ id: 'job', config }, () => {}),
    defineJob({ id: 'daily', every: '1d', windows: { start: DAY, catchUp: 'none' }, config }, () => {}),
  ]

  describe('a config', () => {
    it.each<[string, z.ZodType, unknown, RegExp]>([
      [
        'a Date where the schema has z.date()',
        z.object({ since: z.date() }),
        { since: new Date(0) },
        /since: .+z\.coerce\.date\(\)/,
      ],
      [
        'an invalid Date',
        z.object({ since: z.coerce.date() }),
        { since: new Date(NaN) },
        /config\.since is an invalid Date/,
      ],
      [
        'a Map',
        z.object({ shops: z.map(z.string(), z.number()) }),
        { shops: new Map([['a', 1]]) },
        /config\.shops is a Map/,
      ],
      ['a Set', z.object({ shops: z.set(z.string()) }), { shops: new Set(['a']) }, /config\.shops is a Set/],
      ['a BigInt', z.object({ id: z.bigint() }), { id: 1n }, /config\.id is the BigInt 1/],
      ['a NaN', z.object({ n: z.nan() }), { n: NaN }, /config\.n is NaN/],
      ['undefined in a list', z.object({ l: z.array(z.unknown()) }), { l: [undefined] }, /config\.l\[0\] is undefined/],
      ['a function', z.object({ f: z.any() }), { f: () => 1 }, /config\.f is a function/],
      [
        'an instance of a class',
        z.object({ price: z.instanceof(Money) }),
        { price: new Money(150) },
        /price: .+\(a Money was passed/,
      ],
      ['a getter that throws', z.object({ shop: z.any() }), thrower, /config\.shop can't be read: no shop/],
      ['a cycle', z.looseObject({}), loop, /config\.self refers to an object that contains it/],
      ['a transform of a Date', z.object({ since: z.date().transform(Number) }), { since: new Date(0) }, /since: /],
      [
        'a required value that is undefined',
        z.looseObject({}).refine((c) => 'y' in c, 'y is missing'),
        { y: undefined },
        /y is missing/,
      ],
      [
        'an async refinement',
        z.object({ shop: z.object({ name: z.string().refine(() => Promise.resolve(true)) }) }),
        { shop: { name: 'eu' } },
        /shop\.name: .+asynchronous/,
      ],
      [
        'a refinement that throws',
        z.object({ l: z.array(z.string().refine(() => JSON.parse('x') as boolean)) }),
        { l: ['a'] },
        /l\.0: the schema throws here: Unexpected token/,
      ],
      ['too many bytes', z.looseObject({}), { text: 'x'.repeat(60_000) }, /is 60011 bytes of JSON/],
      [
        'a list without end',
        z.looseObject({}),
        { list: new Array(4_000_000_000) },
        /config\.list takes more than 60000 bytes/,
      ],
    ])('is refused with %s, and nothing is stored', async (_name, schema, config, message) => {
      const app = await startApp(store.options, jobs(schema))
      for (const error of await refusals(app, config)) {
        expect(error.code).toBe('CONFIG_INVALID')
        expect(error.message).toMatch(message)
        expect(error.message).toMatch(/job "(job|daily)"/)
      }
      expect(await stored()).toBe(0)
    })

    it('is refused with all its problems together', async () => {
      const config = z.object({ since: z.date(), shop: z.string(), pages: z.int() })
      const app = await startApp(store.options, jobs(config))
      const bad = { since: new Date(0), shop: new Map(), pages: 1.5, more: [NaN] }
      const error = await rejected(app.run('job', { config: bad }))
      expect(error.details['problems']).toEqual([
        expect.stringMatching(/^config\.shop is a Map/),
        expect.stringMatching(/^config\.more\[0\] is NaN/),
        expect.stringMatching(/^since: .+a Date was passed/),
        expect.stringMatching(/^pages: /),
      ])
      const many = await rejected(app.enqueueMany('job', [{ config: bad }, { config: {} }, { input: new Set() }]))
      expect(many.code).toBe('CONFIG_INVALID')
      expect(many.message).toMatch(/^item 0: the config .+\nitem 1: the config .+\nitem 2: the config /)
    })

    it('reaches the run as the schema reads its stored JSON, however often it is read', async () => {
      const config = z.object({
        since: z.coerce.date(),
        id: z.coerce.bigint(),
        price: z.string().transform(Number),
        plus: z.int().transform((n) => n + 1),
        gone: z.string().optional(),
        zero: z.number(),
        at: z.coerce.date().default(() => new Date(5)),
      })
      const seen: unknown[] = []
      const job = defineJob({ id: 'job', config, retry: { limit: 1, base: '1ms' } }, (ctx) => {
        seen.push(ctx.config)
        if (ctx.attempt === 1) throw new Error('on purpose')
      })
      const app = await startApp(store.options, job)
      const given = { since: new Date(0), id: '1', price: new Money(150), plus: 1, gone: undefined, zero: -0 }
      const parsed = { since: new Date(0), id: 1n, price: 1.5, plus: 2, zero: 0, at: new Date(5) }
      const text = { since: '1970-01-01T00:00:00.000Z', id: '1', price: '1.50', plus: 1, zero: 0 }
      const { id, config: read } = await app.run('job', { config: given, wait: true })
      expect(read).toStrictEqual(text)
      await app.runs.replay({ ids: [id] })
      await app.waitFor(id)
      expect(await app.configs.set('job', given)).toMatchObject({ config: text })
      await app.run('job', { wait: true })
      await app.run('job', { config: { plus: 1 }, wait: true })
      expect(seen.length).toBeGreaterThanOrEqual(6)
      for (const config of seen) expect(config).toStrictEqual(parsed)
    })

    it('that its owner changes after the call is stored as it was', async () => {
      const app = await startApp(
        store.options,
        defineJob({ id: 'job' }, (ctx) => [ctx.config, ctx.input]),
      )
      const config = { shop: 'eu' }
      const input = [1]
      const running = app.run('job', { config, input, wait: true })
      config.shop = 'us'
      input.push(2)
      expect((await running).output).toEqual([{ shop: 'eu' }, [1]])
    })

    it('with which a backfill would fail does not change succeeded windows', async () => {
      const config = z.object({ since: z.date().optional() })
      const app = await startApp(store.options, jobs(config))
      const range = { from: DAY, to: '2025-01-03T00:00:00Z', only: 'all' } as const
      const backfill = await app.backfills.create('daily', range)
      await backfill.wait()
      await rejected(app.backfills.create('daily', { ...range, config: { since: new Date() } }))
      const windows = await app.windows.list('daily', { to: range.to })
      expect(windows).toMatchObject([{ state: 'succeeded' }, { state: 'succeeded' }])
    })
  })

  describe('an input', () => {
    const lossy: [string, unknown, RegExp][] = [
      ['a Map', { rows: new Map() }, /the input of job "job" can't be stored as JSON: input\.rows is a Map/],
      ['NaN', [1, NaN], /input\[1\] is NaN/],
      ['a BigInt', 1n, /input is the BigInt 1/],
      ['a function', () => 1, /input is a function/],
      ['a getter that throws', thrower, /input\.shop can't be read: no shop/],
      ['too many bytes', 'x'.repeat(1_000_000), /the input of job "job" is 1000002 bytes/],
    ]
    it.each(lossy)('is refused with %s, and nothing is stored', async (_name, input, message) => {
      const app = await startApp(store.options, jobs(z.looseObject({})))
      for (const error of [
        await rejected(app.run('job', { input })),
        await rejected(app.enqueue('job', { input })),
        await rejected(app.enqueueMany('job', [{}, { input }])),
        await rejected(app.sql.transaction((trx) => app.enqueueMany('job', [{}, { input }], { trx }))),
      ])
        expect(error).toMatchObject({ code: 'USAGE', message: expect.stringMatching(message) as string })
      expect(await stored()).toBe(0)
    })

    it('reaches handler and key functions as the database returns it', async () => {
      const seen: unknown[] = []
      const job = defineJob(
        {
          id: 'job',
          concurrency: { limit: 1, key: ({ input }) => (seen.push(input), 'k') },
        },
        (ctx) => ctx.input,
      )
      const app = await startApp(store.options, job)
      const input = { at: new Date(0), none: undefined, price: new Money(150), n: 1e21 }
      const back = { at: '1970-01-01T00:00:00.000Z', price: '1.50', n: 1e21 }
      expect((await app.run('job', { input, wait: true })).output).toEqual(back)
      expect(seen).toStrictEqual([back])
    })
  })

  describe('an output', () => {
    it.each<[string, unknown, RegExp]>([
      ['a Map', new Map(), /the output of job "job" can't be stored as JSON: output is a Map/],
      ['NaN', { average: NaN }, /output\.average is NaN/],
      ['a BigInt', { id: 1n }, /output\.id is the BigInt 1/],
      ['a cycle', loop, /output\.self refers to an object that contains it/],
    ])('fails the run with %s, and its commit is rolled back', async (_name, output, message) => {
      const returns = defineJob({ id: 'job' }, () => output)
      const commits = defineJob({ id: 'committing' }, (ctx) =>
        ctx.commit(async (trx) => {
          await trx.exec("UPDATE piko_job SET description = 'written' WHERE id = 'committing'")
          return output
        }),
      )
      const app = await startApp(store.options, [returns, commits])
      for (const id of ['job', 'committing']) {
        const { run } = (await rejected(app.run(id, { wait: true }))) as unknown as { run: Run }
        expect(run).toMatchObject({ state: 'failed', error: { code: 'USAGE' } })
        expect(run.error?.message).toMatch(new RegExp(message.source.replace('job "job"', `job "${id}"`)))
      }
      const job = await database.db
        .selectFrom('piko_job')
        .select('description')
        .where('id', '=', 'committing')
        .execute()
      expect(job).not.toContainEqual({ description: 'written' })
    })

    it('is stored as its JSON', async () => {
      const job = defineJob({ id: 'job' }, () => ({ at: new Date(0), none: undefined, row: new Money(1) }))
      const app = await startApp(store.options, job)
      expect((await app.run('job', { wait: true })).output).toEqual({ at: '1970-01-01T00:00:00.000Z', row: '0.01' })
    })
  })
})
