import { expect, it } from 'vitest'
import { z } from 'zod'
import type { Piko } from '../../src/app/piko.ts'
import { defineJob } from '../../src/job/define-job.ts'
import type { SharedDefinition } from '../../src/job/shared-value.ts'
import { defineShared } from '../../src/sync/index.ts'
import { eventually, recordEvents, startApp, testSettings } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'
import { rejected, thrown } from '../support/thrown.ts'
import { WorkerProcess } from '../support/worker-process.ts'

let topics = 0
/** A number that all nodes share, under a topic of its own. */
function aCounter(keep = 100): SharedDefinition<number> {
  return defineShared({ topic: `counter-${++topics}`, schema: z.number(), initial: 0, keep })
}

describeEachStore((store) => {
  const node = (jobs: Parameters<typeof startApp>[1] = []) => startApp(store.options, jobs)

  it('a value is published, changed, listed and rolled back, and a change that was published first is not missed', async () => {
    const Rates = defineShared({ topic: 'prices', schema: z.object({ eur: z.number() }), initial: { eur: 1 } })
    const app = await node()
    const prices = app.shared(Rates)
    expect([prices.topic, prices.value, prices.version]).toEqual(['prices', { eur: 1 }, 1])

    expect(await prices.publish({ eur: 2 }, { reason: 'sale' })).toBe(2)
    const soon = prices.changed()
    expect(await Promise.race([soon, new Promise((resolve) => setImmediate(resolve))])).toEqual({ eur: 2 })
    const next = prices.changed()
    expect(await prices.update(({ eur }) => ({ eur: eur * 10 }))).toBe(3)
    expect(await next).toEqual({ eur: 20 })
    expect(Object.isFrozen(prices.value)).toBe(true)

    expect(await prices.rollback(2)).toBe(4)
    expect(prices.value).toEqual({ eur: 2 })
    expect(await prices.rollback(1)).toBe(5)
    expect((await prices.history()).map(({ version, value, reason }) => [version, value, reason])).toEqual([
      [5, { eur: 1 }, 'rollback to version 1'],
      [4, { eur: 2 }, 'rollback to version 2'],
      [3, { eur: 20 }, undefined],
      [2, { eur: 2 }, 'sale'],
      [1, { eur: 1 }, 'initial value'],
    ])
    expect(await app.shared.list()).toMatchObject([{ topic: 'prices', version: 5, versions: 5 }])
    expect([await app.shared.list({ after: 'price' }), await app.shared.list({ after: 'prices' })]).toMatchObject([
      [{ topic: 'prices' }],
      [],
    ])
    const earlier = await app.shared.history('prices', { before: 4, limit: 2 })
    expect(earlier.map(({ version }) => version)).toEqual([3, 2])
    expect(await app.shared.show(Rates)).toMatchObject({
      version: 5,
      value: { eur: 1 },
      createdAt: expect.any(Date) as Date,
    })
    expect(await app.shared.publish('prices', { eur: 7 })).toBe(6)
    expect(await app.shared.rollback('prices', 3)).toBe(7)
    expect((await app.shared.history('prices', { limit: 1 }))[0]).toMatchObject({ version: 7, value: { eur: 20 } })
  })

  it('two nodes use the last of many publications of both, and never go back', async () => {
    const Counter = aCounter(20)
    const [one, two] = [await node(), await node()]
    const seen = new Map<Piko, number[]>([one, two].map((app) => [app, []]))
    const watching = [one, two].map(async (app) => {
      for await (const { version } of app.shared(Counter).watch()) {
        seen.get(app)?.push(version)
        if (version === 301) return
      }
    })
    // One that others have overtaken 16 times is refused, which on a busy machine happens: it is told to try again.
    const publish = async (app: Piko, value: number): Promise<unknown> =>
      app
        .shared(Counter)
        .publish(value)
        .catch((error: { code?: string }) => {
          if (error.code !== 'SHARED_CONTENDED') throw error
          return publish(app, value)
        })
    await Promise.all([
      ...Array.from({ length: 250 }, (_, index) => publish(one, index)),
      ...Array.from({ length: 50 }, (_, index) => publish(two, -index)),
    ])
    await Promise.all(watching)
    for (const versions of seen.values()) expect(versions).toEqual(versions.toSorted((a, b) => a - b))
    expect([one.shared(Counter).version, two.shared(Counter).version]).toEqual([301, 301])
    expect(one.shared(Counter).value).toBe(two.shared(Counter).value)
    await eventually(async () => {
      const [{ versions } = { versions: 0 }] = (await one.shared.list()).filter(({ topic }) => topic === Counter.topic)
      expect(versions).toBeLessThanOrEqual(30)
    })
  })

  it('updates of four nodes at the same time lose nothing', async () => {
    const Counter = aCounter()
    const nodes = await Promise.all([node(), node(), node(), node()])
    await Promise.all(
      nodes.flatMap((app) => Array.from({ length: 20 }, () => app.shared(Counter).update((value) => value + 1))),
    )
    for (const app of nodes) await app.shared(Counter).refresh()
    expect(nodes.map((app) => app.shared(Counter).value)).toEqual([80, 80, 80, 80])
  })

  it('a node whose schema refuses a version keeps the last good one, says so once, and is ready again after a good one', async () => {
    const topic = `strict-${++topics}`
    const Loose = defineShared({ topic, schema: z.object({ rate: z.number() }), initial: { rate: 1 } })
    const Strict = defineShared({ topic, schema: z.object({ rate: z.number().max(10) }), initial: { rate: 2 } })
    const [one, two] = [await node(), await node()]
    const refused = recordEvents(two, 'shared.refused')
    const strict = two.shared(Strict)
    await one.shared(Loose).publish({ rate: 5 })
    await eventually(() => expect(strict.value).toEqual({ rate: 5 }))
    await one.shared(Loose).publish({ rate: 50 })
    await eventually(() => expect(refused).toHaveLength(1))
    expect(refused[0]).toMatchObject({ topic, version: 3, inForce: 2, error: { code: 'SHARED_INVALID' } })
    for (let times = 0; times < 3; times++) await strict.refresh()
    expect([strict.value, strict.version, refused.length]).toEqual([{ rate: 5 }, 2, 1])
    const check = (await two.health()).checks['shared-values']
    expect(check).toMatchObject({
      ok: false,
      message: expect.stringMatching(/version 3 is refused: .*rate: /) as string,
    })
    const error = await rejected(strict.update(({ rate }) => ({ rate: rate + 1 })))
    expect([error.code, error.message]).toEqual(['SHARED_INVALID', expect.stringContaining('newest version 3')])
    expect(await strict.publish({ rate: 7 })).toBe(4)
    expect((await two.health()).checks['shared-values']).toEqual({ ok: true })
  })

  it('a process reads what was published before it started, hears of more, and is heard', async () => {
    const Rates = defineShared({ topic: 'rates', schema: z.object({ rate: z.number() }), initial: { rate: 1 } })
    const app = await node()
    const rates = app.shared(Rates)
    await rates.publish({ rate: 2 })
    const other = new WorkerProcess({ settings: testSettings(store.options), mode: 'watch' }, 'sync/node')
    await other.told('started 2 2')
    await rates.publish({ rate: 5 })
    await other.told('version 4 6')
    await eventually(() => expect(rates.value).toEqual({ rate: 6 }))
    expect(await app.shared.show(Rates)).toMatchObject({ version: 4, reason: 'answer' })
  })

  it('a handler reads the value without a wait, and its watch ends with the app', async () => {
    const Counter = aCounter()
    const first = await node()
    await first.shared(Counter).publish(41)
    const job = defineJob({ id: 'read' }, async (ctx) => {
      await ctx.shared(Counter).update((value) => value + 1)
      return ctx.shared(Counter).value
    })
    const app = await node(job)
    expect((await app.run(job, { wait: true })).output).toBe(42)
    const handle = app.shared(Counter)
    const [watched, waiting] = [handle.watch(), handle.changed()]
    expect((await watched.next()).value).toEqual({ value: 42, version: 3 })
    const end = watched.next()
    await Promise.all([
      app.stop(),
      expect(end).resolves.toEqual({ value: undefined, done: true }),
      expect(waiting).rejects.toMatchObject({ code: 'STOPPED' }),
    ])
  })

  it('names every problem of a value, and what else is wrong', async () => {
    const Pair = defineShared({
      topic: `pair-${++topics}`,
      schema: z.object({ a: z.number(), b: z.string() }),
      initial: { a: 1, b: '' },
    })
    const app = await node()
    const pair = app.shared(Pair)
    const wrong = await rejected(pair.publish({ a: 'x', b: 1 } as never))
    expect([wrong.code, wrong.details['problems']]).toEqual([
      'SHARED_INVALID',
      [expect.stringMatching(/^a: /), expect.stringMatching(/^b: /)],
    ])
    expect((await rejected(pair.publish({ a: NaN, b: 'x' }))).message).toMatch(
      /can't be stored as JSON: value\.a is NaN/,
    )
    const large = await rejected(pair.publish({ a: 1, b: 'x'.repeat(1_000_000) }))
    expect(large.message).toMatch(/too large: it is 10000\d\d bytes of JSON; at most 1000000 are stored/)
    expect(await rejected(pair.rollback(99))).toMatchObject({ code: 'SHARED_UNKNOWN' })
    expect(await rejected(app.shared.publish('nowhere', 1))).toMatchObject({ code: 'SHARED_UNKNOWN' })
    expect(await rejected(pair.update(3 as never))).toMatchObject({ code: 'USAGE' })
    await expect(pair.changed({ signal: AbortSignal.abort(new Error('left')) })).rejects.toThrow('left')
    expect(thrown(() => app.shared({} as never)).code).toBe('USAGE')
    expect(pair.version).toBe(1)
  })
})

it('a definition names all its problems', () => {
  const error = thrown(() => defineShared({ topic: 'a b', schema: 1, keep: 0, initail: 1 } as never))
  expect(error.code).toBe('SHARED_INVALID')
  for (const part of ['topic is "a b"', 'schema is 1', 'keep is 0', 'unknown option "initail"', 'initial'])
    expect(error.message).toContain(part)
  const misfit = thrown(() => defineShared({ topic: 'a', schema: z.number(), initial: 'x' as never }))
  expect(misfit).toMatchObject({ code: 'SHARED_INVALID', details: { problems: [expect.stringMatching(/^value: /)] } })
})
