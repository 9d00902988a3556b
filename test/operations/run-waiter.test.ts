import { getEventListeners } from 'node:events'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { LoopHealth } from '../../src/engine/loop/loop-health.ts'
import { type Clock, systemClock } from '../../src/clock.ts'
import { RunWaiter } from '../../src/operations/runs/run-waiter.ts'
import type { Run } from '../../src/run/run.ts'
import { type Store, storeOn } from '../../src/store/store.ts'
import { Events } from '../../src/events.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { eventually } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'
import { rejected } from '../support/thrown.ts'

const NODE = '00000000-0000-4000-8000-000000000001'
const HOUR = 3_600_000

describeEachStore((fixture) => {
  let store: Store
  let events: Events
  const waiters: RunWaiter[] = []

  beforeEach(async () => {
    store ??= storeOn(await fixture.open())
    await fixture.empty()
    events = new Events()
  })

  afterEach(() => Promise.all(waiters.splice(0).map((waiter) => waiter.stop())))

  const startWaiter = async (pollIntervalMs: number, clock: Clock = systemClock): Promise<RunWaiter> => {
    const waiter = new RunWaiter({ runs: store.runs, pollIntervalMs, clock, loops: new LoopHealth({ clock, events }) })
    waiters.push(waiter)
    await waiter.start()
    return waiter
  }

  const enqueue = async (): Promise<number> => {
    const [id] = await store.runs.enqueue([{ jobId: 'a', kind: 'manual', priority: 0 }])
    return id!
  }

  /** Waits for a number of turns of the event loop and its microtasks. */
  const hops = async (count: number): Promise<void> => {
    for (let hop = 0; hop < count; hop++) await (hop % 2 ? Promise.resolve() : new Promise(setImmediate))
  }

  /** Ends all queued runs in the database one by one, and reports each if `isHere`. */
  const settleAll = async ({ isHere, pause = 0 }: { isHere: boolean; pause?: number }): Promise<void> => {
    const { claims } = await store.runs.claim({ nodeId: NODE, limit: 100, limits: new Map() })
    await store.runs.finish(
      NODE,
      claims.map((claim) => ({ claim, transition: { to: 'succeeded' } })),
    )
    if (!isHere) return
    for (const { runId } of claims) {
      await hops(pause)
      for (const waiter of waiters) waiter.settled({ runId, state: 'succeeded' })
    }
  }

  it('finds a run that settled between the request and the wait', async () => {
    const waiter = await startWaiter(HOUR)
    const id = await enqueue()
    await settleAll({ isHere: true })
    expect(await waiter.wait(id)).toMatchObject({ id, state: 'succeeded' })
  })

  it('finds a run that another node settled, at its next poll', async () => {
    const waiter = await startWaiter(30)
    const [one, two] = [await enqueue(), await enqueue()]
    const waiting = Promise.all([waiter.wait(one), waiter.wait(two), waiter.wait(one)])
    await settleAll({ isHere: false })
    expect((await waiting).map((run) => run.id)).toEqual([one, two, one])
  })

  it('misses no end that this node reports, at any moment', async () => {
    // The next poll is an hour away, so a lost wake-up would make the test hang.
    const waiter = await startWaiter(HOUR)
    for (let round = 0; round < 60; round++) {
      const ids = await Promise.all([enqueue(), enqueue(), enqueue()])
      const waiting: Promise<Run>[] = ids.map(async (id, index) => {
        await hops((round * (index + 1)) % 7)
        return waiter.wait(id)
      })
      await hops(round % 11)
      await settleAll({ isHere: true })
      expect((await Promise.all(waiting)).map((run) => run.id)).toEqual(ids)
    }
  })

  it('misses no end that arrives while it reads the previous one', async () => {
    const clock = new ManualClock()
    const waiter = await startWaiter(HOUR, clock)
    for (let round = 0; round < 20; round++) {
      const ids = await Promise.all([enqueue(), enqueue(), enqueue()])
      const waiting = Promise.all(ids.map((id) => waiter.wait(id)))
      // The poll for earlier ends is over; from here on the clock stands still.
      clock.advance(60)
      await eventually(() => expect(clock.sleeping).toBe(1))
      await settleAll({ isHere: true, pause: round % 7 })
      expect((await waiting).map((run) => run.id)).toEqual(ids)
    }
  })

  it('ignores a run that only returns to the queue', async () => {
    const waiter = await startWaiter(HOUR)
    const id = await enqueue()
    let isSettled = false
    const waiting = waiter.wait(id).then(() => (isSettled = true))
    const settled = {
      jobId: 'a',
      attempt: 1,
      outcome: 'failure',
      durationMs: 1,
      error: undefined,
      isGivenUp: false,
      isUntried: false,
    } as const
    events.emit('run.settled', { ...settled, runId: id, state: 'queued', retryInMs: 1 })
    await waiter.wait(id, AbortSignal.timeout(150)).catch(() => undefined)
    expect(isSettled).toBe(false)
    await settleAll({ isHere: true })
    await waiting
  })

  it('rejects with the reason of its signal, and leaves no listener on it', async () => {
    const waiter = await startWaiter(20)
    const controller = new AbortController()
    const { signal } = controller
    const done = await enqueue()
    const waiting = waiter.wait(done, signal)
    await settleAll({ isHere: false })
    await waiting
    expect(getEventListeners(signal, 'abort')).toEqual([])
    const open = waiter.wait(await enqueue(), signal)
    controller.abort(new Error('enough'))
    await expect(open).rejects.toThrow('enough')
    await expect(waiter.wait(done, signal)).rejects.toThrow('enough')
  })

  it('rejects all waiters at its stop, and later ones too', async () => {
    const waiter = await startWaiter(HOUR)
    const id = await enqueue()
    const early = rejected(waiter.wait(id))
    await waiter.stop()
    for (const error of [await early, await rejected(waiter.wait(id))]) {
      expect([error.code, error.message]).toEqual([
        'STOPPED',
        `Piko stopped before run ${id} had ended; the run stays in the queue`,
      ])
    }
  })
})
