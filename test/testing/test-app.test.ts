import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { expectEnqueued, ManualClock, startTestApp } from 'piko/testing'
import { defineJob } from 'piko'
import { expect, it } from 'vitest'
import { z } from 'zod'

const add = defineJob(
  { id: 'add', config: z.object({ a: z.number(), b: z.number().default(1) }) },
  ({ config }) => config.a + config.b,
)

it('a test app runs a job and leaves nothing behind', async () => {
  let folder: string
  {
    await using app = await startTestApp({ jobs: add })
    folder = dirname(app.storeLocation)
    expect(await app.run('add', { config: { a: 2 }, wait: true })).toMatchObject({
      state: 'succeeded',
      output: 3,
      attempt: 1,
    })
    expect(existsSync(folder)).toBe(true)
  }
  expect(existsSync(folder)).toBe(false)
})

it('a test app remembers the steps of a job', async () => {
  const calls: string[] = []
  const job = defineJob({ id: 'steps', retry: { limit: 1, base: '1ms' } }, async (ctx) => {
    const total = await ctx.step('count', () => calls.push('count'))
    if (ctx.attempt === 1) throw new Error('no')
    return total
  })
  await using app = await startTestApp({ jobs: job })
  expect(await app.run('steps', { wait: true })).toMatchObject({ output: 1, attempt: 2 })
  expect(calls).toEqual(['count'])
})

it('a manual clock ends only the sleeps that are over, the earliest first', async () => {
  const clock = new ManualClock('2026-03-01T00:00:00Z')
  const woken: string[] = []
  const abort = new AbortController()
  const sleeps = [
    clock.sleep(20).then(() => woken.push('b')),
    clock.sleep(10).then(() => woken.push('a')),
    clock.sleep(Infinity, abort.signal).then(() => woken.push('aborted')),
  ]
  clock.advance(9)
  expect(clock.sleeping).toBe(3)
  clock.advance(11)
  await Promise.all(sleeps.slice(0, 2))
  expect([woken, clock.now()]).toEqual([['a', 'b'], Date.parse('2026-03-01T00:00:00.020Z')])
  abort.abort()
  await sleeps[2]
  expect([woken, clock.sleeping]).toEqual([['a', 'b', 'aborted'], 0])
})

it('a test app drains, names what is left, and tells what was enqueued', async () => {
  const seen: unknown[] = []
  const ship = defineJob({ id: 'ship', input: z.object({ id: z.number() }) }, ({ input }) => void seen.push(input.id))
  const order = defineJob({ id: 'order' }, async () => {
    for (const id of [7, 8]) await app.enqueue(ship, { input: { id } })
  })
  const stuck = defineJob(
    { id: 'stuck' },
    ({ signal }) => new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve())),
  )
  await using app = await startTestApp({ jobs: [ship, order, stuck] })
  await app.enqueue(order)
  await app.drain()
  expect(seen.sort()).toEqual([7, 8])
  expect(await expectEnqueued(app, ship)).toHaveLength(2)
  expect(await expectEnqueued(app, 'ship', { input: { id: 7 }, count: 1 })).toMatchObject([{ state: 'succeeded' }])
  await expect(expectEnqueued(app, ship, { input: { id: 9 } })).rejects.toThrow(
    /expected at least 1 run of job "ship" with \{"input":\{"id":9\}\}, but 0 match\. Enqueued:\n.*"input":\{"id":8\}/,
  )
  await expect(expectEnqueued(app, 'shipp', { count: 2 })).rejects.toThrow(
    'expected 2 runs of job "shipp", but 0 match. This app has no such job; its jobs are ship, order, stuck. Enqueued:',
  )
  await expect(expectEnqueued(7 as never, ship)).rejects.toThrow('expectEnqueued got 7; expected the app')
  const id = await app.enqueue(stuck)
  await expect(app.drain({ within: '100ms' })).rejects.toThrow(`run ${id} of job "stuck" is running`)
  await app.runs.cancel(id)
  await app.drain()
  await expect(app.advance('1d')).rejects.toThrow('app.advance needs a clock')
})
