import { randomUUID } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { hostname } from 'node:os'
import { afterEach, describe, expect, it, onTestFinished } from 'vitest'
import type { Piko } from '../../src/app/piko.ts'
import { defineJob } from '../../src/job/define-job.ts'
import type { NodeStore } from '../../src/store/nodes/node-store.ts'
import { storeOn } from '../../src/store/store.ts'
import { eventually, Gate, nextEvent, startApp } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'

/** Too long for any test, so a run that begins was notified. */
const NO_POLL = { poll_interval: '1m' } as const

/** A node that only listens. */
class Neighbour {
  rings = 0
  readonly #socket = createSocket('udp4').on('message', () => (this.rings += 1))

  async register(nodes: NodeStore): Promise<void> {
    onTestFinished(() => void this.#socket.close())
    this.#socket.bind({ address: '127.0.0.1', port: 0 })
    await once(this.#socket, 'listening')
    const doorbell = `127.0.0.1:${this.#socket.address().port}`
    await nodes.register({ id: randomUUID(), host: hostname(), pid: process.ppid, doorbell }, 60_000)
  }
}

describeEachStore((store) => {
  const apps: Piko[] = []
  afterEach(async () => {
    await Promise.all(apps.splice(0).map((app) => app.stop()))
  })
  const start = async (...args: Parameters<typeof startApp>): Promise<Piko> => {
    const app = await startApp(...args)
    apps.push(app)
    return app
  }

  describe('a run with a free slot on its own node', () => {
    it('is stored as claimed, and its handler sees the values that the row would return', async () => {
      await store.empty()
      const seen: unknown[] = []
      const job = defineJob({ id: 'own' }, ({ input, attempt, fence, runId }) => {
        seen.push([input, attempt, fence === runId * 65_536 + 1])
      })
      const app = await start(store.options, job, { settings: { piko: NO_POLL } })
      await eventually(async () => expect((await app.tree()).isRunning).toBe(true))
      const input = { at: new Date(0), left: undefined, list: [1] }
      const run = await app.run('own', { input, wait: true })
      input.list.push(2)
      expect(seen).toEqual([[{ at: '1970-01-01T00:00:00.000Z', list: [1] }, 1, true]])
      expect(run).toMatchObject({ state: 'succeeded', attempt: 1, input: seen[0] && (seen[0] as unknown[])[0] })
      expect(run.startedAt).toBeInstanceOf(Date)
    })

    it('does not overtake waiting runs', async () => {
      await store.empty()
      const order: unknown[] = []
      const gate = new Gate()
      const job = defineJob({ id: 'own' }, async ({ input }) => {
        order.push(input)
        await gate.pass()
      })
      const app = await start(store.options, job, { settings: { piko: { ...NO_POLL, concurrency: 1 } } })
      const first = await app.enqueue('own', { input: 1 })
      const ids = [first, await app.enqueue('own', { input: 2 }), await app.enqueue('own', { input: 3, priority: 1 })]
      ids.push(await app.enqueue('own', { input: 4 }))
      gate.open()
      for (const id of ids) await app.waitFor(id)
      expect(order).toEqual([1, 2, 4, 3])
    })
  })

  it('is found after runs that did not queue took the slots during a look', async () => {
    await store.empty()
    const gate = new Gate()
    const job = defineJob({ id: 'job' }, ({ input }) => (input === 'hold' ? gate.pass() : undefined))
    const app = await start(store.options, job, { settings: { piko: { poll_interval: '20ms', concurrency: 1 } } })
    // The time that the scenario needs: looks that find an empty queue, then looks without a free slot.
    const looks = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 200))
    await looks()
    const began = nextEvent(app, 'run.started')
    const held = await app.enqueue('job', { input: 'hold' })
    await began
    const runs = storeOn(await store.open()).runs
    await looks()
    const [stranger] = await runs.enqueue([{ jobId: 'job', kind: 'manual', priority: 0 }])
    gate.open()
    await app.waitFor(held)
    await eventually(async () => expect((await runs.find(stranger!))?.state).toBe('succeeded'))
  })

  it('that waits for a long handler returns to the queue for another node', async () => {
    await store.empty()
    const gate = new Gate()
    const by: unknown[] = []
    const jobs = (node: string) => [
      defineJob({ id: 'short' }, () => {}),
      defineJob({ id: 'mixed' }, async ({ input }) => {
        by.push([node, input])
        if (input === 'long') await gate.pass()
      }),
    ]
    const settings = { piko: { concurrency: 1 } }
    const one = await start(store.options, jobs('one'), { settings })
    for (let count = 0; count < 5; count++) await one.run('short', { wait: true })
    const long = await one.enqueue('mixed', { input: 'long' })
    const next = await one.enqueue('mixed', { input: 'next' })
    await eventually(async () => expect((await one.runs.show(next)).state).toBe('running'))
    expect(by).toEqual([['one', 'long']])
    const two = await start(store.options, jobs('two'), { settings })
    expect(await two.waitFor(next)).toMatchObject({ state: 'succeeded', attempt: 1 })
    expect(by).toEqual([
      ['one', 'long'],
      ['two', 'next'],
    ])
    gate.open()
    expect(await one.waitFor(long)).toMatchObject({ state: 'succeeded' })
  })

  it('of another process is notified long before the next poll', async () => {
    await store.empty()
    const begun: unknown[] = []
    const job = defineJob({ id: 'rung' }, ({ input }) => void begun.push(input))
    const asks = await start(store.options, job, { execute: false, settings: { piko: NO_POLL } })
    await start(store.options, job, { settings: { piko: NO_POLL } })
    for (let input = 0; input < 3; input++) {
      await asks.enqueue('rung', { input })
      await eventually(() => expect(begun).toHaveLength(input + 1))
    }
    expect(begun).toEqual([0, 1, 2])
  })

  it('of a replay or a backfill notifies other nodes too', async () => {
    await store.empty()
    const gate = new Gate()
    const windows = { start: '2026-01-01T00:00:00Z', end: '2026-01-01T03:00:00Z', catchUp: 'none' } as const
    const jobs = [
      defineJob({ id: 'hold' }, () => gate.pass()),
      defineJob({ id: 'hourly', cron: '0 * * * *', timezone: 'UTC', windows }, () => {}),
      defineJob({ id: 'fails', retry: { limit: 0 } }, () => {
        throw new Error('as ever')
      }),
    ]
    const other = new Neighbour()
    await other.register(storeOn(await store.open()).nodes)
    const leads = await start(store.options, jobs, { settings: { piko: { concurrency: 1 } } })
    await eventually(() => expect(leads.leader.isLeader).toBe(true))
    const failed = await leads.enqueue('fails')
    await leads.waitFor(failed)
    const isHeld = nextEvent(leads, 'run.started', ({ jobId }) => jobId === 'hold')
    const held = await leads.enqueue('hold')
    await isHeld
    expect(other.rings).toBe(0)
    await leads.runs.replay({ ids: [failed] })
    await eventually(() => expect(other.rings).toBe(1))
    await leads.backfills.create('hourly', { from: windows.start, to: windows.end })
    await eventually(() => expect(other.rings).toBe(2))
    gate.open()
    await leads.waitFor(held)
  })

  it('of awaited windows notifies other nodes too', async () => {
    await store.empty()
    const windows = { start: '2026-01-01T00:00:00Z', end: '2026-01-01T03:00:00Z', catchUp: 'none' } as const
    const hourly = { cron: '0 * * * *', timezone: 'UTC', windows } as const
    const jobs = [
      defineJob({ id: 'up', ...hourly }, () => {}),
      defineJob({ id: 'down', ...hourly, dependsOn: ['up'] }, () => {}),
    ]
    const other = new Neighbour()
    await other.register(storeOn(await store.open()).nodes)
    const leads = await start(store.options, jobs, { settings: { piko: { concurrency: 1 } } })
    await eventually(() => expect(leads.leader.isLeader).toBe(true))
    const filled = async (jobId: string): Promise<void> => {
      const isFilled = nextEvent(leads, 'backfill.changed', ({ state }) => state === 'succeeded')
      await leads.backfills.create(jobId, { from: windows.start, to: windows.end })
      await isFilled
    }
    await filled('up')
    await eventually(() => expect(other.rings).toBe(1))
    // All three windows wait, and get their runs at the same time.
    await filled('down')
    await eventually(() => expect(other.rings).toBe(2))
  })

  it('is found by polling if the doorbell is off', async () => {
    await store.empty()
    const job = defineJob({ id: 'polled' }, () => 'done')
    const piko = { doorbell: 'off', poll_interval: '50ms' }
    const asks = await start(store.options, job, { execute: false, settings: { piko } })
    await start(store.options, job, { settings: { piko } })
    expect(await asks.run('polled', { wait: true })).toMatchObject({ state: 'succeeded' })
    expect(await asks.sql.query('SELECT doorbell FROM piko_node')).toEqual([{ doorbell: null }])
  })
})
