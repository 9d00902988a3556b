import { getEventListeners } from 'node:events'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import { beforeEach, describe, expect, it } from 'vitest'
import type { Piko } from '../../../src/app/piko.ts'
import type { JobContext } from '../../../src/job/context.ts'
import { defineJob } from '../../../src/job/define-job.ts'
import type { Database } from '../../../src/store/connection/database.ts'
import { type Store, storeOn } from '../../../src/store/store.ts'
import { eventually, Gate, nextEvent, recordEvents, startApp, storeSettings, testSettings } from '../../support/app.ts'
import { describeEachStore } from '../../support/databases.ts'
import { effectsOf, emptyEffects } from '../../support/effect-table.ts'
import { sqliteStatementsDuring } from '../../support/sqlite-statements.ts'
import { TcpProxy } from '../../support/tcp-proxy.ts'
import { rejected } from '../../support/thrown.ts'
import { WorkerProcess } from '../../support/worker-process.ts'

const RETRY = { limit: 2, base: '1ms' } as const
const INSERT = 'INSERT INTO effect (run_id) VALUES (?)'

describeEachStore((fixture) => {
  let database: Database
  let store: Store

  beforeEach(async () => {
    database ??= await fixture.open()
    store ??= storeOn(database)
    await fixture.empty()
    await emptyEffects(database)
  })

  const start = (handler: (ctx: JobContext) => unknown, retry: object = RETRY): Promise<Piko> =>
    startApp(fixture.options, defineJob({ id: 'work', retry: retry as typeof RETRY }, handler))

  const enqueue = async (): Promise<number> =>
    (await store.runs.enqueue([{ jobId: 'work', kind: 'manual', priority: 0 }]))[0]!

  const namesOf = async (runId: number): Promise<string[]> => (await store.steps.list(runId)).map(({ name }) => name)

  const codeOf = async (work: Promise<unknown>): Promise<unknown> => ((await rejected(work)) as { code?: unknown }).code

  describe('a run with steps', () => {
    it('asks for each of 40 pages once, and twice for the one that failed', async () => {
      const seen: number[] = []
      const app = await start(async (ctx) => {
        const pages = await ctx.step('count', () => 40)
        for (let page = 1; page <= pages; page++) {
          await ctx.step(`page:${page}`, () => {
            seen.push(page)
            if (page === 37 && seen.filter((one) => one === 37).length === 1) throw new Error('500')
            return { page, rows: [page] }
          })
        }
        return ctx.step('page:none', () => undefined)
      })
      const run = await app.run('work', { wait: true })
      expect(run).toMatchObject({ attempt: 2, output: undefined })
      expect(seen).toEqual([...Array.from({ length: 37 }, (_, index) => index + 1), 37, 38, 39, 40])
      const { steps } = await app.runs.show(run.id)
      expect(steps).toHaveLength(42)
      expect(steps[36]).toMatchObject({ name: 'page:36', attempt: 1, tries: 1, finishedAt: expect.any(Date) as Date })
      expect(steps[37]).toMatchObject({ name: 'page:37', attempt: 2 })
    })

    it('uses what it remembers whatever the code around it has become', async () => {
      let version = 0
      const calls: string[] = []
      const step = (ctx: JobContext, name: string): Promise<string> =>
        ctx.step(name, () => {
          calls.push(name)
          return `${name} of ${version}`
        })
      const app = await start(async (ctx) => {
        version += 1
        const names = version === 1 ? ['a', 'b', 'c'] : ['new', 'c', 'a']
        const results = []
        for (const name of names) results.push(await step(ctx, name))
        if (version === 1) throw new Error('no')
        return results
      })
      const { output } = await app.run('work', { wait: true })
      expect(output).toEqual(['new of 2', 'c of 1', 'a of 1'])
      expect(calls).toEqual(['a', 'b', 'c', 'new'])
    })

    it('remembers them over a replay, and a new run has none', async () => {
      const calls: string[] = []
      let isFixed = false
      const app = await start(
        async (ctx) => {
          for (const name of ['extract', 'load', 'report']) await ctx.step(name, () => void calls.push(name))
          if (!isFixed) throw new Error('no')
        },
        { limit: 0 },
      )
      const { id } = await app.run('work')
      expect(await app.waitFor(id)).toMatchObject({ state: 'failed' })
      isFixed = true
      await app.runs.replay({ ids: [id], from: 'load' })
      await app.waitFor(id)
      expect(calls).toEqual(['extract', 'load', 'report', 'load', 'report'])
      await app.run('work', { wait: true })
      expect(calls).toHaveLength(8)
    })

    it('reads them in pages of a thousand, and none in the first attempt', async () => {
      let sent: readonly { text: string }[] = []
      const app = await start(async (ctx) => {
        const done = await ctx.stepMap(
          'n',
          Array.from({ length: 1_200 }, (_, index) => index),
          (n) => n,
          {
            concurrency: 100,
          },
        )
        if (ctx.attempt === 1) throw new Error('no')
        return done.length
      })
      const work = async (): Promise<void> =>
        expect(await app.run('work', { wait: true })).toMatchObject({ output: 1_200, attempt: 2 })
      if (fixture.name === 'mysql') return work()
      sent = await sqliteStatementsDuring(work)
      expect(sent.filter(({ text }) => /^select.*from "piko_step"/i.test(text))).toHaveLength(2)
      return undefined
    })

    it('costs a run without steps no statement on their table', async () => {
      const { rename } = {
        rename: (from: string, to: string) => sql.raw(`ALTER TABLE ${from} RENAME TO ${to}`).execute(database.db),
      }
      const app = await start((ctx) => {
        if (ctx.attempt === 1) throw new Error('no')
        return ctx.attempt
      })
      await rename('piko_step', 'piko_step_away')
      try {
        expect(await app.run('work', { wait: true })).toMatchObject({ attempt: 2, output: 2 })
        await app.stop()
      } finally {
        await rename('piko_step_away', 'piko_step')
      }
    })

    it('gives the reason for a name that is taken, a result that is too large, and one that JSON does not keep', async () => {
      const found: unknown[] = []
      const app = await start(async (ctx) => {
        const refused = async (work: Promise<unknown>): Promise<void> => {
          const { code, message } = (await rejected(work)) as { code: string; message: string }
          found.push([code, message])
        }
        await ctx.step('a', () => 1)
        await refused(ctx.step('a', () => 2))
        const gate = new Gate()
        const both = [ctx.step('b', () => gate.pass()), ctx.step('b', () => 2)]
        await refused(both[1]!)
        gate.open()
        await both[0]
        await refused(ctx.step('large', () => 'x'.repeat(2_000_000)))
        await refused(ctx.step('function', () => () => {}))
        await refused(ctx.step('odd', () => ({ at: [new Date(0)], map: new Map(), n: NaN })))
        await refused(ctx.step('', () => 1, { retry: { limit: -1 }, timeout: '1x' as never }))
        await refused(
          ctx.step('c', () => 1, { retry: { limit: -1 } as never, timeout: '1x' as never, tiemout: '1s' } as never),
        )
        await refused(ctx.stepMap('map', [1, 2, 1], (n) => n))
        await refused(ctx.stepMap('map', [{ id: 1 }], (n) => n, {} as never))
        await refused(ctx.step('outer', () => ctx.step('outer', () => 1)))
        return found.length
      })
      const { id } = await app.run('work', { wait: true })
      const has = (...texts: string[]): unknown => expect.stringMatching(new RegExp(texts.join('.*'), 's')) as unknown
      expect(found).toEqual([
        ['STEP_DUPLICATE', has('"a"', 'page:\\$\\{page\\}')],
        ['STEP_DUPLICATE', has('"b"')],
        ['STEP_RESULT', has('"large"', 'at most 1000000', 'return a reference')],
        ['STEP_RESULT', has('"function"', 'result is a function')],
        ['STEP_RESULT', has('result.map is a Map', 'result.n is NaN', 'result.at\\[0\\] is a Date')],
        ['USAGE', has('ctx.step: the name of a step is ""')],
        [
          'USAGE',
          has(
            'ctx.step has 3 problems',
            'tiemout.*did you mean "timeout"',
            'retry is wrong: limit is -1',
            'timeout is "1x"',
          ),
        ],
        ['STEP_DUPLICATE', has('"map:1"')],
        ['USAGE', has('ctx.stepMap: the key of item 0 is .*give key')],
        ['STEP_DUPLICATE', has('"outer"')],
      ])
      expect(await namesOf(id)).toEqual(['a', 'b'])
    })

    it('remembers a step inside of another one, and none that throws', async () => {
      const calls: string[] = []
      const app = await start(async (ctx) => {
        const outer = await ctx.step('outer', async () => {
          const inner = await ctx.step('inner', () => calls.push('inner'))
          if (ctx.attempt === 1) throw new Error('no')
          return inner + 1
        })
        return [outer, await ctx.step('again', () => 1)]
      })
      expect((await app.run('work', { wait: true })).output).toEqual([2, 1])
      expect(calls).toEqual(['inner'])
    })

    it('calls a step again and ends its calls in time', async () => {
      const seen: unknown[] = []
      const app = await start(async (ctx) => {
        const result = await ctx.step(
          'flaky',
          async ({ attempt, signal }) => {
            if (attempt === 1) throw new Error('once')
            if (attempt === 2) await new Gate().pass(signal).catch((error: unknown) => seen.push(error))
            return attempt
          },
          { retry: { limit: 3, base: '1ms', jitter: false }, timeout: '300ms' },
        )
        seen.push(await codeOf(ctx.step('late', () => new Promise(() => {}), { timeout: '10ms' })))
        seen.push(await codeOf(ctx.step('usage', () => ctx.step('', () => 1), { retry: { limit: 9 } })))
        return result
      })
      const { id, output } = await app.run('work', { wait: true })
      expect(output).toBe(3)
      expect(seen).toMatchObject([{ code: 'STEP_TIMEOUT' }, 'STEP_TIMEOUT', 'USAGE'])
      expect(await store.steps.list(id)).toMatchObject([{ name: 'flaky', tries: 3, attempt: 1 }])
    })

    it('waits for the steps that the handler left, before the next attempt begins', async () => {
      const gate = new Gate()
      let isRunning = false
      const app = await start(async (ctx) => {
        if (ctx.attempt > 1) return isRunning
        const slow = ctx.step('slow', async () => {
          isRunning = true
          await gate.pass()
          isRunning = false
        })
        setTimeout(() => gate.open(), 50)
        await Promise.all([slow, ctx.step('bad', () => Promise.reject(new Error('no')))])
        return undefined
      })
      const { id, output } = await app.run('work', { wait: true })
      expect(output).toBe(false)
      expect(await namesOf(id)).toEqual(['slow'])
    })

    it('begins none after the handler has ended, apart from the items of a stepMap that has begun', async () => {
      const begun: string[] = []
      const codes: Promise<unknown>[] = []
      const open = new Gate()
      const app = await start(async (ctx) => {
        if (ctx.attempt > 1) return [...begun]
        const step = (name: string): Promise<void> => ctx.step(name, () => void begun.push(name))
        const pass = (name: string) => async (): Promise<void> => {
          begun.push(name)
          await open.pass()
        }
        const left = async (): Promise<void> => {
          await ctx.step('b1', pass('b1'))
          codes.push(codeOf(step('b2')), codeOf(ctx.until('b3', () => begun.push('b3'), { every: '1s' })))
          codes.push(codeOf(ctx.stepMap('b4', [1], () => begun.push('b4'))))
        }
        const items = ctx.stepMap('item', [1, 2], (item) => pass(`item ${item}`)(), { concurrency: 1 })
        await eventually(() => expect(begun).toContain('item 1'))
        const late = left()
        setImmediate(() => setImmediate(() => open.open()))
        await Promise.all([late, items, Promise.reject(new Error('no'))])
        return undefined
      })
      const { id, output } = await app.run('work', { wait: true })
      expect(output).toEqual(['item 1', 'b1', 'item 2'])
      expect(await Promise.all(codes)).toEqual(['USAGE', 'USAGE', 'USAGE'])
      expect((await namesOf(id)).toSorted()).toEqual(['b1', 'item:1', 'item:2'])
      expect(begun).toHaveLength(3)
    })

    it('adds one listener to the signal of the run, however many steps are pending', async () => {
      const listeners: number[] = []
      const app = await start(async (ctx) => {
        const many = (call: (n: number) => Promise<unknown>): Promise<unknown> => {
          // Runs before the first step is written, after all have been called.
          setImmediate(() => listeners.push(getEventListeners(ctx.signal, 'abort').length))
          return Promise.all(Array.from({ length: 50 }, (_, n) => call(n)))
        }
        await many((n) => ctx.step(`stored:${n}`, () => n))
        await many((n) => ctx.step(`limited:${n}`, () => nextTurn(n), { timeout: '1m' }))
        await many((n) =>
          ctx.step(`retried:${n}`, ({ attempt }) => (attempt > 1 ? n : Promise.reject(new Error('no'))), {
            retry: { limit: 1, base: '50ms', jitter: false },
          }),
        )
        listeners.push(getEventListeners(ctx.signal, 'abort').length)
      })
      await app.run('work', { wait: true })
      expect(listeners).toEqual([1, 1, 1, 0])
    })

    it('begins none after a cancel or a commit, and remembers one that was under way', async () => {
      const codes: unknown[] = []
      const begun = new Gate()
      const app = await start(async (ctx) => {
        if (ctx.input === 'commit') {
          codes.push(await ctx.commit(() => codeOf(ctx.step('inside', () => 1)).then(String)))
          codes.push(await codeOf(ctx.step('after', () => 1)))
          return
        }
        const work = ctx.step('under way', async ({ signal }) => {
          begun.open()
          await new Gate().pass(signal).catch(() => {})
          return 'done'
        })
        await work.catch(() => {})
        codes.push(await codeOf(ctx.step('after', () => codes.push('called'))))
      })
      await app.run('work', { input: 'commit', wait: true })
      const { id } = await app.run('work')
      await begun.pass()
      await app.runs.cancel(id)
      expect(await app.waitFor(id)).toMatchObject({ state: 'cancelled' })
      expect(codes).toEqual(['USAGE', 'USAGE', 'RUN_CANCELLED'])
      expect(await namesOf(id)).toEqual(['under way'])
    })

    it('names a row that was edited into nonsense, sets it aside and does the step again', async () => {
      const calls: string[] = []
      const app = await start(async (ctx) => {
        for (const name of ['a', 'b', 'c'])
          await ctx.step(name, () => calls.push(name), { transaction: name === 'c' } as object)
        if (ctx.attempt > 1) return
        const broken = { result: '{odd', name: 'b' }
        await database.db.updateTable('piko_step').set({ result: broken.result }).where('name', '=', 'b').execute()
        if (fixture.name === 'sqlite')
          await sql`UPDATE piko_step SET finished_at = 'tomorrow' WHERE name = 'c'`.execute(database.db)
        else await database.db.updateTable('piko_step').set({ tries: -1 }).where('name', '=', 'c').execute()
        throw new Error('no')
      })
      const broken = recordEvents(app, 'row.broken')
      const { id } = await app.run('work', { wait: true })
      expect(calls).toEqual(['a', 'b', 'c', 'b', 'c'])
      expect(broken.map(({ table, columns }) => [table, ...columns]).sort()).toEqual(
        [
          ['piko_step', 'result'],
          ['piko_step', fixture.name === 'sqlite' ? 'finished_at' : 'tries'],
        ].sort(),
      )
      expect(broken[0]?.error.message).toContain(`run_id = ${id} AND name = `)
      expect(await store.steps.list(id)).toHaveLength(3)
    })
  })

  describe('ctx.stepMap', () => {
    it('settles all, and does only what is missing in the next attempt', async () => {
      const calls: string[] = []
      const shops = [{ id: 'eu' }, { id: 'us' }, { id: 'asia ' }]
      async function* later(): AsyncGenerator<{ id: string }> {
        for (const shop of shops) yield await Promise.resolve(shop)
      }
      const app = await start(async (ctx) => {
        const done = await ctx.stepMap(
          'shop',
          ctx.attempt === 1 ? shops : later(),
          (shop, index, { attempt }) => {
            calls.push(`${ctx.attempt} ${shop.id}`)
            if (shop.id === 'us' && ctx.attempt === 1) throw new Error('no')
            return [index, attempt]
          },
          { key: ({ id }) => id, concurrency: 2 },
        )
        for (const one of done) if (one.status === 'rejected') throw one.reason
        return done.map((one) => one.status === 'fulfilled' && one.value)
      })
      const { output } = await app.run('work', { wait: true })
      expect(calls).toEqual(['1 eu', '1 us', '1 asia ', '2 us'])
      expect(output).toEqual([
        [0, 1],
        [1, 1],
        [2, 1],
      ])
    })
  })

  describe('ctx.until', () => {
    it('gives its slot back between three looks, of which no attempt counts', async () => {
      const others: number[] = []
      let looks = 0
      const app: Piko = await startApp(
        fixture.options,
        [
          defineJob({ id: 'work', retry: { limit: 0 } }, async (ctx) => {
            const id = await ctx.step('order', () => 'export 7')
            const look = async (): Promise<string | false> => {
              // The other run is due before the second look, however slow the machine is.
              if (++looks === 1) await app.enqueue('other')
              return looks > 3 && `${id} at ${looks}`
            }
            return [await ctx.until('ready', look, { every: '100ms', for: '1h' }), ctx.attempt]
          }),
          defineJob({ id: 'other' }, (ctx) => others.push(looks) + ctx.runId),
        ],
        { settings: { piko: { concurrency: 1 } } },
      )
      const settled = recordEvents(app, 'run.settled')
      const { id } = await app.run('work')
      const run = await app.waitFor(id)
      expect(run).toMatchObject({ state: 'succeeded', attempt: 1, output: ['export 7 at 4', 1] })
      expect(others[0]).toBeLessThan(4)
      const { attempts, steps } = await app.runs.show(id)
      expect(attempts).toHaveLength(1)
      expect(steps).toMatchObject([
        { name: 'order', tries: 1, waitingSince: undefined },
        { name: 'ready', tries: 4, waitingSince: expect.any(Date) as Date, finishedAt: expect.any(Date) as Date },
      ])
      expect(steps[1]!.ms).toBeGreaterThanOrEqual(200)
      expect(settled.filter(({ runId }) => runId === id).map(({ outcome, state }) => [outcome, state])).toEqual([
        ...Array.from({ length: 3 }, () => ['waiting', 'queued']),
        ['success', 'succeeded'],
      ])
    })

    it('ends with its time, counted from the first look, and a replay waits anew', async () => {
      let looks = 0
      const app = await start((ctx) => ctx.until('ready', () => void looks++, { every: '40ms', for: '100ms' }), {
        limit: 0,
      })
      const { id } = await app.run('work')
      expect(await app.waitFor(id)).toMatchObject({ state: 'failed', error: { code: 'STEP_TIMEOUT' } })
      const first = looks
      expect(first).toBeGreaterThanOrEqual(2)
      await app.runs.replay({ ids: [id] })
      expect(await app.waitFor(id)).toMatchObject({ state: 'failed' })
      expect(looks).toBeGreaterThanOrEqual(first + 2)
      expect(await namesOf(id)).toEqual(['ready'])
    })

    it('fails the run for good before its looks use up the claims of the run', async () => {
      const id = await enqueue()
      await database.db.updateTable('piko_run').set({ claims: 64_999 }).where('id', '=', id).execute()
      let looks = 0
      const app = await start((ctx) => ctx.until('ready', () => void looks++, { every: '1ms' }))
      const { state, error } = await app.waitFor(id)
      expect([state, looks]).toEqual(['failed', 2])
      expect(error).toMatchObject({ code: 'STEP_TIMEOUT', message: expect.stringContaining('65000 times') as string })
    })

    it('keeps the time of each of two simultaneous waits, and comes back for the earlier look', async () => {
      const looks = { fast: 0, slow: 0 }
      const app = await start(async (ctx) => {
        const aborted = new Promise((resolve) => ctx.signal.addEventListener('abort', resolve))
        const slow = async (): Promise<boolean> => {
          looks.slow += 1
          if (looks.slow === 1) await aborted
          return looks.slow > 1
        }
        await Promise.all([
          ctx.until('fast', () => ++looks.fast > 1, { every: '1h' }),
          ctx.until('slow', slow, { every: '20ms' }),
        ])
      })
      const { id, attempt } = await app.run('work', { wait: true })
      expect([attempt, looks]).toEqual([1, { fast: 2, slow: 2 }])
      expect(await store.steps.list(id)).toMatchObject([
        { tries: 2, waitingSince: expect.any(Date) as Date },
        { tries: 2, waitingSince: expect.any(Date) as Date },
      ])
    })

    it('ends the attempt even if the handler catches its error', async () => {
      let looks = 0
      const app = await start(async (ctx) => {
        await ctx.until('ready', () => ++looks > 1, { every: '10ms' }).catch(() => {})
        return looks
      })
      expect(await app.run('work', { wait: true })).toMatchObject({ output: 2, attempt: 1 })
    })
  })

  describe('a step with a transaction', () => {
    it('is stored with its writes, once, or not at all', async () => {
      const app = await start(async (ctx) => {
        const load = (name: string, fail: boolean): Promise<string> =>
          ctx.step(
            name,
            async (trx) => {
              await trx.exec(INSERT, [name === 'a' ? 1 : 2])
              if (fail) throw new Error('no')
              return `${name} ${ctx.attempt}`
            },
            { transaction: true },
          )
        return [await load('a', false), await load('b', ctx.attempt === 1)]
      })
      expect((await app.run('work', { wait: true })).output).toEqual(['a 1', 'b 2'])
      expect(await effectsOf(database)).toEqual([{ run_id: 1 }, { run_id: 2 }])
    })

    it.each(['next', 'simultaneous'] as const)(
      'that times out executes no %s statement of its function after the rollback',
      async (which) => {
        const app = await start(async (ctx) => {
          const left: Promise<unknown>[] = []
          let hasBegun = false
          const load = ctx.step(
            'load',
            async (trx) => {
              await trx.exec(INSERT, [ctx.runId])
              hasBegun = true
              const slow = fixture.name === 'mysql' ? trx.query('SELECT SLEEP(0.3)') : sleep(300)
              if (which === 'next') await slow
              const next = trx.exec(INSERT, [-1])
              left.push(slow, next)
              await Promise.all([slow, next])
              await new Promise(() => {})
            },
            { transaction: true, timeout: '100ms' },
          )
          const code = await codeOf(load)
          // On a busy machine the time may be over before the first statement is: the next attempt tries again.
          if (!hasBegun) throw new Error('the time was over too early')
          await eventually(() => expect(left).toHaveLength(2))
          await Promise.allSettled(left)
          return code
        })
        expect(await app.run('work', { wait: true })).toMatchObject({ output: 'STEP_TIMEOUT' })
        expect(await effectsOf(database)).toEqual([])
      },
    )

    it('refuses a COMMIT of its own, a step inside and a claim that was overtaken, and writes nothing then', async () => {
      const codes: unknown[] = []
      const app = await start(async (ctx) => {
        const inTrx = (name: string, fn: (exec: (text: string) => Promise<unknown>) => Promise<unknown>) =>
          ctx.step(
            name,
            async (trx) => {
              await trx.exec(INSERT, [ctx.runId])
              await fn((text) => trx.exec(text))
            },
            { transaction: true, retry: { limit: 2, base: '1ms' } },
          )
        codes.push(await codeOf(inTrx('commit', (exec) => exec('COMMIT'))))
        codes.push(await codeOf(inTrx('rollback', (exec) => exec('ROLLBACK'))))
        codes.push(await codeOf(inTrx('nested', () => ctx.step('inner', () => 1))))
        codes.push(
          await codeOf(
            inTrx('result', () => Promise.resolve()).then(() =>
              ctx.step('bad', () => () => {}, { transaction: true } as never),
            ),
          ),
        )
        await database.sql.exec('DELETE FROM effect')
        await database.db
          .updateTable('piko_run')
          .set({ claims: sql`claims + 1` })
          .where('id', '=', ctx.runId)
          .execute()
        codes.push(await codeOf(inTrx('late', () => Promise.resolve())))
        codes.push(await codeOf(ctx.step('late too', () => 1)))
      })
      const lost = nextEvent(app, 'run.lost')
      const { id } = await app.run('work')
      await lost
      expect(codes).toEqual(['USAGE', 'USAGE', 'USAGE', 'STEP_RESULT', 'LEASE_LOST', 'LEASE_LOST'])
      expect(await effectsOf(database)).toEqual([])
      expect(await namesOf(id)).toEqual(['result'])
    })

    for (const killAt of [1, 2, 3]) {
      it(`leaves both its effect and its row, or neither, when the process dies before statement ${killAt} after its own`, async () => {
        const lease = fixture.name === 'sqlite' ? '60s' : '2s'
        const settings = testSettings(fixture.options, { piko: { lease } })
        const child = new WorkerProcess({ mode: 'transaction', killAt, settings }, 'engine/steps')
        await child.told('started')
        const id = await enqueue()
        expect((await child.end()).code).toBe('SIGKILL')
        await eventually(async () => {
          const both = [(await effectsOf(database)).length, (await namesOf(id)).length]
          expect(both).toEqual([0, 0])
        })
        const app = await start((ctx) =>
          ctx.step('load', (trx) => trx.exec(INSERT, [ctx.runId]).then(() => 'second'), { transaction: true }),
        )
        expect(await app.waitFor(id)).toMatchObject({ state: 'succeeded', attempt: 1, output: 'second' })
        expect(await effectsOf(database)).toEqual([{ run_id: id }])
      })
    }
  })

  describe('a process with steps', () => {
    it('that is killed leaves what it has stored to the next one', async () => {
      const lease = fixture.name === 'sqlite' ? '60s' : '2s'
      const settings = testSettings(fixture.options, { piko: { lease } })
      const child = new WorkerProcess({ mode: 'pages', waitAt: 21, settings }, 'engine/steps')
      await child.told('started')
      const id = await enqueue()
      await child.told('page 21')
      await child.kill()
      const seen: number[] = []
      const app = await start(async (ctx) => {
        let rows = 0
        for (let page = 1; page <= 40; page++) {
          await ctx.step(`page:${page}`, () => void seen.push(page))
          rows += 1
        }
        return rows
      })
      expect(await app.waitFor(id)).toMatchObject({ state: 'succeeded', attempt: 1, output: 40 })
      expect(seen).toEqual(Array.from({ length: 20 }, (_, index) => index + 21))
      expect(await store.steps.list(id)).toHaveLength(40)
    })

    it('that sleeps in the middle of a step stores nothing for it when it wakes', async () => {
      const settings = testSettings(fixture.options, { piko: { lease: '2s' } })
      const child = new WorkerProcess({ mode: 'slow', settings }, 'engine/steps')
      await child.told('started')
      const id = await enqueue()
      await child.told('begun')
      child.signal('SIGSTOP')
      const app = await start((ctx) => ctx.step('slow', () => 'second'))
      expect(await app.waitFor(id)).toMatchObject({ state: 'succeeded', output: 'second' })
      child.signal('SIGCONT')
      await child.told(`lost ${id}`)
      expect(await (await store.steps.stored(id)).get('slow')?.read()).toEqual({ value: 'second' })
      await child.kill()
    })
  })

  if (fixture.name === 'mysql') {
    describe('on a server', () => {
      async function startBehind(handler: (ctx: JobContext) => unknown): Promise<{ app: Piko; proxy: TcpProxy }> {
        const { mysql } = fixture.options
        const proxy = await TcpProxy.start({ host: mysql!.host, port: mysql!.port })
        const behind = { mysql: { ...mysql!, host: '127.0.0.1', port: proxy.port } }
        const app = await startApp(behind, defineJob({ id: 'work', retry: { limit: 0 } }, handler), {
          settings: storeSettings(behind),
        })
        return { app, proxy }
      }

      it('a step whose answer is lost is stored, once', async () => {
        let calls = 0
        const { app, proxy } = await startBehind(async (ctx) => {
          const lost = proxy.loseAnswerTo("'first'", 'INSERT INTO piko_step')
          const both = ctx.step('first', () => ++calls)
          await ctx.step('second', () => 2)
          const result = await both
          void lost
          return result
        })
        const { id, output } = await app.run('work', { wait: true })
        expect([output, calls]).toEqual([1, 1])
        expect(await store.steps.list(id)).toHaveLength(2)
        await app.stop()
        await proxy.stop()
      })

      it('a step is stored when the server answers again, and its function is not called again', async () => {
        let calls = 0
        const { app, proxy } = await startBehind(async (ctx) => {
          await ctx.step('before', () => 1)
          const result = await ctx.step('during', () => {
            proxy.cut()
            // Longer than a few tries to write it.
            setTimeout(() => proxy.heal(), 1_000)
            return ++calls
          })
          return [result, ctx.fence]
        })
        const { id, output, fence } = await app.run('work', { wait: true })
        expect([output, calls]).toEqual([[1, fence], 1])
        expect(await namesOf(id)).toEqual(['before', 'during'])
        await app.stop()
        await proxy.stop()
      })

      it.each(['answer', 'request'] as const)('a commit whose %s is lost leaves its effect once', async (what) => {
        let calls = 0
        const { app, proxy } = await startBehind(async (ctx) => {
          const lost =
            what === 'answer'
              ? proxy.loseAnswerTo('commit', 'INSERT INTO effect')
              : proxy.loseRequest('commit', 'INSERT INTO effect')
          const result = await ctx.step('load', (trx) => trx.exec(INSERT, [ctx.runId]).then(() => ++calls), {
            transaction: true,
            retry: { limit: 3, base: '1ms' },
          })
          await lost
          return result
        })
        const { id, output } = await app.run('work', { wait: true })
        expect([output, calls]).toEqual(what === 'answer' ? [1, 1] : [2, 2])
        expect(await effectsOf(database)).toEqual([{ run_id: id }])
        await app.stop()
        await proxy.stop()
      })

      it('a step that another member has stored at the same moment is left, and the own writes are rolled back', async () => {
        const app = await start((ctx) =>
          ctx.step(
            'load',
            async (trx) => {
              await trx.exec(INSERT, [ctx.runId])
              await database.sql.exec(
                `INSERT INTO piko_step (run_id, name, fence, seq, attempt, result, ms, tries, finished_at)
                 VALUES (?, 'load', 1, 1, 1, '"of another"', 0, 1, UTC_TIMESTAMP(3))`,
                [ctx.runId],
              )
              return 'own'
            },
            { transaction: true },
          ),
        )
        expect(await app.run('work', { wait: true })).toMatchObject({ output: 'of another' })
        expect(await effectsOf(database)).toEqual([])
      })

      it('a deadlock repeats the function of a transaction, and what it wrote before is gone', async () => {
        await database.sql.exec('CREATE TABLE IF NOT EXISTS two (id INT PRIMARY KEY, n INT NOT NULL)')
        await database.sql.exec('REPLACE INTO two VALUES (1, 0), (2, 0)')
        let calls = 0
        const app = await start((ctx) =>
          ctx.step(
            'load',
            async (trx) => {
              calls += 1
              await trx.exec(INSERT, [ctx.runId])
              if (calls > 1) return calls
              await trx.exec('UPDATE two SET n = n + 1 WHERE id = 1')
              const held = new Gate()
              const other = database.sql.transaction(async (another) => {
                // Heavier, so that the other transaction is the victim.
                for (let n = 0; n < 50; n++) await another.exec('INSERT INTO effect (run_id) VALUES (-1)')
                await another.exec('UPDATE two SET n = n + 1 WHERE id = 2')
                held.open()
                await another.exec('UPDATE two SET n = n + 1 WHERE id = 1')
              })
              await held.pass()
              await Promise.all([trx.exec('UPDATE two SET n = n + 1 WHERE id = 2'), other])
              return calls
            },
            { transaction: true },
          ),
        )
        const { id, output } = await app.run('work', { wait: true })
        expect(output).toBe(2)
        const effects = (await effectsOf(database)) as { run_id: number }[]
        expect(effects.filter(({ run_id }) => run_id === id)).toHaveLength(1)
      })
    })
  }
})
