import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it, onTestFinished } from 'vitest'
import type { Piko } from '../../../src/app/piko.ts'
import { defineCache } from '../../../src/cache/define-cache.ts'
import { store as inStore } from '../../../src/cache/levels.ts'
import { attached } from '../../../src/cli/process/attached.ts'
import { type Clock, systemClock } from '../../../src/clock.ts'
import { defineJob } from '../../../src/job/define-job.ts'
import { dial } from '../../../src/link/connect/dial.ts'
import { storeOn } from '../../../src/store/store.ts'
import { defineShared } from '../../../src/sync/define-shared.ts'
import { eventually, Gate, startApp, type AppOptions } from '../../support/app.ts'
import { describeEachStore } from '../../support/databases.ts'
import { z } from 'zod'

/** The polls that hints replace never come, so what happens was told by another node. */
const UNPOLLED = new Set(['cancellation', 'shared-values', 'config-watcher', 'dispatcher'])
const deaf: Clock = {
  ...systemClock,
  now: () => systemClock.now(),
  monotonic: () => systemClock.monotonic(),
  sleep: (ms, signal, who) => systemClock.sleep(who !== undefined && UNPOLLED.has(who) ? Infinity : ms, signal, who),
}
const BY_LINK = { piko: { doorbell: 'off' } } as const

describeEachStore((store) => {
  const apps: Piko[] = []
  afterEach(async () => {
    await Promise.all(apps.splice(0).map((app) => app.stop()))
    await store.empty()
  })
  const node = async (jobs: AppOptions & { jobs?: Parameters<typeof startApp>[1] } = {}): Promise<Piko> => {
    const { jobs: declared = [], settings = BY_LINK, ...options } = jobs
    const app = await startApp(store.options, declared, { clock: deaf, settings, ...options })
    apps.push(app)
    return app
  }
  const holding = () => {
    const began = Promise.withResolvers<void>()
    const job = defineJob({ id: 'holds' }, async ({ signal }) => {
      began.resolve()
      await new Gate().pass(signal)
    })
    return { job, began: began.promise }
  }

  describe('over a link', () => {
    it('a cancel reaches the node of the run, also from a process that executes nothing', async () => {
      const { job, began } = holding()
      const worker = await node({ jobs: [job] })
      const asks = await node({ jobs: [job], execute: false })
      const id = await worker.enqueue('holds')
      await began
      await asks.runs.cancel(id)
      expect(await worker.waitFor(id)).toMatchObject({ state: 'cancelled' })
    })

    it('new work reaches a node whose polls are far away', async () => {
      const begun: unknown[] = []
      const job = defineJob({ id: 'told' }, ({ input }) => void begun.push(input))
      await node({ jobs: [job] })
      const asks = await node({ jobs: [job], execute: false })
      for (let input = 0; input < 3; input++) {
        await asks.enqueue('told', { input })
        await eventually(() => expect(begun).toHaveLength(input + 1))
      }
    })

    it('the lines and the progress of a run elsewhere are followed, each once and in order, to its end', async () => {
      const gate = new Gate()
      const began = Promise.withResolvers<void>()
      const job = defineJob({ id: 'talks' }, async (ctx) => {
        began.resolve()
        await gate.pass()
        for (let line = 0; line < 300; line++) {
          ctx.log.info(`line ${line}`)
          if (line % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 10))
        }
        ctx.progress(3, 3)
        ctx.log.warn('the last')
      })
      const worker = await node({ jobs: [job] })
      const reader = await node({ jobs: [job], execute: false })
      const id = await worker.enqueue('talks')
      await began.promise
      const seen: string[] = []
      for await (const news of reader.runs.follow(id)) {
        if (news.kind === 'state' && news.state === 'running') gate.open()
        if (news.kind === 'line') seen.push(news.line.message)
        else seen.push(news.kind === 'state' ? news.state : `${news.progress.done} of ${news.progress.total}`)
      }
      const lines = seen.filter((text) => text.startsWith('line'))
      expect(lines).toEqual(Array.from({ length: 300 }, (_, line) => `line ${line}`))
      const others = seen.filter((text) => !text.startsWith('line'))
      expect([others[0], others.at(-1)]).toEqual(['running', 'succeeded'])
      // Lines and progress are stored by different batches.
      expect(others.slice(1, -1).sort()).toEqual(['3 of 3', 'the last'])
    })

    it('a config reaches all nodes, which acknowledge it, and so do the settings of nodes', async () => {
      const job = defineJob({ id: 'shop', config: z.object({ pages: z.int().default(1) }) }, () => {})
      const one = await node({ jobs: [job] })
      await node({ jobs: [job] })
      const asks = await node({ jobs: [job], execute: false })
      for (const [index, app] of [one, asks].entries()) {
        const { version } = await app.configs.set('shop', { pages: index })
        await eventually(async () => {
          const { nodes: using = [] } = (await one.configs.show('shop')) ?? {}
          expect(using.map((one) => one.version)).toEqual([version, version])
        })
      }
      await asks.nodes.set({ log_level: 'fatal' })
      await eventually(async () => {
        expect((await asks.nodes.list()).map(({ settingsVersion }) => settingsVersion)).toEqual([1, 1])
      })
    })

    it('a shared value and a changed key of a cache reach all nodes', async () => {
      const rates = defineShared({ topic: 'link_rates', schema: z.number(), initial: 1 })
      const cache = defineCache<number>({ name: 'link_cache', ttl: '1h', l1: { ttl: '1h' }, l2: inStore() })
      const nodes = [await node(), await node(), await node()]
      const [one] = nodes as [Piko]
      const handles = nodes.map((app) => app.shared(rates))
      await one.shared(rates).publish(2)
      await eventually(() => expect(handles.map(({ value }) => value)).toEqual([2, 2, 2]))
      const caches = nodes.map((app) => app.cache(cache))
      const values = () => Promise.all(caches.map((each) => each.get('eur')))
      await caches[0]!.set('eur', 1)
      expect(await values()).toEqual([1, 1, 1])
      await caches[1]!.set('eur', 2)
      await eventually(async () => expect(await values()).toEqual([2, 2, 2]))
      await caches[2]!.delete('eur')
      await eventually(async () => expect(await values()).toEqual([undefined, undefined, undefined]))
      await caches[0]!.set('usd', 3)
      expect(await caches[1]!.get('usd')).toBe(3)
      await caches[0]!.clear()
      await eventually(async () => expect(await caches[1]!.get('usd')).toBeUndefined())
    })
  })

  it('only a program that knows the secret of the row can connect', async () => {
    await node()
    const [row] = await storeOn(await store.open()).nodes.peers()
    const { link: url = '', linkKey: secret = '' } = row!
    expect(url).toMatch(/^piko:\/\/127\.0\.0\.1:\d+$/)
    await expect(dial({ url, secret: 'x'.repeat(32) })).rejects.toMatchObject({ code: 'LINK_DENIED' })
    await expect(dial({ url })).rejects.toMatchObject({ code: 'LINK_DENIED' })
    await using link = await dial({ url, secret })
    expect(link.state).toBe('up')
  })

  it('switched off, a node has no address; a cancel and the log arrive by polls', async () => {
    const { job, began } = holding()
    const off = { clock: systemClock, settings: { link: { listen: 'off' } } }
    const worker = await node({ jobs: [job], ...off })
    const asks = await node({ jobs: [job], execute: false, ...off })
    expect((await asks.nodes.list())[0]!.link).toBeUndefined()
    const id = await worker.enqueue('holds')
    await began
    await asks.runs.cancel(id)
    const states: string[] = []
    for await (const news of asks.runs.follow(id)) if (news.kind === 'state') states.push(news.state)
    expect(states.at(-1)).toBe('cancelled')
  })

  it('piko attach shows the services and sets the log level, over a socket of this user alone', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'piko-attach-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const path = join(folder, 'piko.sock')
    await node({ settings: { link: { attach: path } } })
    expect(statSync(path).mode & 0o777).toBe(0o600)
    const ask = (what: string, logLevel?: string) => attached(path, { what, logLevel, heap: undefined })
    expect(await ask('tree')).toContain('\n  heartbeat: running')
    expect(await ask('tasks')).toEqual(expect.any(Array))
    expect(await ask('handles')).toMatchObject({ active: expect.arrayContaining(['PipeWrap']) as string[] })
    expect(await ask('tree', 'debug')).toEqual({ before: 'silent', level: 'debug' })
    expect(await ask('tree', 'silent')).toEqual({ before: 'debug', level: 'silent' })
  })

  it('an address that other machines reach needs a secret and a certificate', async () => {
    await expect(node({ settings: { link: { listen: '0.0.0.0:0' } } })).rejects.toMatchObject({
      code: 'SETTINGS_INVALID',
      message: expect.stringContaining('tls_cert') as string,
    })
  })
})
