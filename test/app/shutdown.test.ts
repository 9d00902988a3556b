import { beforeEach, describe, expect, it } from 'vitest'
import { Piko } from '../../src/app/piko.ts'
import { defineJob } from '../../src/job/define-job.ts'
import { defineResource } from '../../src/resource/define-resource.ts'
import type { Database } from '../../src/store/connection/database.ts'
import { eventually, Gate, makeApp, nextEvent, recordEvents, startApp, testSettings } from '../support/app.ts'
import { createMysqlDatabase, describeEachStore } from '../support/databases.ts'
import { rejected } from '../support/thrown.ts'
import { WorkerProcess } from '../support/worker-process.ts'

const SHORT = { settings: { piko: { shutdown_timeout: '300ms' } } } as const

describeEachStore((store) => {
  let database: Database

  beforeEach(async () => {
    database ??= await store.open()
    await store.empty()
  })

  const rowsOf = async (table: 'piko_run' | 'piko_node') => database.db.selectFrom(table).selectAll().execute()

  describe('stop', () => {
    it('waits for the runs under way and starts no more', async () => {
      const gate = new Gate()
      const ran: unknown[] = []
      const app = await startApp(
        store.options,
        defineJob({ id: 'a' }, async (ctx) => {
          await gate.pass()
          ran.push(ctx.input)
        }),
        { settings: { piko: { concurrency: 1 } } },
      )
      const started = nextEvent(app, 'run.started')
      await app.run('a', { input: 'first' })
      await started
      await app.run('a', { input: 'second' })
      let isStopped = false
      const stopping = app.stop().then(() => (isStopped = true))
      expect(app.isStopping).toBe(true)
      expect(isStopped).toBe(false)
      gate.open()
      await stopping
      expect(ran).toEqual(['first'])
      const rows = await rowsOf('piko_run')
      expect(rows).toMatchObject([
        { state: 'succeeded', attempt: 1 },
        { state: 'queued', attempt: 0, node_id: null },
      ])
      expect(await rowsOf('piko_node')).toEqual([])
    })

    it('returns runs to the queue uncounted after its deadline, and the next app runs them', async () => {
      let reason: unknown
      const job = defineJob({ id: 'a', retry: { limit: 0 } }, async ({ signal, attempt }) => {
        if (reason === undefined) {
          await new Gate().pass(signal).catch((error: unknown) => {
            reason = error
            throw error
          })
        }
        return `attempt ${attempt}`
      })
      const first = await startApp(store.options, job, SHORT)
      const settled = nextEvent(first, 'run.settled')
      const started = nextEvent(first, 'run.started')
      const run = await first.run('a')
      await started
      await first.stop()
      expect(reason).toMatchObject({ code: 'STOPPED' })
      expect(await settled).toMatchObject({ outcome: 'interrupted', state: 'queued', retryInMs: undefined })
      expect(await rowsOf('piko_run')).toMatchObject([{ state: 'queued', attempt: 0, node_id: null, error: null }])
      const second = await startApp(store.options, job)
      expect(await second.waitFor(run.id)).toMatchObject({ state: 'succeeded', attempt: 1, output: 'attempt 1' })
    })

    it('ends even when a handler ignores its signal and holds a resource; the next app takes over the run', async () => {
      let isClosed = false
      const db = defineResource({
        name: 'db',
        acquire: async function* () {
          yield 1
        },
        close: () => (isClosed = true),
      })
      let calls = 0
      const job = defineJob({ id: 'a', resources: { db } }, async () => {
        if (calls++ === 0) await new Promise(() => {})
        return 'done'
      })
      const first = await startApp(store.options, job, SHORT)
      const started = nextEvent(first, 'run.started')
      const run = await first.run('a')
      await started
      await first.stop()
      expect(isClosed).toBe(true)
      const second = await startApp(store.options, job)
      expect(await second.waitFor(run.id)).toMatchObject({ state: 'succeeded', attempt: 1, output: 'done' })
    })

    it('leaves no run running and counts none, among many runs', async () => {
      const job = defineJob({ id: 'a' }, () => new Promise((resolve) => setTimeout(resolve, 3)))
      const app = await startApp(store.options, job, { settings: { piko: { concurrency: 20 } } })
      const settled = recordEvents(app, 'run.settled')
      await Promise.all(Array.from({ length: 300 }, () => app.run('a')))
      await eventually(() => expect(settled.length).toBeGreaterThan(30))
      await app.stop()
      const rows = await rowsOf('piko_run')
      const kinds = new Set(rows.map(({ state, attempt }) => `${state} ${attempt}`))
      expect(kinds).toEqual(new Set(['succeeded 1', 'queued 0']))
    })

    it('lets a handler request another run while it finishes', async () => {
      const gate = new Gate()
      const app = await startApp(store.options, [
        defineJob({ id: 'first' }, async () => {
          await gate.pass()
          await app.run('next')
        }),
        defineJob({ id: 'next' }, () => {}),
      ])
      const started = nextEvent(app, 'run.started')
      await app.run('first')
      await started
      const stopping = app.stop()
      await eventually(async () => expect((await app.health()).checks['dispatcher']).toMatchObject({ ok: false }))
      gate.open()
      await stopping
      const states = (await rowsOf('piko_run')).map((row) => `${row.job_id} ${row.state}`)
      expect(states).toEqual(['first succeeded', 'next queued'])
    })

    it('rejects callers that wait for a run, and the run stays in the queue', async () => {
      const app = await startApp(
        store.options,
        defineJob({ id: 'a' }, () => {}),
      )
      const later = { runAt: new Date(Date.now() + 3_600_000), wait: true } as const
      const early = rejected(app.run('a', later))
      await eventually(async () => expect(await rowsOf('piko_run')).toHaveLength(1))
      // This run is not stored yet when the stop begins.
      const late = rejected(app.run('a', later))
      await app.stop()
      expect([(await early).code, (await late).code]).toEqual(['STOPPED', 'STOPPED'])
      expect((await rowsOf('piko_run')).map((row) => row.state)).toEqual(['queued', 'queued'])
    })

    it('hands over planning before its runs have ended', async () => {
      const gate = new Gate()
      const tick = defineJob({ id: 'tick', every: '200ms' }, () => {})
      const slow = defineJob({ id: 'slow' }, () => gate.pass())
      const settings = { piko: { shutdown_timeout: '600s', lease: '600s' } } as const
      const first = await startApp(store.options, [tick, slow], { settings })
      const started = nextEvent(first, 'run.started', ({ jobId }) => jobId === 'slow')
      await first.run('slow')
      await started
      const second = await startApp(store.options, [tick, slow])
      const ticks = recordEvents(second, 'runs.planned')
      const leads = nextEvent(second, 'leader.changed', ({ isLeader }) => isLeader)
      const stopping = first.stop()
      const stoppedAt = Date.now()
      await leads
      // The reason is not that the first app's drain time or lease had run out.
      expect(Date.now() - stoppedAt).toBeLessThan(120_000)
      await eventually(() => expect(ticks.length).toBeGreaterThanOrEqual(2))
      gate.open()
      await stopping
    })

    it('can be called twice, and is final', async () => {
      const app = await startApp(
        store.options,
        defineJob({ id: 'a' }, () => {}),
      )
      const stops = recordEvents(app, 'node.stopped')
      await Promise.all([app.stop(), app.stop()])
      await app.stop()
      expect(stops).toHaveLength(1)
      const refused = await Promise.all(
        [
          app.run('a'),
          app.waitFor(1),
          app.runs.show(1),
          app.runs.list(),
          app.jobs.list(),
          app.windows.list('a'),
          app.windows.summary('a'),
        ].map(rejected),
      )
      expect(new Set(refused.map((error) => error.code))).toEqual(new Set(['STOPPED']))
      expect((await rejected(app.start())).message).toBe('this app was stopped; create a new Piko to start again')
      expect(() => app.sql).toThrow('this app was stopped')
      expect(await app.health()).toMatchObject({ stopping: true })
    })
  })

  describe('start', () => {
    it('is required before any request', async () => {
      const app = makeApp(
        store.options,
        defineJob({ id: 'a' }, () => {}),
      )
      expect(await rejected(app.run('a'))).toMatchObject({
        code: 'STOPPED',
        message: 'this app is not started; call start() first',
      })
    })

    it('called twice starts once', async () => {
      const app = makeApp(
        store.options,
        defineJob({ id: 'a' }, () => {}),
      )
      await Promise.all([app.start(), app.start()])
      expect(await rowsOf('piko_node')).toHaveLength(1)
    })

    it('under way is awaited by a stop, which then closes everything', async () => {
      const app = makeApp(
        store.options,
        defineJob({ id: 'a' }, () => {}),
      )
      const starting = app.start()
      await app.stop()
      await starting
      expect((await rejected(app.run('a'))).code).toBe('STOPPED')
      expect(await rowsOf('piko_node')).toEqual([])
    })

    it('refuses to begin after a stop', async () => {
      const app = makeApp(
        store.options,
        defineJob({ id: 'a' }, () => {}),
      )
      await app.stop()
      expect((await rejected(app.start())).code).toBe('STOPPED')
    })

    it('leaves nothing open when it fails', async () => {
      const twice = makeApp(store.options, [defineJob({ id: 'a' }, () => {}), defineJob({ id: 'a' }, () => {})])
      expect((await rejected(twice.start())).code).toBe('JOB_DUPLICATE')
      await twice.stop()

      // The start fails after the node has its row.
      await database.sql.exec('ALTER TABLE piko_lock RENAME TO piko_lock_away')
      const late = makeApp(
        store.options,
        defineJob({ id: 'a' }, () => {}),
      )
      try {
        await expect(late.start()).rejects.toThrow('piko_lock')
      } finally {
        await database.sql.exec('ALTER TABLE piko_lock_away RENAME TO piko_lock')
      }
      expect(await rowsOf('piko_node')).toEqual([])
      expect((await rejected(late.run('a'))).code).toBe('STOPPED')
      await late.stop()
    })
  })

  describe('a process', () => {
    it.each([
      ['that ran a job', 'once'],
      ['whose start failed', 'fail'],
      ['whose handler ignores its signal', 'ignore'],
    ] as const)('ends by itself after the stop: %s', async (_, mode) => {
      const settings = testSettings(store.options, { piko: { shutdown_timeout: '500ms' } })
      const child = new WorkerProcess({ mode, settings })
      const { code, stderr } = await child.end()
      expect({ code, last: child.lines.at(-1), stderr }).toEqual({ code: 0, last: 'stopped', stderr: '' })
      expect(child.lines).toContain(mode === 'fail' ? 'failed JOB_DUPLICATE' : 'started')
    })
  })
})

describe('without its database', () => {
  it('a start fails and says what to check', async () => {
    const app = new Piko({
      jobs: defineJob({ id: 'a' }, () => {}),
      settings: testSettings({}, { mysql: { dsn: 'mysql://nobody:secret@127.0.0.1:1/none', connect_timeout: '1s' } }),
    })
    const error = await rejected(app.start())
    expect(error.code).toBe('DATABASE_UNREACHABLE')
    expect(error.message).not.toContain('secret')
    await app.stop()
  })

  it('a stop ends every loop and reports what failed', async () => {
    const { options, drop } = await createMysqlDatabase()
    const app = makeApp(
      { mysql: options },
      defineJob({ id: 'a' }, () => {}),
      { stopMayFail: true },
    )
    await app.start()
    await drop()
    await expect(app.stop()).rejects.toThrow()
    const { checks } = await app.health()
    for (const loop of ['heartbeat', 'recovery', 'dispatcher', 'leader', 'planner']) {
      expect(checks[loop]).toMatchObject({ ok: false, message: expect.stringMatching(/^stopped/) as string })
    }
  })
})
