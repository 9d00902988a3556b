import { AsyncLocalStorage } from 'node:async_hooks'
import { describe, expect, it } from 'vitest'
import { pool } from '../../src/async/pool.ts'
import { Gate, Headcount } from '../support/app.ts'
import { turns } from '../support/turns.ts'
import { rejected, thrown } from '../support/thrown.ts'

describe('pool', () => {
  it('never runs more calls than allowed, even if some fail and others are aborted', async () => {
    const three = pool(3)
    const inside = new Headcount()
    const controller = new AbortController()
    const calls = Array.from({ length: 60 }, (_, index) =>
      three.add(
        async () => {
          inside.enter()
          await turns(1 + (index % 3))
          // Some ignore that their signal has aborted.
          if (index === 5) controller.abort(new Error('stopped'))
          await turns(2)
          inside.leave()
          if (index % 7 === 0) throw new Error(`no ${index}`)
          return index
        },
        index % 2 === 0 ? { signal: controller.signal } : {},
      ),
    )
    const ends = await Promise.allSettled(calls)
    expect([inside.most, inside.current, three.running, three.size]).toEqual([3, 0, 0, 0])
    const reasons = ends.flatMap((end) => (end.status === 'rejected' ? [(end.reason as Error).message] : []))
    expect(reasons.filter((message) => message === 'stopped').length).toBeGreaterThan(20)
    expect(ends[1]).toEqual({ status: 'fulfilled', value: 1 })
    expect(ends[49]).toMatchObject({ reason: { message: 'no 49' } })
  })

  it('begins calls in the order of their priority, then of their arrival', async () => {
    const one = pool(1)
    const gate = new Gate()
    const order: string[] = []
    const note = (name: string) => () => void order.push(name)
    void one.add(() => gate.pass())
    for (const [name, priority] of [
      ['c', 5],
      ['b', 0],
      ['a', -1],
      ['d', 5],
      ['b2', undefined],
    ] as const)
      void one.add(note(name), priority === undefined ? {} : { priority })
    expect(one.size).toBe(5)
    gate.open()
    await one.idle()
    expect(order).toEqual(['a', 'b', 'b2', 'c', 'd'])
  })

  it('begins nothing while it is paused', async () => {
    const two = pool(2)
    const done: number[] = []
    two.pause()
    const calls = [1, 2, 3].map((value) => two.add(() => void done.push(value)))
    await turns(3)
    expect([done, two.size, two.isPaused]).toEqual([[], 3, true])
    let isIdle = false
    const idle = two.idle().then(() => (isIdle = true))
    await turns(2)
    expect(isIdle).toBe(false)
    two.resume()
    await Promise.all([...calls, idle])
    expect(done).toEqual([1, 2, 3])
    await two.idle()
  })

  it('takes a waiting call out of the queue when its signal aborts, and becomes idle', async () => {
    const one = pool(1)
    const gate = new Gate()
    const controller = new AbortController()
    const reason = new Error('stopped')
    const running = one.add(() => gate.pass())
    let calls = 0
    const waiting = one.add(() => calls++, { signal: controller.signal, priority: 7 })
    controller.abort(reason)
    await expect(waiting).rejects.toBe(reason)
    expect([one.size, calls]).toEqual([0, 0])
    gate.open()
    await running
    await one.idle()
    await expect(one.add(() => calls++, { signal: controller.signal })).rejects.toBe(reason)

    one.pause()
    const second = new AbortController()
    const left = one.add(() => calls++, { signal: second.signal })
    const idle = one.idle()
    second.abort(reason)
    await expect(left).rejects.toBe(reason)
    await idle
    expect(calls).toBe(0)
  })

  it('calls a function in the async context of its caller', async () => {
    const context = new AsyncLocalStorage<string>()
    const one = pool(1)
    const seen: (string | undefined)[] = []
    const calls = ['a', 'b'].map((name) =>
      context.run(name, () =>
        one.add(async () => {
          await turns(1)
          seen.push(context.getStore())
        }),
      ),
    )
    await Promise.all(calls)
    expect(seen).toEqual(['a', 'b'])
  })

  it('refuses wrong arguments', async () => {
    for (const concurrency of [0, -1, 1.5, NaN, '2', undefined])
      expect(thrown(() => pool(concurrency as never)).message).toContain('pool: concurrency is ')
    const error = await rejected(pool(1).add(5 as never, { priority: 0.5, prio: 1 } as never))
    for (const part of ['fn is 5', 'priority is 0.5', 'unknown option "prio"']) expect(error.message).toContain(part)
  })
})
