import { beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../../src/job/define-job.ts'
import { ConfigStore } from '../../src/store/jobs/config-store.ts'
import type { Database } from '../../src/store/connection/database.ts'
import { eventually, nextEvent, startApp } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'
import { rejected } from '../support/thrown.ts'

describeEachStore((store) => {
  let database: Database

  beforeEach(async () => {
    database ??= await store.open()
    await store.empty()
  })

  const job = () =>
    defineJob(
      { id: 'job', every: '1d', config: z.strictObject({ shop: z.string().default('eu'), pages: z.int().default(1) }) },
      (ctx) => ctx.config,
    )

  describe('app.configs', () => {
    it("overrides the schema's defaults, and is overridden by the run's own config", async () => {
      const app = await startApp(store.options, job())
      expect(await app.configs.show('job')).toBeUndefined()
      expect(await app.configs.set('job', { shop: 'us' })).toMatchObject({ version: 1, config: { shop: 'us' } })
      expect(await app.configs.show('job')).toMatchObject({ version: 1 })
      expect(await app.run('job', { wait: true })).toMatchObject({ output: { shop: 'us', pages: 1 } })
      const { output } = await app.run('job', { config: { pages: 2 }, wait: true })
      expect(output).toEqual({ shop: 'us', pages: 2 })
    })

    it('reaches another node', async () => {
      const app = await startApp(store.options, job())
      const other = await startApp(store.options, job())
      const changed = nextEvent(other, 'config.changed')
      await app.configs.set('job', { shop: 'us' })
      expect(await changed).toMatchObject({ jobId: 'job', version: 1 })
      expect(await other.configs.show('job')).toMatchObject({ config: { shop: 'us' } })
    })

    it('takes effect at its time', async () => {
      const app = await startApp(store.options, job())
      await app.configs.set('job', { shop: 'now' })
      await app.configs.set('job', { shop: 'later' }, { effectiveFrom: new Date(Date.now() + 3_600_000) })
      expect(await app.configs.show('job')).toMatchObject({ config: { shop: 'now' } })
      const effectiveFrom = new Date(Date.now() + 700)
      await app.configs.set('job', { shop: 'soon' }, { effectiveFrom })
      const shown = await app.configs.show('job')
      // On a busy machine, its time may already have come.
      if (Date.now() < effectiveFrom.getTime() - 5) expect(shown).toMatchObject({ config: { shop: 'now' } })
      await eventually(async () => expect(await app.configs.show('job')).toMatchObject({ config: { shop: 'soon' } }))
    })

    it('is rolled back by a new version, and the history stays', async () => {
      const app = await startApp(store.options, job())
      await app.configs.set('job', { shop: 'a' })
      await app.configs.set('job', { shop: 'b' })
      expect(await app.configs.rollback('job', 1)).toMatchObject({ version: 3, config: { shop: 'a' } })
      const history = await app.configs.history('job')
      expect(history.map(({ version, config }) => [version, config])).toEqual([
        [3, { shop: 'a' }],
        [2, { shop: 'b' }],
        [1, { shop: 'a' }],
      ])
      expect(await rejected(app.configs.rollback('job', 9))).toMatchObject({ code: 'CONFIG_UNKNOWN' })
    })

    it('refuses a config that the schema refuses, and saves nothing', async () => {
      const app = await startApp(store.options, job())
      expect(await rejected(app.configs.set('job', { shop: 1 }))).toMatchObject({ code: 'CONFIG_INVALID' })
      expect(await rejected(app.configs.set('other', {}))).toMatchObject({ code: 'JOB_UNKNOWN' })
      expect(await app.configs.history('job')).toEqual([])
    })

    it('names the version that newer code refuses', async () => {
      const old = await startApp(store.options, job())
      await old.configs.set('job', { shop: 'us' })
      await old.stop()
      // Only the newer code can execute the run.
      const asks = await startApp(store.options, job(), { execute: false })
      const { id } = await asks.run('job')
      const newer = defineJob({ id: 'job', every: '1d', config: z.strictObject({ store: z.string() }) }, () => {})
      const app = await startApp(store.options, newer)
      const run = await app.waitFor(id)
      expect(run).toMatchObject({ state: 'failed', attempt: 1, error: { code: 'CONFIG_INVALID' } })
      expect(run.error?.message).toContain('version 1')
    })

    it('keeps the last known config while its watcher crashes', async () => {
      const app = await startApp(store.options, job())
      await app.configs.set('job', { shop: 'us' })
      const watcher = (await app.tree()).children.find(({ name }) => name === 'config-watcher')
      const restarted = nextEvent(app, 'service.restarted', ({ service }) => service.endsWith('config-watcher'))
      watcher?.crash(new Error('on purpose'))
      expect(await app.run('job', { wait: true })).toMatchObject({ output: { shop: 'us' } })
      await restarted
      await app.configs.set('job', { shop: 'de' })
      expect(await app.run('job', { wait: true })).toMatchObject({ output: { shop: 'de' } })
    })
  })

  describe('ConfigStore', () => {
    it('gives two simultaneous saves two numbers, and reports both', async () => {
      await startApp(store.options, job())
      const configs = new ConfigStore(database)
      const before = await configs.state()
      const saved = await Promise.all(Array.from({ length: 8 }, (_, index) => configs.save('job', { pages: index })))
      expect(saved.map(({ version }) => version).sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
      expect((await configs.state()).mark).not.toBe(before.mark)
      expect((await configs.inForce()).versions.map(({ version }) => version)).toEqual([8])
    })

    // Ids are assigned before the commit, so the later id may appear first.
    it('reports a version that began before another one and committed after it', async () => {
      if (store.name === 'sqlite') return expect(true).toBe(true) // With only one writer at a time this order can't occur.
      const two = defineJob({ id: 'two', every: '1d' }, () => {})
      await startApp(store.options, [job(), two])
      const configs = new ConfigStore(database)
      let mark = ''
      await database.transaction(async (trx) => {
        await trx
          .insertInto('piko_job_config')
          .values({
            job_id: 'job',
            version: 1,
            config: '{}',
            effective_from: database.dialect.now(),
            created_at: database.dialect.now(),
          })
          .execute()
        await configs.save('two', {})
        mark = (await configs.state()).mark
      })
      expect((await configs.state()).mark).not.toBe(mark)
      expect((await configs.inForce()).versions.map(({ jobId }) => jobId).sort()).toEqual(['job', 'two'])
    })
  })
})
