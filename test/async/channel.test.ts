import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Channel } from '../../src/async/channel.ts'
import { drawn } from '../../src/calls/drawn.ts'
import { turn, turns } from '../support/turns.ts'
import { rejected, thrown } from '../support/thrown.ts'

describe('Channel', () => {
  it('hands 10,000 values of 3 producers to 2 consumers, each once, and never holds more than 10', async () => {
    const channel = new Channel<number>({ capacity: 10 })
    let most = 0
    const produce = async (producer: number): Promise<void> => {
      for (let value = producer; value < 10_000; value += 3) {
        await channel.put(value)
        most = Math.max(most, channel.size)
        if (value % 97 === 0) await turn()
      }
    }
    const consume = async (): Promise<number[]> => {
      const values: number[] = []
      for await (const value of channel) {
        values.push(value)
        most = Math.max(most, channel.size)
        if (value % 89 === 0) await turn()
      }
      return values
    }
    const consumers = [consume(), consume()]
    await Promise.all([produce(0), produce(1), produce(2)])
    channel.close()
    const [one = [], other = []] = await Promise.all(consumers)
    expect([...one, ...other].sort((a, b) => a - b)).toEqual(Array.from({ length: 10_000 }, (_, value) => value))
    expect(Math.min(one.length, other.length)).toBeGreaterThan(1_000)
    expect(most).toBe(10)
    // Each consumer gets the values of each producer in their order.
    for (const values of [one, other])
      for (const producer of [0, 1, 2]) {
        const own = values.filter((value) => value % 3 === producer)
        expect(own).toEqual(own.toSorted((a, b) => a - b))
      }
  })

  it('is first in, first out and loses nothing when puts and takes are aborted', async () => {
    const kinds = ['put', 'tryPut', 'take', 'leave', 'turn'] as const
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 4 }),
        fc.array(fc.record({ kind: fc.constantFrom(...kinds), which: fc.nat() }), { maxLength: 60 }),
        async (capacity, steps) => {
          const channel = new Channel<number>({ capacity })
          const puts: Promise<number | undefined>[] = []
          const takes: Promise<number | undefined>[] = []
          const controllers: AbortController[] = []
          let next = 0
          const put = async (value: number, signal: AbortSignal): Promise<number | undefined> => {
            try {
              await channel.put(value, { signal })
              return value
            } catch {
              return undefined
            }
          }
          for (const { kind, which } of steps) {
            const controller = new AbortController()
            if (kind === 'put' || kind === 'take') controllers.push(controller)
            if (kind === 'put') puts.push(put(next++, controller.signal))
            if (kind === 'tryPut') puts.push(Promise.resolve(channel.tryPut(next++) ? next - 1 : undefined))
            if (kind === 'take') takes.push(channel.take({ signal: controller.signal }).catch(() => undefined))
            if (kind === 'leave') controllers[which % Math.max(1, controllers.length)]?.abort()
            if (kind === 'turn') await turn()
            expect(channel.size).toBeLessThanOrEqual(capacity)
            expect(Math.min(channel.waitingPuts, channel.waitingTakes)).toBe(0)
          }
          channel.close()
          const rest: number[] = []
          for await (const value of channel) rest.push(value)
          const isThere = (value: number | undefined): value is number => value !== undefined
          const sent = (await Promise.all(puts)).filter(isThere)
          const received = (await Promise.all(takes)).filter(isThere)
          expect([...received, ...rest]).toEqual(sent)
        },
      ),
    )
  })

  it('an abort of a waiting put takes out its value alone', async () => {
    const channel = new Channel<string>({ capacity: 1 })
    const controller = new AbortController()
    const reason = new Error('stopped')
    await channel.put('a')
    const leaving = channel.put('b', { signal: controller.signal })
    const staying = channel.put('c')
    controller.abort(reason)
    await expect(leaving).rejects.toBe(reason)
    expect([await channel.take(), await channel.take()]).toEqual(['a', 'c'])
    await staying
    expect([channel.size, channel.waitingPuts]).toEqual([0, 0])
  })

  it('fails for both consumers, for waiting producers and for all later calls; it drops what it held', async () => {
    const reason = new Error('source is gone')
    const empty = new Channel<number>({ capacity: 1 })
    const loop = async (): Promise<void> => {
      for await (const _ of empty);
    }
    const consumers = [loop(), loop()]
    await turns(2)
    empty.fail(reason)
    for (const consumer of consumers) await expect(consumer).rejects.toBe(reason)

    const full = new Channel<number>({ capacity: 1 })
    await full.put(1)
    const waiting = full.put(2)
    full.fail(reason)
    full.close()
    full.fail(new Error('another'))
    for (const call of [waiting, full.put(3), full.take()]) await expect(call).rejects.toBe(reason)
    expect(() => full.tryPut(3)).toThrow(reason)
    expect([full.size, full.isClosed]).toEqual([0, true])
  })

  it('gives what it holds after close, refuses puts and ends takes', async () => {
    const channel = new Channel<number>({ capacity: 1 })
    await channel.put(1)
    const waiting = rejected(channel.put(2))
    channel.close()
    expect(await waiting).toMatchObject({ code: 'CHANNEL_CLOSED', message: 'the channel is closed' })
    expect(await channel.take()).toBe(1)
    expect((await rejected(channel.take())).code).toBe('CHANNEL_CLOSED')
    expect((await rejected(channel.put(3))).code).toBe('CHANNEL_CLOSED')
    expect(thrown(() => channel.tryPut(3)).code).toBe('CHANNEL_CLOSED')

    const empty = new Channel<number>({ capacity: 0 })
    const taking = rejected(empty.take())
    empty.close()
    expect((await taking).code).toBe('CHANNEL_CLOSED')
  })

  it('a loop that is left, or whose signal aborts, takes no value from the others', async () => {
    const channel = new Channel<number>({ capacity: 0 })
    const controller = new AbortController()
    const reading = drawn(channel, controller.signal).next()
    await turns(2)
    expect(channel.waitingTakes).toBe(1)
    controller.abort(new Error('stopped'))
    await expect(reading).rejects.toThrow('stopped')
    await turns(2)
    expect(channel.waitingTakes).toBe(0)
    const own = channel.values({ signal: controller.signal })
    await expect(own.next()).rejects.toThrow('stopped')
    const [, taken] = await Promise.all([channel.put(5), channel.take()])
    expect(taken).toBe(5)
    await channel.values().return?.()
    expect(channel.isClosed).toBe(false)
  })

  it('holds undefined like any value', async () => {
    const channel = new Channel<number | undefined>({ capacity: 2 })
    await channel.put(undefined)
    await channel.put(1)
    channel.close()
    const values: unknown[] = []
    for await (const value of channel) values.push(value)
    expect(values).toEqual([undefined, 1])
  })

  it.each([undefined, {}, { capacity: -1 }, { capacity: 1.5 }, { capacity: Infinity }, { capacity: 1, size: 1 }])(
    'refuses the options %j',
    (options) => {
      expect(thrown(() => new Channel(options as never)).message).toMatch(/^new Channel: /)
    },
  )
})
