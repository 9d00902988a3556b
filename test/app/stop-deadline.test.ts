import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { Piko } from '../../src/app/piko.ts'
import { stopPlan } from '../../src/engine/execution/stop-plan.ts'
import type { JobContext } from '../../src/job/context.ts'
import { defineJob } from '../../src/job/define-job.ts'
import { offload } from '../../src/offload/offload.ts'
import { defineResource } from '../../src/resource/define-resource.ts'
import { defineService } from '../../src/service/define-service.ts'
import { defineSink } from '../../src/sink/define-sink.ts'
import type { Database } from '../../src/store/connection/database.ts'
import { eventually, makeApp, nextEvent, recordEvents, startApp, testSettings } from '../support/app.ts'
import { createMysqlDatabase, describeEachStore } from '../support/databases.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import { rejected } from '../support/thrown.ts'

const SHORT = { settings: { piko: { shutdown_timeout: '500ms' } }, stopMayFail: true } as const
const never = (): Promise<never> => new Promise(() => {})
const Row = z.object({ id: z.int() })
const nothing = defineJob({ id: 'a' }, () => {})

describeEachStore((store) => {
  let database: Database

  beforeEach(async () => {
    database ??= await store.open()
    await store.empty()
  })

  const runs = async () => database.db.selectFrom('piko_run').selectAll().execute()

  describe('a stop with handlers that ignore their signal', () => {
    it('returns any number of their runs to the queue, and reports it in one event', async () => {
      const count = 1_000
      const app = await startApp(store.options, defineJob({ id: 'stubborn' }, never), {
        settings: { piko: { shutdown_timeout: '10s', lease: '30s', concurrency: count } },
      })
      const drained = recordEvents(app, 'node.drained')
      await app.enqueueMany(
        'stubborn',
        Array.from({ length: count }, () => ({})),
      )
      await eventually(async () =>
        expect(new Set((await runs()).map((run) => run.state))).toEqual(new Set(['running'])),
      )
      await app.stop()
      expect(new Set((await runs()).map((run) => `${run.state} ${run.attempt} ${run.node_id}`))).toEqual(
        new Set(['queued 0 null']),
      )
      expect(drained).toMatchObject([{ ended: 0, givenBack: count, stillRunning: count, leftBehind: 0 }])
      expect(drained[0]?.runs).toHaveLength(20)
    })

    it('distinguishes runs that ended from runs returned to the queue', async () => {
      const app = await startApp(
        store.options,
        [
          defineJob(
            { id: 'obeys' },
            ({ signal }) => new Promise((resolve) => signal.addEventListener('abort', resolve)),
          ),
          defineJob({ id: 'stubborn' }, never),
          defineJob({ id: 'short' }, () => new Promise((resolve) => setTimeout(resolve, 50))),
        ],
        { settings: { piko: { shutdown_timeout: '2s' } } },
      )
      const drained = nextEvent(app, 'node.drained')
      const started = recordEvents(app, 'run.started')
      for (const id of ['obeys', 'stubborn', 'short']) await app.run(id)
      await eventually(() => expect(started).toHaveLength(3))
      await app.stop()
      const stubborn = (await runs()).find((run) => run.job_id === 'stubborn')
      expect(await drained).toMatchObject({
        givenBack: 2,
        stillRunning: 1,
        leftBehind: 0,
        runs: [`stubborn ${stubborn?.id}`],
      })
    })

    it('rejects writes of a handler whose run was returned to the queue', async () => {
      const go = Promise.withResolvers<void>()
      let late: Promise<Error> | undefined
      const job = defineJob({ id: 'a' }, async (ctx: JobContext) => {
        await go.promise
        late = rejected(ctx.commit((trx) => trx.exec('DELETE FROM piko_run')))
        await late
      })
      const app = await startApp(store.options, job, { settings: { piko: { shutdown_timeout: '500ms' } } })
      const started = nextEvent(app, 'run.started')
      const run = await app.run('a')
      await started
      await app.stop()
      go.resolve()
      await eventually(() => expect(late).toBeDefined())
      expect((await late)?.message).toBeTruthy()
      expect(await runs()).toMatchObject([{ id: run.id, state: 'queued', attempt: 0 }])
    })
  })

  describe('a stop settles and names what hangs:', () => {
    it('the close of a resource, and closes the others', async () => {
      const closed: string[] = []
      const resource = (name: string, close: () => unknown) =>
        defineResource({
          name,
          acquire: async function* () {
            yield name
          },
          close: async () => void (await close()),
        })
      const resources = { first: resource('first', () => closed.push('first')), hung: resource('hung', never) }
      const app = await startApp(
        store.options,
        defineJob({ id: 'a', resources }, () => {}),
        SHORT,
      )
      await app.run('a', { wait: true })
      expect((await rejected(app.stop())).message).toContain('resource hung failed to close: it did not finish')
      expect(closed).toEqual(['first'])
      expect(await database.db.selectFrom('piko_node').selectAll().execute()).toEqual([])
    })

    it('the clean-up of a loan', async () => {
      const db = defineResource({
        name: 'db',
        acquire: async function* () {
          try {
            yield 1
          } finally {
            await never()
          }
        },
      })
      const app = await startApp(
        store.options,
        defineJob({ id: 'a', resources: { db } }, () => {}),
        SHORT,
      )
      const started = nextEvent(app, 'run.started')
      await app.run('a')
      await started
      await app.stop()
      expect(await runs()).toMatchObject([{ state: 'queued', attempt: 0 }])
    })

    it.each(['open', 'flush', 'close'] as const)('the %s of a sink', async (where) => {
      const Rows = defineSink({
        name: 'rows',
        on: [[Row, () => (where === 'flush' ? never() : undefined)]],
        ...(where === 'open' && { open: never }),
        ...(where === 'close' && { close: never }),
      })
      const job = defineJob({ id: 'a', sinks: { rows: Rows } }, (ctx) => ctx.sinks.rows.write(Row, { id: 1 }))
      const app = await startApp(store.options, job, SHORT)
      const settled = nextEvent(app, 'run.settled')
      const started = nextEvent(app, 'run.started')
      await app.run('a')
      await started
      if (where === 'close') await settled
      const error = await app.stop().then(
        () => undefined,
        (thrown: Error) => thrown,
      )
      if (where !== 'flush') expect(error?.message).toContain('sink rows failed to close')
      expect((await runs()).map((run) => run.state)).toEqual([where === 'close' ? 'succeeded' : 'queued'])
    })

    it.each(['stop', 'start'] as const)('the %s of a service', async (where) => {
      const closed: string[] = []
      const reached = Promise.withResolvers<void>()
      const hung = defineService({
        name: 'hung',
        [where]: () => {
          reached.resolve()
          return never()
        },
      })
      const other = defineService({ name: 'other', stop: () => void closed.push('other') })
      const app = makeApp(store.options, nothing, { ...SHORT, services: [other, hung] })
      const stuck = recordEvents(app, 'service.stuck')
      const starting = app.start()
      starting.catch(() => {})
      await (where === 'stop' ? starting : reached.promise)
      const error = await rejected(app.stop())
      expect(error).toMatchObject({ code: 'STOP_INCOMPLETE' })
      // On a busy machine, the deadline of the whole stop passes first, and its message has no quotes.
      expect(error.message).toContain('Piko/hung')
      expect(stuck).toContainEqual(expect.objectContaining({ service: 'Piko/hung' }))
      if (where === 'start') expect((await rejected(starting)).code).toBe('STOPPED')
      expect(closed).toEqual(['other'])
    })

    it('a job module that never finishes loading', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'piko-hang-'))
      onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
      writeFileSync(join(folder, 'jobs.mjs'), 'await new Promise((resolve) => setTimeout(resolve, 600_000).unref())')
      const settings = testSettings(store.options, {
        piko: { shutdown_timeout: '100ms', jobs: [join(folder, '*.mjs')] },
      })
      const app = new Piko({ settings })
      void app.start().catch(() => {})
      expect(await rejected(app.stop())).toMatchObject({ code: 'STOP_INCOMPLETE' })
    })

    it('an offload call that belongs to no run', async () => {
      const spin = offload<{ spin(): void }>(new URL('../fixtures/engine/spin.mjs', import.meta.url))
      const app = await startApp(store.options, nothing, SHORT)
      const call = rejected(spin.spin())
      await app.stop()
      expect(await call).toBeInstanceOf(Error)
    })
  })

  it('a hanging check of a resource fails the health, but does not delay the answer', async () => {
    const db = defineResource({
      name: 'db',
      acquire: async function* () {
        yield 1
      },
      check: never,
    })
    const app = await startApp(
      store.options,
      defineJob({ id: 'a', resources: { db } }, () => {}),
    )
    await app.run('a', { wait: true })
    expect((await app.health()).checks['resources in use']).toEqual({ ok: false, message: 'no answer within 5 s' })
  })
})

describe('a stop while the database does not answer', () => {
  it('settles, names the runs it left behind, and leaves them to recovery', async () => {
    const { options, drop } = await createMysqlDatabase()
    onTestFinished(drop)
    const proxy = await TcpProxy.start(options)
    onTestFinished(() => proxy.stop())
    const far = { mysql: { ...options, host: '127.0.0.1', port: proxy.port } }
    const app = await startApp(far, defineJob({ id: 'a' }, never), {
      ...SHORT,
      settings: { piko: { shutdown_timeout: '1s', lease: '30s' } },
    })
    const drained = nextEvent(app, 'node.drained')
    const started = nextEvent(app, 'run.started')
    const run = await app.run('a')
    await started
    proxy.swallowRequests()
    const error = await rejected(app.stop())
    expect(await drained).toMatchObject({ ended: 0, givenBack: 0, leftBehind: 1, runs: [`a ${run.id}`] })
    expect(error.code).toBe('STOP_INCOMPLETE')
    expect(error.message).toContain(`of 1 run could not be stored: a ${run.id}`)
  })
})

describe('the time of a stop', () => {
  it.each([0, 100, 1_000, 5_000, 24_000, 30_000, 600_000])(
    'of %d ms leaves time to return runs to the queue',
    (timeoutMs) => {
      const { abortAtMs, giveUpAtMs, abandonAtMs, cutAtMs } = stopPlan(timeoutMs, 5_000)
      expect(abortAtMs).toBeLessThanOrEqual(giveUpAtMs)
      expect(giveUpAtMs).toBeLessThanOrEqual(timeoutMs)
      expect(abandonAtMs - giveUpAtMs).toBeGreaterThanOrEqual(1_000)
      expect(cutAtMs).toBeGreaterThan(abandonAtMs)
    },
  )
})
