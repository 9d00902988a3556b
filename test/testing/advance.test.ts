import { defineJob } from 'piko'
import { ManualClock, startTestApp } from 'piko/testing'
import { expect, it } from 'vitest'
import { describeEachStore } from '../support/databases.ts'
import { storeSettings } from '../support/app.ts'

const DAY_MS = 86_400_000

describeEachStore((store) => {
  it('an advance runs each tick and each retry at its time, and keeps the leases of the node', async () => {
    const clock = new ManualClock('2026-01-01T00:00:00Z')
    const seen: string[] = []
    const daily = defineJob(
      { id: 'daily', cron: '0 6 * * *', retry: { limit: 1, base: '10m', max: '10m', jitter: false } },
      ({ attempt, scheduledTime }) => {
        seen.push(`${new Date(clock.now()).toISOString()} ${attempt} ${scheduledTime.toISOString()}`)
        if (attempt === 1) throw new Error('the first attempt fails')
      },
    )
    await using app = await startTestApp({ jobs: daily, clock, settings: storeSettings(store.options) })
    const changes: string[] = []
    app.events.on('leader.changed', () => changes.push('leader'))
    app.events.on('node.lost', () => changes.push('node'))
    await app.advance('5d')
    await app.advance({ to: '2026-01-09T06:05:00Z' })
    expect(seen).toEqual(
      Array.from({ length: 9 }, (_, day) => {
        const tick = `2026-01-0${day + 1}T06:00:00.000Z`
        return [`${tick} 1 ${tick}`, `2026-01-0${day + 1}T06:10:00.000Z 2 ${tick}`]
      })
        .flat()
        .slice(0, 17),
    )
    const runs = await app.runs.list()
    expect(runs.map(({ state }) => state)).toEqual(['queued', ...Array<string>(8).fill('succeeded')])
    expect([runs[0]?.runAt.toISOString(), runs[1]?.finishedAt?.toISOString()]).toEqual([
      '2026-01-09T06:10:00.000Z',
      '2026-01-08T06:10:00.000Z',
    ])
    expect(changes).toEqual([])
    await expect(app.advance({ to: '2026-01-01' as never })).rejects.toThrow('app.advance: to is "2026-01-01"')
    await expect(app.advance(-1)).rejects.toThrow('app.advance got -1')
  })

  it('a handler that sleeps on the clock, waits in a step, holds a lock or runs too long, does so on the clock', async () => {
    const clock = new ManualClock('2026-02-01T00:00:00Z')
    const at = (): number => clock.now() - Date.parse('2026-02-01T00:00:00Z')
    const seen: unknown[] = []
    let looks = 0
    const sleeper = defineJob({ id: 'sleeper', concurrency: 1 }, async (ctx) => {
      await using lock = await ctx.lock('one', { ttl: '10s' })
      await clock.sleep(2 * DAY_MS, ctx.signal)
      seen.push(['slept', at(), (await app.locks.list()).length === 1 && !lock.lost.aborted])
    })
    const waiter = defineJob({ id: 'waiter' }, async (ctx) => {
      seen.push(['ready', await ctx.until('file', () => looks++ >= 3 && at(), { every: '1h' })])
    })
    const endless = defineJob({ id: 'endless', timeout: '90m' }, async (ctx) => {
      await clock.sleep(DAY_MS, ctx.signal)
      seen.push(['ended', at()])
      ctx.signal.throwIfAborted()
    })
    await using app = await startTestApp({
      jobs: [sleeper, waiter, endless],
      clock,
      settings: storeSettings(store.options),
    })
    await app.enqueueMany('sleeper', [{}, {}])
    await app.enqueue('waiter')
    const late = await app.enqueue('endless')
    await app.advance('5d')
    expect(seen.map((one) => JSON.stringify(one))).toEqual([
      `["ended",${90 * 60_000}]`,
      `["ready",${3 * 3_600_000}]`,
      `["slept",${2 * DAY_MS},true]`,
      `["slept",${4 * DAY_MS},true]`,
    ])
    expect((await app.runs.show(late)).error?.message).toContain('its timeout of 5400000 ms')
  })

  it('a stop ends runs that are sleeping on the clock, which nothing moves any more', async () => {
    const job = defineJob({ id: 'asleep' }, async ({ signal }) => {
      await clock.sleep(DAY_MS, signal)
      signal.throwIfAborted()
    })
    const clock = new ManualClock()
    const app = await startTestApp({ jobs: job, clock, settings: storeSettings(store.options) })
    const begun = new Promise((resolve) => app.events.on('run.started', resolve))
    const id = await app.enqueue(job)
    await begun
    await app.stop()
    await using next = await startTestApp({ jobs: job, clock, settings: storeSettings(store.options), execute: false })
    expect(await next.runs.show(id)).toMatchObject({ state: 'queued', attempt: 0 })
  })

  it('an app whose lease ends on the clock loses its runs to another app on that clock', async () => {
    const clock = new ManualClock('2026-03-01T00:00:00Z')
    const job = defineJob({ id: 'moved' }, () => 'done')
    const settings = storeSettings(store.options)
    await using app = await startTestApp({ jobs: job, clock, settings, plan: false })
    await using other = await startTestApp({ jobs: [], clock, settings, plan: false })
    const id = await app.enqueue('moved', { runAt: new Date(clock.now() + DAY_MS) })
    // As a process that was killed: its row stays, and nobody renews it.
    const dead = 'dead-node'
    const now = new Date(clock.now() + 15_000)
    const text = store.name === 'mysql' ? now : now.toISOString()
    await app.sql.exec(
      "INSERT INTO piko_node (id, host, pid, started_at, heartbeat_at, expires_at) VALUES (?, 'elsewhere', 1, ?, ?, ?)",
      [dead, text, text, text],
    )
    await app.sql.exec(
      "UPDATE piko_run SET state = 'running', node_id = ?, claims = claims + 1, attempt = 1 WHERE id = ?",
      [dead, id],
    )
    await app.advance('10s')
    expect((await app.runs.show(id)).nodeId).toBe(dead)
    await other.advance('6s')
    expect(await app.runs.show(id)).toMatchObject({ state: 'queued', nodeId: undefined })
    await app.advance('1d')
    expect(await app.runs.show(id)).toMatchObject({ state: 'succeeded' })
    expect((await app.nodes.list()).map(({ isLive }) => isLive)).toEqual([true, true])
  })
})
