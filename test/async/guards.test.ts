import { describe, expect, it } from 'vitest'
import { Breaker, breaker } from '../../src/async/breaker.ts'
import { bulkhead } from '../../src/async/bulkhead.ts'
import { single } from '../../src/async/single.ts'
import { retryTimingOf } from '../../src/run/retry-errors.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { Gate } from '../support/app.ts'
import { turns } from '../support/turns.ts'
import { rejected, thrown } from '../support/thrown.ts'

const fails = (): Promise<never> => Promise.reject(new Error('503'))

describe('breaker', () => {
  const make = (failIf?: (error: Error) => boolean) => {
    const clock = new ManualClock()
    return { clock, guard: new Breaker(3, 1_000, failIf, clock) }
  }

  it('opens after the given failures in a row, and says when a retry may come', async () => {
    const { clock, guard } = make()
    for (let count = 0; count < 2; count++) await expect(guard.run(fails)).rejects.toThrow('503')
    expect(await guard.run(() => 'ok')).toBe('ok')
    for (let count = 0; count < 3; count++) await expect(guard.run(fails)).rejects.toThrow('503')
    expect(guard.state).toBe('open')
    clock.advance(400)
    let calls = 0
    const refusal = await rejected(guard.run(() => calls++))
    expect(refusal).toMatchObject({
      code: 'BREAKER_OPEN',
      message: 'the breaker is open for another 600ms, because calls failed: Error: 503',
      details: { retryInMs: 600 },
    })
    expect(retryTimingOf(refusal)).toEqual({ afterMs: 600 })
    expect(calls).toBe(0)
  })

  it('lets one trial through after the cooldown: success closes it, failure opens it again', async () => {
    const { clock, guard } = make()
    for (let count = 0; count < 3; count++) await expect(guard.run(fails)).rejects.toThrow('503')
    clock.advance(1_000)
    expect(guard.state).toBe('trial')
    await expect(guard.run(fails)).rejects.toThrow('503')
    expect(guard.state).toBe('open')
    clock.advance(1_000)
    const gate = new Gate()
    const trial = guard.run(() => gate.pass())
    expect((await rejected(guard.run(() => 1))).code).toBe('BREAKER_OPEN')
    gate.open()
    await trial
    expect(guard.state).toBe('closed')
    // It counts from the beginning.
    for (let count = 0; count < 2; count++) await expect(guard.run(fails)).rejects.toThrow('503')
    expect(guard.state).toBe('closed')
  })

  it('ignores what calls say that began before it opened, and gives up a trial that never ends', async () => {
    const { clock, guard } = make()
    const [good, bad] = [new Gate(), new Gate()]
    const early = guard.run(() => good.pass())
    const late = guard.run(() => bad.pass().then(fails))
    for (let count = 0; count < 3; count++) await expect(guard.run(fails)).rejects.toThrow('503')
    good.open()
    await early
    expect(guard.state).toBe('open')
    clock.advance(1_000)
    void guard.run(() => new Promise(() => {}))
    await turns(1)
    expect(guard.state).toBe('open')
    clock.advance(1_000)
    expect(await guard.run(() => 'alive')).toBe('alive')
    bad.open()
    await expect(late).rejects.toThrow('503')
    expect(guard.state).toBe('closed')
  })

  it('counts neither an aborted call nor an error that failIf lets pass', async () => {
    const { clock, guard } = make((error) => error.message !== '404')
    const missing = (): Promise<never> => Promise.reject(new Error('404'))
    for (let count = 0; count < 5; count++) await expect(guard.run(missing)).rejects.toThrow('404')
    for (let count = 0; count < 5; count++) {
      const controller = new AbortController()
      const aborting = (): Promise<never> => {
        controller.abort()
        return fails()
      }
      await expect(guard.run(aborting, { signal: controller.signal })).rejects.toThrow('503')
      await expect(guard.run(() => 1, { signal: controller.signal })).rejects.toThrow('aborted')
    }
    expect(guard.state).toBe('closed')
    for (let count = 0; count < 3; count++) await expect(guard.run(fails)).rejects.toThrow('503')
    clock.advance(1_000)
    const controller = new AbortController()
    const trial = guard.run(() => (controller.abort(), fails()), { signal: controller.signal })
    await expect(trial).rejects.toThrow('503')
    // The aborted trial said nothing.
    expect(guard.state).toBe('trial')
    await expect(guard.run(missing)).rejects.toThrow('404')
    expect(guard.state).toBe('closed')
  })

  it('refuses wrong options', async () => {
    const error = thrown(() => breaker({ failures: 0, cooldown: '0s', failIf: 1, failure: 1 } as never))
    for (const part of [
      'failures is 0',
      'cooldown is "0s"',
      'failIf is 1',
      'unknown option "failure", did you mean "failures"?',
    ])
      expect(error.message).toContain(part)
    expect(thrown(() => breaker(undefined as never)).message).toContain("such as { failures: 5, cooldown: '30s' }")
    expect((await rejected(breaker({ failures: 1, cooldown: '1s' }).run(1 as never))).message).toContain('fn is 1')
  })
})

describe('bulkhead', () => {
  it('runs and queues calls up to its limits, and refuses the others', async () => {
    const guard = bulkhead(2, { queue: 1 })
    const gate = new Gate()
    const calls = [1, 2, 3].map((value) => guard.run(() => gate.pass().then(() => value)))
    await turns(1)
    expect([guard.running, guard.waiting]).toEqual([2, 1])
    expect(await rejected(guard.run(() => 4))).toMatchObject({
      code: 'BULKHEAD_FULL',
      message: 'the bulkhead is full: 2 calls are running, 1 is waiting',
      details: { concurrency: 2, queue: 1 },
    })
    gate.open()
    expect(await Promise.all(calls)).toEqual([1, 2, 3])
    expect(await guard.run(() => 4)).toBe(4)
    expect(guard.running).toBe(0)
  })

  it('keeps its place until the call has ended, and frees that of a waiting call that leaves', async () => {
    const guard = bulkhead(1, { queue: 1 })
    const gate = new Gate()
    const controller = new AbortController()
    const reason = new Error('stopped')
    const running = guard.run(() => gate.pass(), { signal: controller.signal })
    const waiting = guard.run(() => 1, { signal: controller.signal })
    await turns(1)
    controller.abort(reason)
    await expect(waiting).rejects.toBe(reason)
    expect([guard.running, guard.waiting]).toEqual([1, 0])
    gate.open()
    await running
    const throwing = (): never => {
      throw new Error('at once')
    }
    await expect(guard.run(throwing)).rejects.toThrow('at once')
    expect(guard.running).toBe(0)
  })

  it('refuses wrong options', async () => {
    expect(thrown(() => bulkhead(0, { queue: -1 })).message).toMatch(/concurrency is 0[^]*queue is -1/)
    expect((await rejected(bulkhead(1).run(undefined as never))).message).toContain('fn is undefined')
  })
})

describe('single', () => {
  it('lets concurrent callers with the same key share one call, its result or its error', async () => {
    let calls = 0
    const load = single(async (id: string) => {
      calls++
      await turns(1)
      if (id === 'bad') throw new Error(`no ${id}`)
      return `${id} ${calls}`
    })
    expect(await Promise.all([load('a'), load('a'), load('b')])).toEqual(['a 2', 'a 2', 'b 2'])
    expect(await load('a')).toBe('a 3')
    const failed = await Promise.allSettled([load('bad'), load('bad')])
    expect(failed).toMatchObject([{ reason: { message: 'no bad' } }, { reason: { message: 'no bad' } }])
    expect(calls).toBe(4)
    const byName = single(({ name }: { name: string }) => `${name} ${++calls}`, { key: ({ name }) => name })
    expect(await Promise.all([byName({ name: 'x' }), byName({ name: 'x' })])).toEqual(['x 5', 'x 5'])
    const alone = single(() => ++calls)
    expect(await Promise.all([alone(), alone()])).toEqual([6, 6])
  })

  it('keeps a result for its time, never an error, and no more than max', async () => {
    let calls = 0
    const load = single(
      (id: number) => {
        calls++
        if (id < 0) throw new Error('failed')
        return id
      },
      { ttl: '1h', max: 2 },
    )
    for (const id of [1, 1, 2, 1, 3, 2]) expect(await load(id)).toBe(id)
    expect(calls).toBe(3)
    await load(1)
    expect(calls).toBe(4)
    for (let count = 0; count < 2; count++) await expect(load(-1)).rejects.toThrow('failed')
    expect(calls).toBe(6)
    const short = single(() => ++calls, { ttl: '1ms' })
    const first = await short()
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(await short()).toBe(first + 1)
  })

  it('lets one caller leave, and aborts the call when all have left', async () => {
    const signals: AbortSignal[] = []
    const gates: Gate[] = []
    const load = single((_id: string, signal) => {
      signals.push(signal)
      const gate = new Gate()
      gates.push(gate)
      return gate.pass(signal)
    })
    const [one, other] = [new AbortController(), new AbortController()]
    const [leaving, staying] = [load('a', { signal: one.signal }), load('a', { signal: other.signal })]
    await turns(1)
    one.abort(new Error('one left'))
    await expect(leaving).rejects.toThrow('one left')
    expect(signals[0]?.aborted).toBe(false)
    other.abort(new Error('other left'))
    await expect(staying).rejects.toThrow('other left')
    expect(signals[0]?.aborted).toBe(true)
    const next = load('a')
    await turns(1)
    gates[1]?.open()
    await next
    // A result may still be read with its signal, such as a body.
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false])
  })

  it('refuses wrong options', async () => {
    const error = thrown(() => single(1 as never, { key: 1, ttl: '0s', max: 0, time: 1 } as never))
    for (const part of ['fn is 1', 'key is 1', 'ttl is "0s"', 'max is 0', 'unknown option "time"'])
      expect(error.message).toContain(part)
    expect((await rejected(single(() => 1)(undefined, { signal: 1 } as never))).message).toContain('signal is 1')
    const throwing = single((id: string) => id, {
      key: () => {
        throw new Error('no key')
      },
    })
    await expect(throwing('a')).rejects.toThrow('no key')
  })
})
