import { expect, it } from 'vitest'
import { Batcher } from '../../../src/engine/loop/batcher.ts'
import type { Clock } from '../../../src/clock.ts'
import { LoopHealth } from '../../../src/engine/loop/loop-health.ts'
import { Loop } from '../../../src/engine/loop/loop.ts'
import { Events } from '../../../src/events.ts'

/** Sleeps until the test lets time pass, and records the requested durations. */
class StepClock implements Clock {
  readonly asked: number[] = []
  #release: (() => void) | undefined

  now(): number {
    return 0
  }

  monotonic(): number {
    return 0
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    this.asked.push(ms)
    return new Promise((resolve) => {
      this.#release = resolve
      if (signal?.aborted) resolve()
      signal?.addEventListener('abort', () => resolve(), { once: true })
    })
  }

  pass(): void {
    this.#release?.()
  }
}

function loopOf(clock: Clock, events: Events, step: () => Promise<number>): Loop {
  return new Loop({ name: 'test', step, clock, loops: new LoopHealth({ clock, events }) })
}

async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 1_000; turn++) {
    if (condition()) return
    await new Promise((resolve) => setImmediate(resolve))
  }
  throw new Error('the condition did not come true')
}

it('a loop repeats its step after the pause that the step returns, and stops after the running step', async () => {
  const clock = new StepClock()
  let steps = 0
  const loop = loopOf(clock, new Events(), async () => (steps++, 70))
  loop.start()
  await until(() => clock.asked.length === 1)
  clock.pass()
  await until(() => clock.asked.length === 2)
  expect([steps, clock.asked]).toEqual([2, [70, 70]])
  await loop.stop()
  expect([steps, loop.isRunning]).toEqual([2, false])
})

it('a loop that is woken during its step takes another one immediately', async () => {
  const clock = new StepClock()
  let steps = 0
  const loop: Loop = loopOf(clock, new Events(), async () => {
    steps += 1
    if (steps === 1) loop.wake()
    return Infinity
  })
  loop.start()
  await until(() => clock.asked.length === 1)
  expect(steps).toBe(2)
  await loop.stop()
})

it('an error does not end a loop: it is reported, and the pause doubles until a step succeeds', async () => {
  const clock = new StepClock()
  const events = new Events()
  const failures: number[] = []
  events.on('loop.failed', ({ loop, retryInMs }) => loop === 'test' && failures.push(retryInMs))
  let steps = 0
  const loop = loopOf(clock, events, async () => {
    steps += 1
    if (steps <= 3) throw new Error('no database')
    return 1_000
  })
  loop.start()
  for (let turn = 1; turn <= 3; turn++) {
    await until(() => clock.asked.length === turn)
    clock.pass()
  }
  await until(() => clock.asked.length === 4)
  expect([failures, loop.failures]).toEqual([[100, 200, 400], 0])
  await loop.stop()
})

it('a batcher collects items that arrive during a batch and sends them as the next one, in order', async () => {
  const batches: number[][] = []
  const batcher = new Batcher<number, number>(
    async (items) => {
      batches.push([...items])
      await new Promise((resolve) => setImmediate(resolve))
      return items.map((item) => item * 10)
    },
    { largest: 3 },
  )
  const results = await Promise.all([1, 2, 3, 4, 5].map((item) => batcher.add(item)))
  expect([results, batches]).toEqual([
    [10, 20, 30, 40, 50],
    [
      [1, 2, 3],
      [4, 5],
    ],
  ])
  await batcher.idle()
})

it('a failed batch fails only its own items', async () => {
  const batcher = new Batcher<number, number>(
    async (items) => {
      if (items.includes(1)) throw new Error('bad batch')
      return items
    },
    { largest: 2 },
  )
  const results = await Promise.allSettled([1, 2, 3].map((item) => batcher.add(item)))
  expect(results.map((result) => result.status)).toEqual(['rejected', 'rejected', 'fulfilled'])
})
