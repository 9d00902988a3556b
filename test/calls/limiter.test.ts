import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Limiter, limiter } from '../../src/calls/limiter.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { turn, turns } from '../support/turns.ts'
import { rejected, thrown } from '../support/thrown.ts'

interface Taken {
  readonly id: number
  readonly count: number
  readonly at: number
}

/** Takes from a limiter on a clock that stands still until it is moved, and notes when each take was granted. */
class Bench {
  readonly clock = new ManualClock(new Date(0))
  readonly taken: Taken[] = []
  readonly limiter: Limiter
  asked = 0
  refused = 0

  constructor(limit: number, perMs: number, burst = limit) {
    this.limiter = new Limiter({ limit, perMs }, burst, this.clock)
  }

  take(count = 1, signal?: AbortSignal): void {
    const id = this.asked++
    void this.limiter.take(count, signal ? { signal } : {}).then(
      () => this.taken.push({ id, count, at: this.clock.now() }),
      () => this.refused++,
    )
  }

  async advance(ms: number): Promise<void> {
    // Let the callers begin that have been served.
    await turn()
    this.clock.advance(ms)
    await turn()
  }

  /** The time at which the last caller has been served. */
  async end(stepMs: number): Promise<number> {
    while (this.limiter.waiting > 0) await this.advance(stepMs)
    await turn()
    return this.clock.now()
  }
}

/** The most that was taken in any span, one that includes its start but not its end. */
function mostWithin(taken: readonly Taken[], spanMs: number): number {
  let [most, inside, start] = [0, 0, 0]
  for (const { at, count } of taken) {
    inside += count
    for (let first = taken[start]; first && first.at <= at - spanMs; first = taken[++start]) inside -= first.count
    most = Math.max(most, inside)
  }
  return most
}

const order = (taken: readonly Taken[]): number[] => taken.map(({ id }) => id)

describe('limiter', () => {
  it('keeps its promise over 10,000 takes, first in first out, whatever the steps of the clock', async () => {
    let total = 0
    const step = fc.oneof({ weight: 3, arbitrary: fc.nat(1) }, { weight: 1, arbitrary: fc.constant(2) })
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          limit: fc.integer({ min: 1, max: 30 }),
          perMs: fc.integer({ min: 1, max: 5_000 }),
          burst: fc.option(fc.integer({ min: 1, max: 60 }), { nil: undefined }),
          steps: fc.array(fc.record({ kind: step, part: fc.double({ min: 0, max: 1, noNaN: true }) }), {
            minLength: 650,
            maxLength: 750,
            size: 'max',
          }),
        }),
        async ({ limit, perMs, burst = limit, steps }) => {
          const bench = new Bench(limit, perMs, burst)
          const leaving: AbortController[] = []
          for (const { kind, part } of steps) {
            const count = Math.ceil(part * Math.min(burst, 4)) || 1
            if (kind === 0) bench.take(count)
            else if (kind === 1) {
              const controller = new AbortController()
              leaving.push(controller)
              bench.take(count, controller.signal)
            } else {
              await bench.advance(part * part * perMs)
              leaving.pop()?.abort()
            }
          }
          await bench.end(perMs / 7)
          const { taken } = bench
          total += taken.length
          expect(taken.length + bench.refused).toBe(bench.asked)
          expect(order(taken)).toEqual(order(taken).toSorted((a, b) => a - b))
          expect(mostWithin(taken, perMs)).toBeLessThanOrEqual(Math.max(limit, burst))
          for (const spans of [0.01, 0.3, 2, 5.5])
            expect(mostWithin(taken, spans * perMs)).toBeLessThanOrEqual(burst + spans * limit + 1e-6)
        },
      ),
      { numRuns: 34, endOnFailure: true },
    )
    expect(total).toBeGreaterThanOrEqual(10_000)
  })

  it('reaches its rate', async () => {
    const bench = new Bench(5, 1_000)
    for (let count = 0; count < 500; count++) bench.take()
    const endMs = await bench.end(1)
    // 5 at the start, and then 5 a second.
    expect(endMs).toBeGreaterThanOrEqual(99_000)
    expect(endMs).toBeLessThan(101_000)
  })

  it('spreads the takes with a small burst, and catches up with a large one', async () => {
    const even = new Bench(5, 1_000, 1)
    for (let count = 0; count < 6; count++) even.take()
    await even.end(1)
    expect(even.taken.map(({ at }) => at)).toEqual([0, 200, 400, 600, 800, expect.closeTo(1_010, -1) as number])

    const idle = new Bench(5, 1_000, 20)
    for (let count = 0; count < 20; count++) idle.take()
    await turns(2)
    expect(idle.taken).toHaveLength(20)
    await idle.advance(4_000)
    for (let count = 0; count < 21; count++) idle.take()
    await turns(2)
    expect(idle.taken).toHaveLength(40)
  })

  it('does not let a small take overtake a large one, nor tryTake one that waits', async () => {
    const bench = new Bench(4, 1_000)
    bench.take(3)
    bench.take(2)
    bench.take(1)
    await turn()
    expect(order(bench.taken)).toEqual([0])
    expect(bench.limiter.tryTake()).toBe(false)
    await bench.end(10)
    expect(order(bench.taken)).toEqual([0, 1, 2])
    await bench.advance(5_000)
    expect(bench.limiter.tryTake(4)).toBe(true)
    expect(bench.limiter.tryTake()).toBe(false)
  })

  it('serves those behind a caller that leaves, and takes nothing for it', async () => {
    const bench = new Bench(4, 1_000)
    const controller = new AbortController()
    bench.take(3)
    bench.take(4, controller.signal)
    bench.take(1)
    await turn()
    expect(bench.limiter.waiting).toBe(2)
    controller.abort()
    await turn()
    expect(order(bench.taken)).toEqual([0, 2])
    expect(bench.clock.sleeping).toBe(0)
  })

  it('counts a take from when its caller begins, though other callers block the thread', async () => {
    const bench = new Bench(5, 1_000)
    for (let count = 0; count < 10; count++) {
      // Each caller blocks the event loop for half a span.
      void bench.limiter.take().then(() => {
        bench.taken.push({ id: count, count: 1, at: bench.clock.now() })
        bench.clock.advance(500)
      })
    }
    await bench.end(10)
    expect(bench.taken).toHaveLength(10)
    expect(mostWithin(bench.taken, 1_000)).toBeLessThanOrEqual(5)
  })

  it('refuses more than its burst, and wrong options', async () => {
    const five = limiter('5/s')
    const error = await rejected(five.take(6))
    expect(error).toMatchObject({ code: 'USAGE', details: { count: 6, burst: 5 } })
    expect(error.message).toBe('limiter.take: count is 6; expected at most 5, the burst of this limiter')
    expect(thrown(() => limiter('5/s', { burst: 2 }).tryTake(3)).message).toContain('expected at most 2')
    for (const count of [0, -1, 1.5, NaN, '1']) {
      expect((await rejected(five.take(count as never))).message).toContain('count is ')
      expect(thrown(() => five.tryTake(count as never)).message).toContain('count is ')
    }
    const wrong = thrown(() => limiter('5 a second' as never, { burst: 0, size: 3 } as never))
    for (const part of ['rate is "5 a second"; expected a count', 'burst is 0', 'unknown option "size"'])
      expect(wrong.message).toContain(part)
    await expect(five.take(1, { signal: AbortSignal.abort(new Error('stopped')) })).rejects.toThrow('stopped')
    await five.take(5)
  })
})
