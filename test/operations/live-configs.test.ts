import { hostname } from 'node:os'
import { beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../../src/job/define-job.ts'
import { ConfigWatcher } from '../../src/engine/node/config-watcher.ts'
import { LoopHealth } from '../../src/engine/loop/loop-health.ts'
import { Events } from '../../src/events.ts'
import { JobRegistry } from '../../src/job/registry.ts'
import type { Database } from '../../src/store/connection/database.ts'
import { type Store, storeOn } from '../../src/store/store.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { eventually, Gate, recordEvents, startApp } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'
import { rejected } from '../support/thrown.ts'

describeEachStore((fixture) => {
  let database: Database
  let store: Store

  beforeEach(async () => {
    database ??= await fixture.open()
    store ??= storeOn(database)
    await fixture.empty()
  })

  const schema = z.strictObject({ shop: z.string().default('eu'), pages: z.int().default(1) })
  const work = (handler: () => unknown = () => undefined) => defineJob({ id: 'work', config: schema }, handler)

  /** As a person does it, without Piko. */
  const insertByHand = async (version: number, config: string, jobId = 'work'): Promise<void> => {
    const { dialect, db } = database
    const instants = { effective_from: dialect.now(), created_at: dialect.now() }
    await db
      .insertInto('piko_job_config')
      .values({ job_id: jobId, version, config, ...instants })
      .execute()
  }

  describe('a config', () => {
    it('is acknowledged by each live node that runs the job, and by none that does not', async () => {
      const [app] = await Promise.all([startApp(fixture.options, work()), startApp(fixture.options, work())])
      const newer = defineJob({ id: 'work', config: z.strictObject({ shop: z.literal('us').default('us') }) }, () => {})
      await startApp(fixture.options, newer)
      await startApp(
        fixture.options,
        defineJob({ id: 'other' }, () => {}),
      )
      await startApp(fixture.options, work(), { execute: false })
      await app.configs.set('work', { shop: 'us' })
      await eventually(async () => {
        const { nodes } = (await app.configs.show('work'))!
        expect(nodes.map(({ version, refused }) => [version, refused])).toEqual(Array(3).fill([1, undefined]))
      })
      await app.configs.set('work', { shop: 'de' })
      await eventually(async () => {
        const { nodes, version } = (await app.configs.show('work'))!
        expect(version).toBe(2)
        expect(nodes.map((node) => node.version)).toEqual([2, 2, 1])
        expect(nodes[2]?.refused).toEqual({ version: 2, problem: expect.stringContaining('shop: ') as string })
      })
      await app.stop()
      const acks = await database.db.selectFrom('piko_config_ack').selectAll().execute()
      expect(acks.map(({ job_id, is_registered: is }) => [job_id, Number(is)]).sort()).toEqual([
        ['work', 0],
        ['work', 1],
        ['work', 1],
      ])
    })

    it('is recorded by its version with each run that used it', async () => {
      const app = await startApp(fixture.options, [
        work(),
        defineJob({ id: 'output' }, () => 7),
        defineJob({ id: 'fails', retry: { limit: 0 } }, () => Promise.reject(new Error('no'))),
        defineJob({ id: 'commits' }, (ctx) => ctx.commit(() => Promise.resolve(1))),
      ])
      const versionsOf = async (): Promise<unknown[]> => {
        const ids: number[] = []
        for (const id of ['work', 'output', 'fails', 'commits']) ids.push(...(await app.enqueueMany(id, [{}, {}])))
        for (const id of ids) await app.waitFor(id)
        return (await app.runs.list({ limit: 8 })).map(({ configVersion }) => configVersion).reverse()
      }
      expect(await versionsOf()).toEqual(Array(8).fill(undefined))
      await app.configs.set('work', {})
      await app.configs.set('work', { pages: 2 })
      expect(await versionsOf()).toEqual([2, 2, ...Array<undefined>(6).fill(undefined)])
      for (const id of ['output', 'fails', 'commits']) await app.configs.set(id, {})
      expect(await versionsOf()).toEqual([2, 2, 1, 1, 1, 1, 1, 1])
    })

    it('is watched: the one in force, then each other that takes effect and fits, until a signal or the stop', async () => {
      const [app, other] = [await startApp(fixture.options, work()), await startApp(fixture.options, work())]
      const seen: unknown[] = []
      const enough = new AbortController()
      const ended = (async () => {
        for await (const { version, config } of app.configs.watch('work', { signal: enough.signal }))
          seen.push([version, config])
      })()
      await eventually(() => expect(seen).toEqual([[0, { shop: 'eu', pages: 1 }]]))
      await other.configs.set('work', { pages: 2 })
      await eventually(() => expect(seen.at(-1)).toEqual([1, { shop: 'eu', pages: 2 }]))
      await insertByHand(2, '{"pages":"many"}')
      await other.configs.set('work', { shop: 'us' })
      await eventually(() => expect(seen.at(-1)).toEqual([3, { shop: 'us', pages: 1 }]))
      expect(seen).toHaveLength(3)
      enough.abort()
      await ended
      const untilTheStop = (async () => {
        for await (const { version } of app.configs.watch('work')) seen.push(version)
      })()
      await eventually(() => expect(seen.at(-1)).toBe(3))
      await app.stop()
      await untilTheStop
    })

    it('reaches a running handler, whose faults have no other effect', async () => {
      const gate = new Gate()
      const seen: unknown[] = []
      const app = await startApp(
        fixture.options,
        defineJob(
          { id: 'work', config: z.object({ shop: z.string().default('eu'), pages: z.int().max(9) }) },
          async (ctx) => {
            ctx.onConfigChange((config, version) => {
              seen.push([config, version])
              if (config.shop === 'throws') throw new Error('first')
              return Promise.reject(new Error('late'))
            })
            ctx.onConfigChange(() => seen.push('never'))()
            await gate.pass()
            return ctx.config
          },
        ),
      )
      await app.configs.set('work', { pages: 1 })
      const id = await app.enqueue('work', { config: { pages: 3 } })
      await eventually(async () => expect((await app.runs.show(id)).state).toBe('running'))
      await app.configs.set('work', { shop: 'throws', pages: 2 })
      await insertByHand(3, '{"pages":10}')
      await app.configs.set('work', { shop: 'de', pages: 2 })
      await eventually(() =>
        expect(seen).toEqual([
          [{ shop: 'throws', pages: 3 }, 2],
          [{ shop: 'de', pages: 3 }, 4],
        ]),
      )
      gate.open()
      expect(await app.waitFor(id)).toMatchObject({
        state: 'succeeded',
        output: { shop: 'eu', pages: 3 },
        configVersion: 4,
      })
      const lines = await app.runs.logs(id)
      expect(lines.map(({ level, message }) => [level, message])).toEqual(
        Array(2).fill(['error', 'the function given to ctx.onConfigChange failed; the run continues']),
      )
      await app.configs.set('work', { pages: 5 })
      expect(seen).toHaveLength(2)
    })

    it('that a person has written into the database is checked, and the last good one stays, also after a restart', async () => {
      const app = await startApp(fixture.options, work())
      await app.configs.set('work', { shop: 'us' })
      const refused = recordEvents(app, 'config.refused')
      await insertByHand(2, '{"shpo":"de"}')
      await insertByHand(3, '{"shop":')
      await eventually(() => expect(refused).toMatchObject([{ jobId: 'work', version: 2, inForce: 1 }]))
      expect(refused[0]?.error.message).toContain('did you mean "shop"?')
      expect(await app.configs.show('work')).toMatchObject({ version: 1, config: { shop: 'us' } })
      expect(await app.run('work', { wait: true })).toMatchObject({ configVersion: 1 })
      await app.stop()
      const again = await startApp(fixture.options, work())
      expect(await again.configs.show('work')).toMatchObject({ version: 1 })
      await insertByHand(4, '{"shop":"it"}')
      await eventually(async () => expect(await again.configs.show('work')).toMatchObject({ version: 4 }))
    })

    it('whose row is edited in place is read again, and what is in use stays if the edit is wrong', async () => {
      await startApp(fixture.options, work())
      await store.configs.save('work', { shop: 'us' })
      const clock = new ManualClock(new Date())
      const events = new Events()
      const told: unknown[] = []
      events.on('config.changed', ({ version }) => told.push(['changed', version]))
      events.on('config.refused', ({ version, inForce }) => told.push(['refused', version, inForce]))
      const watcher = new ConfigWatcher({
        host: 'host',
        ...{
          configs: store.configs,
          acks: undefined,
          nodeId: () => '',
          registry: JobRegistry.of([work()]),
          events,
          clock,
        },
        live: { pollIntervalMs: 1_000, apply: () => {} },
        tell: () => {},
        loops: new LoopHealth({ events, clock }),
      })
      const edit = async (config: string): Promise<unknown> => {
        await database.db.updateTable('piko_job_config').set({ config }).where('version', '=', 1).execute()
        clock.advance(10_000)
        await watcher.refresh()
        return watcher.inForce('work')?.config
      }
      await watcher.refresh()
      expect(await edit('{"shop":7}')).toEqual({ shop: 'us' })
      expect(await edit('{"shop":7}')).toEqual({ shop: 'us' })
      expect(await edit('{"shop":')).toEqual({ shop: 'us' })
      expect(await edit('{"shop":"it"}')).toEqual({ shop: 'it' })
      expect(told).toEqual([
        ['refused', 1, 1],
        ['changed', 1],
      ])
    })

    it('that is saved with keys that the schema leaves out names them', async () => {
      const loose = z.object({ shop: z.string().default('eu'), limits: z.object({ pages: z.int() }).optional() })
      const app = await startApp(fixture.options, [defineJob({ id: 'loose', config: loose }, () => {}), work()])
      expect((await app.configs.set('loose', { shpo: 'us', limits: { pages: 1, pagse: 2 } })).warnings).toEqual([
        'unknown key "shpo" is left out, did you mean "shop"?',
        'unknown key "limits.pagse" is left out, did you mean "pages"?',
      ])
      expect((await app.configs.set('loose', { shop: 'us' })).warnings).toEqual([])
      expect(await rejected(app.configs.set('work', { shpo: 'us' }))).toMatchObject({
        code: 'CONFIG_INVALID',
        message: expect.stringMatching(/"shpo".*did you mean "shop"\?/) as string,
      })
    })
  })

  describe('the live settings of nodes', () => {
    it('change slots, polls and the log level while runs wait, survive a restart, and are given back', async () => {
      const gate = new Gate()
      const app = await startApp(
        fixture.options,
        defineJob({ id: 'work' }, () => gate.pass()),
        {
          settings: { piko: { concurrency: 2 } },
        },
      )
      const ids = await app.enqueueMany(
        'work',
        Array.from({ length: 12 }, () => ({})),
      )
      const running = async (): Promise<number> => (await app.runs.list({ state: 'running' })).length
      await eventually(async () => expect(await running()).toBeGreaterThanOrEqual(2))
      // Another process, such as the command line.
      const other = await startApp(fixture.options, [], { execute: false })
      expect(await other.nodes.settings()).toEqual({ version: 0, settings: {}, effectiveFrom: undefined })
      await other.nodes.set({ concurrency: 7, log_level: 'fatal' })
      await eventually(async () => {
        expect(await app.metrics()).toMatchObject({
          body: expect.stringMatching(/^piko_slots(\{[^}]*\})? 7$/m) as string,
        })
        expect([app.log.level, other.log.level]).toEqual(['fatal', 'silent'])
        expect(app.runsUnderWay).toHaveLength(7)
        expect((await other.nodes.list()).map(({ settingsVersion }) => settingsVersion)).toEqual([1])
      })
      expect(await other.nodes.set({ poll_interval: '70ms' })).toMatchObject({
        ...{ version: 2, settings: { concurrency: 7, log_level: 'fatal', poll_interval: '70ms' } },
      })
      gate.open()
      for (const id of ids) await app.waitFor(id)
      await app.stop()
      const again = await startApp(fixture.options, work(), { settings: { piko: { concurrency: 2 } } })
      expect(again.log.level).toBe('fatal')
      await other.nodes.set({ log_level: null, concurrency: null })
      await eventually(() => expect(again.log.level).toBe('silent'))
      expect(await other.nodes.settings()).toMatchObject({ version: 3, settings: { poll_interval: '70ms' } })
    })

    it('can be those of one node or one host, over those of all; simultaneous changes keep each other', async () => {
      const [one, two] = [await startApp(fixture.options, work()), await startApp(fixture.options, work())]
      const [{ id = '' } = {}] = await one.nodes.list()
      await one.nodes.set({ log_level: 'error' })
      await one.nodes.set({ log_level: 'warn' }, { on: hostname() })
      await one.nodes.set({ log_level: 'fatal' }, { on: id })
      await eventually(async () => {
        expect([one.log.level, two.log.level]).toEqual(['fatal', 'warn'])
        const nodes = await two.nodes.list()
        expect(nodes.map(({ settingsVersion, ownSettingsVersion: own }) => [settingsVersion, own])).toEqual([
          [1, 1],
          [1, 1],
        ])
      })
      await one.nodes.set({ log_level: null }, { on: id })
      await eventually(() => expect(one.log.level).toBe('warn'))
      expect(await two.nodes.settings({ on: id })).toMatchObject({ version: 2, settings: {} })
      expect(await rejected(one.nodes.set({ log_level: 'debug' }, { on: `${hostname()}x` }))).toMatchObject({
        code: 'USAGE',
        message: expect.stringContaining(`did you mean "${hostname()}"?`) as string,
      })
      const changes = [{ concurrency: 3 }, { poll_interval: '30ms' }, { log_level: 'silent' }]
      await Promise.all(changes.map((change, index) => (index === 1 ? two : one).nodes.set(change)))
      expect((await one.nodes.settings()).settings).toEqual(Object.assign({}, ...changes))
    })

    it('are checked when they are set, and when a person has written them', async () => {
      const app = await startApp(fixture.options, work())
      const error = await rejected(app.nodes.set({ log_levle: 'debug', concurrency: 0, poll_interval: '5' } as object))
      expect(error).toMatchObject({ code: 'USAGE' })
      expect((error as Error).message).toMatch(
        /^app\.nodes\.set has 3 problems:\n {2}unknown setting "log_levle", did you mean "log_level"\?\n {2}concurrency is 0; expected a whole number from 1 to 100000\n {2}poll_interval is "5"; expected a duration/,
      )
      const refused = recordEvents(app, 'config.refused')
      await insertByHand(1, '{"concurrency":"many"}', '@node')
      await eventually(() => expect(refused).toMatchObject([{ jobId: '@node', version: 1, inForce: undefined }]))
      await app.nodes.set({ log_level: 'error' })
      await eventually(() => expect(app.log.level).toBe('error'))
    })
  })
})
