import { describe, expect, it } from 'vitest'
import { mapItems, type MapOptions } from '../../src/calls/map-items.ts'
import { NoRetryError } from '../../src/run/retry-errors.ts'
import { turns } from '../support/turns.ts'
import { rejected } from '../support/thrown.ts'

const never = new AbortController().signal
const FAST = { base: '1ms', jitter: false } as const

describe('ctx.map', () => {
  it('tries an item again, as its retry says, and settles it with its last error', async () => {
    const calls: number[] = []
    const results = await mapItems(
      [1, 2, 3],
      (item) => {
        calls.push(item)
        if (item === 2) throw new NoRetryError('no 2')
        if (item === 3 || calls.filter((one) => one === item).length < 3) throw new Error(`failed ${item}`)
        return item * 10
      },
      { concurrency: 1, retry: { limit: 2, ...FAST } },
      never,
    )
    expect(calls).toEqual([1, 1, 1, 2, 3, 3, 3])
    expect(results).toMatchObject([
      { status: 'fulfilled', value: 10 },
      { status: 'rejected', reason: { message: 'no 2' } },
      { status: 'rejected', reason: { message: 'failed 3' } },
    ])
  })

  it('gives each call of an item its own time', async () => {
    const signals: AbortSignal[] = []
    const results = await mapItems(
      ['quick', 'slow'],
      (item, _index, signal) => {
        if (item === 'quick') return item
        signals.push(signal)
        return new Promise<string>(() => {})
      },
      { timeout: '20ms', retry: { limit: 1, ...FAST } },
      never,
    )
    expect(results).toMatchObject([
      { status: 'fulfilled', value: 'quick' },
      { status: 'rejected', reason: { code: 'TIMEOUT' } },
    ])
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true])
  })

  it('begins calls no faster than its rate, the retries too', async () => {
    const begun: number[] = []
    const results = await mapItems(
      [1, 2, 3, 4],
      async (item) => {
        begun.push(performance.now())
        await turns(1)
        if (item === 1 && begun.length < 4) throw new Error('again')
      },
      { rate: '2/200ms', retry: { limit: 3, ...FAST } },
      never,
    )
    expect(results.every(({ status }) => status === 'fulfilled')).toBe(true)
    expect(begun.length).toBeGreaterThan(4)
    for (const [index, at] of begun.slice(2).entries()) expect(at - (begun[index] ?? 0)).toBeGreaterThanOrEqual(150)
  })

  it('stops on an error that makes the rest pointless: running calls abort and are awaited', async () => {
    const drawn: number[] = []
    const ended: number[] = []
    function* items() {
      for (let item = 0; item < 100; item++) {
        drawn.push(item)
        yield item
      }
    }
    const denied = Object.assign(new Error('denied'), { status: 401 })
    const mapping = mapItems(
      items(),
      async (item, _index, signal) => {
        if (item === 0) throw new Error('harmless')
        if (item === 3) throw denied
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        await turns(2)
        ended.push(item)
      },
      { concurrency: 3, stopOn: (error) => 'status' in error && error.status === 401 },
      never,
    )
    await expect(mapping).rejects.toBe(denied)
    expect(drawn).toEqual([0, 1, 2, 3])
    expect(ended).toEqual([1, 2])
  })

  it('asks stopOn only after the retries, and rejects if it can’t answer', async () => {
    const asked: string[] = []
    const options: MapOptions = {
      retry: { limit: 2, ...FAST },
      stopOn: (error) => {
        asked.push(error.message)
        return undefined as never
      },
    }
    let calls = 0
    const error = await rejected(mapItems([1], () => Promise.reject(new Error(`call ${++calls}`)), options, never))
    expect(asked).toEqual(['call 3'])
    expect(error).toMatchObject({
      code: 'USAGE',
      message: 'stopOn of ctx.map was called with Error: call 3 and returned undefined; expected true or false',
    })
  })

  it('rejects with the reason of the run’s signal, in the middle of a back-off, a wait for the rate or a call', async () => {
    for (const options of [
      { retry: { limit: 1, base: '1d', max: '1d' } },
      { rate: '1/d' },
      {},
    ] satisfies MapOptions[]) {
      const controller = new AbortController()
      const reason = new Error('stopped')
      let stopOn = 0
      const mapping = mapItems(
        [1, 2],
        (_item, _index, signal) => {
          if ('retry' in options) throw new Error('failed')
          if ('rate' in options) return
          return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))))
        },
        { ...options, stopOn: () => ++stopOn > 0 },
        controller.signal,
      )
      await turns(3)
      controller.abort(reason)
      await expect(mapping).rejects.toBe(reason)
      expect(stopOn).toBe(0)
    }
  })

  it('names every wrong option', async () => {
    const wrong = { concurrency: 0, rate: '5', retry: { limit: -1, bse: '1s' }, timeout: '0s', stopOn: 5, stopon: 1 }
    const error = await rejected(mapItems(undefined as never, undefined as never, wrong as never, never))
    expect(error.code).toBe('USAGE')
    for (const part of [
      'items is undefined; expected an iterable',
      'fn is undefined',
      'concurrency is 0; expected a whole number of at least 1',
      'rate is "5"',
      'retry is wrong: ',
      'limit is -1',
      'unknown option "bse"',
      'timeout is "0s"',
      'stopOn is 5',
      'unknown option "stopon", did you mean "stopOn"?',
    ])
      expect(error.message).toContain(part)
    for (const concurrency of [-1, 1.5, NaN])
      expect((await rejected(mapItems([1], () => 1, { concurrency }, never))).message).toContain(
        `concurrency is ${concurrency}; expected a whole number of at least 1`,
      )
  })
})
