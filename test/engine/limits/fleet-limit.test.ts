import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { systemClock } from '../../../src/clock.ts'
import { FleetLimiter } from '../../../src/engine/limits/fleet-limiter.ts'
import { limiter } from '../../../src/data/index.ts'
import { defineJob } from '../../../src/job/define-job.ts'
import { storeOn } from '../../../src/store/store.ts'
import type { LimitOrder } from '../../fixtures/engine/limit-node.ts'
import { startApp, testSettings } from '../../support/app.ts'
import { CountingServer, fullestSpan } from '../../support/counting-server.ts'
import { describeEachStore, type TestStore } from '../../support/databases.ts'
import { cleanEnv, SOURCE_FLAGS } from '../../support/source-process.ts'
import { rejected } from '../../support/thrown.ts'

const NODE = fileURLToPath(new URL('../../fixtures/engine/limit-node.ts', import.meta.url))
const FOREVER = new AbortController().signal

const runNode = (order: LimitOrder): Promise<unknown> =>
  promisify(execFile)(process.execPath, [...SOURCE_FLAGS, NODE, JSON.stringify(order)], { env: cleanEnv() })

/** A limiter of one process, and how often it has asked the database. */
async function limiterOn(fixture: TestStore, name: string, rule: { limit: number; perMs: number; burst: number }) {
  const { rates } = storeOn(await fixture.open())
  const asked = { times: 0 }
  const fleet = new FleetLimiter(name, rule, {
    rates: {
      reserve: (...args) => {
        asked.times++
        return rates.reserve(...args)
      },
    },
    clock: systemClock,
    onFailure: (error) => expect(error).toBeUndefined(),
  })
  return { fleet, asked }
}

describeEachStore((fixture) => {
  it('keeps rates over two nodes with busy event loops, as the called server sees them', async () => {
    await fixture.open()
    await using server = await CountingServer.start()
    const limits = [
      { name: 'slow', rate: '5/s', takes: 15 },
      { name: 'quick', rate: '50/s', takes: 120 },
    ] as const
    const order = { settings: testSettings(fixture.options), port: server.port, limits }
    await Promise.all([400, 0].map((blockMs) => runNode({ ...order, blockMs })))
    await server.drain()
    for (const [name, most, takes] of [
      ['slow', 5, 30],
      ['quick', 50, 240],
    ] as const) {
      const hits = server.hits.filter(({ text }) => text.startsWith(name))
      // A node that stops gives back a run of the other, which then takes again.
      expect(hits.length).toBeGreaterThanOrEqual(takes)
      expect(fullestSpan(hits, 1_000)).toBeLessThanOrEqual(most)
      const begun = hits.map(({ text }) => Number(text.split(' ')[1])).map((at) => ({ since: at, at }))
      expect(fullestSpan(begun, 1_000)).toBeLessThanOrEqual(most)
    }
  })

  it('asks the database for many callers at once, also if they come one after the other', async () => {
    const { fleet, asked } = await limiterOn(fixture, 'many', { limit: 100_000, perMs: 1_000, burst: 100_000 })
    await Promise.all(Array.from({ length: 2_000 }, () => fleet.take(1, FOREVER)))
    expect(asked.times).toBeLessThan(100)
    asked.times = 0
    for (let take = 0; take < 2_000; take++) await fleet.take(1, FOREVER)
    expect(asked.times).toBeLessThan(500)
  })

  it('serves callers in order, lets one leave, and refuses more than its burst', async () => {
    const { fleet: slow } = await limiterOn(fixture, 'hourly', { limit: 4, perMs: 4 * 3_600_000, burst: 4 })
    expect(await slow.tryTake(3)).toBe(true)
    expect(await slow.tryTake(2)).toBe(false)
    const waiting = new AbortController()
    const first = slow.take(4, waiting.signal).catch(() => 'left')
    // One place is free, but somebody else waits.
    expect(await slow.tryTake(1)).toBe(false)
    waiting.abort()
    expect(await first).toBe('left')
    const { fleet } = await limiterOn(fixture, 'order', { limit: 4, perMs: 800, burst: 4 })
    await fleet.take(4, FOREVER)
    const ended: string[] = []
    const leaving = new AbortController()
    const take = (name: string, count: number, signal = FOREVER): Promise<void> =>
      fleet.take(count, signal).then(
        () => void ended.push(name),
        () => void ended.push(`${name} left`),
      )
    const all = [take('four', 4), take('gone', 4, leaving.signal), take('one', 1), take('two', 2)]
    leaving.abort()
    await Promise.all(all)
    expect(ended).toEqual(['gone left', 'four', 'one', 'two'])
    expect(await rejected(fleet.take(5, FOREVER))).toMatchObject({ code: 'USAGE', details: { burst: 4 } })
  })

  it('is a resource of a job too, and ends its waits with the run', async () => {
    const api = limiter('shared', '1/1h')
    const job = defineJob({ id: 'limited', timeout: '1s', resources: { api } }, async ({ resources, limit }) => {
      // Both are the same limit, whose only place the first takes.
      const taken = [await resources.api.tryTake(), await limit('shared', '1/1h').tryTake()]
      const wrong = await rejected(limit('', 'often' as '1/s', { burst: 0 }).take())
      expect(wrong.details['problems']).toHaveLength(3)
      if (taken[0] !== true || taken[1] !== false) throw new Error(`took ${taken.join()}`)
      await resources.api.take()
    })
    const app = await startApp(fixture.options, job)
    const error = await rejected(app.run('limited', { wait: true }))
    expect(error.message).toContain('took longer than its timeout')
  })
})
