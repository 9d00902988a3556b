import { describe, expect, expectTypeOf, it } from 'vitest'
import type { Call } from '../../src/calls/called.ts'
import { first } from '../../src/calls/first.ts'
import { turns } from '../support/turns.ts'
import { rejected } from '../support/thrown.ts'

/** Functions that end on request, and the state of their signals. */
class Runners {
  readonly signals: AbortSignal[] = []
  readonly ended: number[] = []
  readonly #ends: PromiseWithResolvers<number>[] = []

  get fns(): Call<number>[] {
    return Array.from({ length: 5 }, (_, index) => async (signal: AbortSignal) => {
      this.signals[index] = signal
      const end = (this.#ends[index] = Promise.withResolvers<number>())
      signal.addEventListener('abort', () => end.reject(signal.reason as Error))
      return end.promise.finally(() => this.ended.push(index))
    })
  }

  win(index: number): void {
    this.#ends[index]?.resolve(index)
  }

  fail(index: number): void {
    this.#ends[index]?.reject(new Error(`error ${index}`))
  }

  get aborted(): number[] {
    return this.signals.flatMap((signal, index) => (signal.aborted ? [index] : []))
  }
}

describe('first', () => {
  it('gives the first result, aborts the four others and waits for them; the winner keeps its signal', async () => {
    const runners = new Runners()
    const racing = first(runners.fns)
    await turns(1)
    runners.fail(0)
    await turns(1)
    runners.win(3)
    expect(await racing).toBe(3)
    expect(runners.ended).toHaveLength(5)
    expect(runners.aborted).toEqual([1, 2, 4])
  })

  it('waits for losers that need time to end', async () => {
    const order: string[] = []
    const slow: Call<string> = async (signal) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      await turns(5)
      order.push('the loser has ended')
      return 'too late'
    }
    order.push(await first([slow, () => 'fast']))
    expect(order).toEqual(['the loser has ended', 'fast'])
  })

  it('gives the first results up to the count, in the order of their ends', async () => {
    const runners = new Runners()
    const racing = first(runners.fns, { count: 3 })
    expectTypeOf(racing).toEqualTypeOf<Promise<number[]>>()
    expectTypeOf(first(runners.fns.slice(0, 0).concat(() => 1))).toEqualTypeOf<Promise<number>>()
    await turns(1)
    for (const index of [4, 0, 2]) runners.win(index)
    expect(await racing).toEqual([4, 0, 2])
    expect(runners.aborted).toEqual([1, 3])
  })

  it('throws all errors as soon as too many have failed, in the order of the functions', async () => {
    const runners = new Runners()
    const racing = first(runners.fns, { count: 4 })
    await turns(1)
    for (const index of [3, 1]) runners.fail(index)
    const error = (await racing.catch((thrown: unknown) => thrown)) as AggregateError
    expect(error).toBeInstanceOf(AggregateError)
    expect(error.message).toBe('2 of 5 functions failed; 4 had to succeed')
    expect(error.errors.map(String)).toEqual(['Error: error 1', 'Error: error 3'])
    expect(runners.aborted).toEqual([0, 2, 4])
  })

  it('rejects with the reason of its signal when all have ended', async () => {
    const controller = new AbortController()
    const runners = new Runners()
    const reason = new Error('stopped')
    const racing = first(runners.fns, { signal: controller.signal })
    await turns(1)
    controller.abort(reason)
    await expect(racing).rejects.toBe(reason)
    expect(runners.ended).toHaveLength(5)
    await expect(first([() => 1], { signal: controller.signal })).rejects.toBe(reason)
  })

  it('takes what is thrown immediately as a failure', async () => {
    const throwing: Call<string> = () => {
      throw new Error('at once')
    }
    expect(await first([throwing, () => 'second'])).toBe('second')
    await expect(first([throwing])).rejects.toMatchObject({ errors: [{ message: 'at once' }] })
  })

  it.each([
    ['no functions', [], {}, 'fns is []; expected at least one function'],
    ['no list', 5, {}, 'fns is 5; expected a list of functions'],
    ['a text among them', [() => 1, 'x'], {}, 'fns[1] is "x"; expected a function'],
    ['a count above their number', [() => 1], { count: 2 }, 'count is 2; expected a whole number from 1 to 1'],
    ['a count of 0', [() => 1], { count: 0 }, 'count is 0'],
  ])('refuses %s', async (_, fns, options, message) => {
    const error = await rejected(first(fns as never, options))
    expect(error.code).toBe('USAGE')
    expect(error.message).toContain(message)
  })
})
