import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { LoopHealth } from '../../../src/engine/loop/loop-health.ts'
import { type Clock, systemClock } from '../../../src/clock.ts'
import { Dispatcher, type DispatcherParts } from '../../../src/engine/claiming/dispatcher.ts'
import type { ClaimSource } from '../../../src/engine/execution/taken.ts'
import { defineJob } from '../../../src/job/define-job.ts'
import { JobRegistry } from '../../../src/job/registry.ts'
import type { JobDefinition } from '../../../src/job/spec.ts'
import type { Claim } from '../../../src/run/run.ts'
import type { RunStore } from '../../../src/store/runs/run-store.ts'
import { type Store, storeOn } from '../../../src/store/store.ts'
import { Events } from '../../../src/events.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { eventually, Headcount } from '../../support/app.ts'
import { describeEachStore } from '../../support/databases.ts'
import type { NewRun } from '../../../src/store/runs/new-run.ts'

const NODE = '00000000-0000-4000-8000-000000000001'
const HOUR = 3_600_000
const AT_ONCE = [new Date(0)]

const limited = defineJob({ id: 'limited', concurrency: 1 }, () => {})

/** Takes claims like the executor. */
class Hands {
  readonly isLeaving = false
  readonly #execute: (claim: Claim, nodeId: string) => Promise<void>
  readonly #underWay = new Set<Promise<void>>()

  readonly #slots: number

  constructor(execute: (claim: Claim, nodeId: string) => Promise<void>, slots: number) {
    this.#execute = execute
    this.#slots = slots
  }

  get active(): number {
    return this.#underWay.size
  }

  get room(): number {
    return this.#slots - this.active
  }

  readonly isBeginning = false
  readonly waitingForRates = []
  roomForEarly = 2
  /** The claims taken early, and how long before their time. */
  readonly early: { readonly jobIds: readonly string[]; readonly ms: number }[] = []

  /** The number of claims that it would take but not begin immediately. */
  ahead = 0

  get freeSlots(): number {
    return this.room - this.ahead
  }

  source: ClaimSource | undefined

  take(claim: Claim, nodeId: string, source: ClaimSource): void {
    this.source = source
    const execution = this.#execute(claim, nodeId).finally(() => {
      this.#underWay.delete(execution)
      source.onFree()
      source.onEnded(claim)
    })
    this.#underWay.add(execution)
  }

  takeEarly(claims: readonly Claim[], ms: number): void {
    this.early.push({ jobIds: claims.map(({ jobId }) => jobId), ms })
    this.roomForEarly -= claims.length
  }

  async idle(): Promise<void> {
    while (this.active > 0) await Promise.allSettled(this.#underWay)
  }
}

describeEachStore((fixture) => {
  let store: Store
  const dispatchers: Dispatcher[] = []

  beforeEach(async () => {
    store ??= storeOn(await fixture.open())
    await fixture.empty()
  })

  afterEach(() => Promise.all(dispatchers.splice(0).map((dispatcher) => dispatcher.stop())))

  const startDispatcher = async (
    execute: (claim: Claim, nodeId: string) => Promise<void>,
    options: Partial<Pick<DispatcherParts, 'onlyRegistered' | 'pollIntervalMs'>> & {
      slots?: number
      nodeId?: () => string
      clock?: Clock
      runs?: RunStore
      jobs?: JobDefinition[]
    } = {},
  ): Promise<{ dispatcher: Dispatcher; hands: Hands }> => {
    const { nodeId = () => NODE, slots = 10, clock = systemClock, runs = store.runs, jobs = [], ...rest } = options
    const registry = JobRegistry.of([...['a', 'b'].map((id) => defineJob({ id }, () => {})), ...jobs])
    const hands = new Hands(execute, slots)
    const dispatcher = new Dispatcher({
      ...{ runs, registry, executor: hands, clock, nodeId },
      loops: new LoopHealth({ clock, events: new Events() }),
      holdsLease: () => true,
      pollIntervalMs: HOUR,
      onlyRegistered: false,
      ...rest,
    })
    dispatchers.push(dispatcher)
    await dispatcher.start()
    return { dispatcher, hands }
  }

  const enqueue = (count: number, run: Partial<NewRun> = {}): Promise<number[]> =>
    store.runs.enqueue(Array.from({ length: count }, () => ({ jobId: 'a', kind: 'manual', priority: 0, ...run })))

  const finish = async (claim: Claim): Promise<void> => {
    await store.runs.finish(NODE, [{ claim, transition: { to: 'succeeded' } }])
  }

  it('misses no enqueue at any moment, and never runs more than its slots', async () => {
    const inside = new Headcount()
    let done = 0
    const { dispatcher, hands } = await startDispatcher(
      async (claim) => {
        inside.enter()
        await finish(claim)
        inside.leave()
        done++
      },
      { slots: 3 },
    )
    let asked = 0
    for (let round = 0; round < 40; round++) {
      const count = 1 + (round % 5)
      asked += count
      for (let hop = 0; hop < round % 6; hop++) await new Promise(setImmediate)
      await enqueue(count)
      dispatcher.expect(AT_ONCE)
      // The next poll is an hour away, so a lost wake-up would leave runs in the queue.
      if (round % 3 === 0) await eventually(() => expect(done).toBe(asked))
    }
    await eventually(() => expect(done).toBe(asked))
    expect(inside.most).toBe(3)
    expect(hands.active).toBe(0)
  })

  it('looks again when a planned run that was not claimed early is due', async () => {
    const started: number[] = []
    const { dispatcher, hands } = await startDispatcher(async (claim) => {
      started.push(Date.now())
      await finish(claim)
    })
    hands.roomForEarly = 0
    const runAt = new Date(Date.now() + 300)
    await enqueue(1, { runAt })
    dispatcher.expect([runAt])
    await eventually(() => expect(started).toHaveLength(1))
    expect(started[0]! - runAt.getTime()).toBeGreaterThanOrEqual(-2)
  })

  it('claims runs with the same due time a quarter of a second early, as far as there is room', async () => {
    const clock = new ManualClock()
    const { runs } = storeOn(await fixture.open({ clock }))
    const looks = async (): Promise<void> => {
      // It sleeps again, because there is nothing left to do.
      await eventually(() => expect(clock.sleeping).toBe(1))
    }
    const { dispatcher, hands } = await startDispatcher(finish, { clock, runs, jobs: [limited] })
    await looks()
    const runAt = new Date(clock.now() + 1_000)
    const run = { kind: 'manual', priority: 0, runAt } as const
    const ids = await runs.enqueue(['limited', 'a', 'b', 'a'].map((jobId) => ({ ...run, jobId })))
    await runs.enqueue([{ ...run, jobId: 'b', runAt: new Date(clock.now() + 1_240) }])
    dispatcher.expect([runAt])
    clock.advance(740)
    await looks()
    expect(hands.early).toEqual([])
    clock.advance(20)
    await looks()
    expect(hands.early.flatMap(({ jobIds }) => jobIds)).toEqual(['a', 'b'])
    expect(hands.early.every(({ ms }) => ms === 240)).toBe(true)
    const states = async (): Promise<(string | undefined)[]> =>
      Promise.all(ids.map(async (id) => (await runs.find(id))?.state))
    expect(await states()).toEqual(['queued', 'running', 'running', 'queued'])
    const claimed = hands.early.length
    clock.advance(240)
    await eventually(async () => expect(await states()).toEqual(['succeeded', 'running', 'running', 'succeeded']))
    expect(hands.early).toHaveLength(claimed)
  })

  const registerLimited = (): Promise<unknown> =>
    store.jobs.register([
      {
        ...{ id: limited.id, description: undefined, schedule: null, windows: null },
        begin: { nextTick: undefined, windowCursor: undefined },
      },
    ])

  /** A dispatcher on its own clock that has looked and now sleeps. */
  const resting = async (jobs: JobDefinition[] = []) => {
    const clock = new ManualClock()
    const { runs } = storeOn(await fixture.open({ clock }))
    const looks = async (): Promise<void> => {
      await eventually(() => expect(clock.sleeping).toBe(1))
    }
    const parts = await startDispatcher(finish, { clock, runs, jobs })
    parts.hands.roomForEarly = 10
    await looks()
    const enqueueAt = async (ms: number, jobId: string, priority = 0): Promise<Date> => {
      const runAt = new Date(clock.now() + ms)
      await runs.enqueue([{ jobId, kind: 'manual', priority, runAt }])
      return runAt
    }
    return { ...parts, clock, runs, looks, enqueueAt }
  }

  it('learns of future runs after due ones', async () => {
    const { dispatcher, hands, clock, looks, enqueueAt } = await resting()
    dispatcher.expect([await enqueueAt(-1, 'a'), await enqueueAt(1_000, 'b')])
    await eventually(async () => expect(await store.runs.count()).toMatchObject({ succeeded: 1 }))
    await looks()
    // The poll is an hour away.
    for (let ms = 0; ms < 800; ms += 100) {
      clock.advance(100)
      await looks()
    }
    expect(hands.early).toMatchObject([{ jobIds: ['b'] }])
  })

  it('claims no run early that follows a run of a job with limits, and looks when its time comes', async () => {
    const { dispatcher, hands, clock, looks, enqueueAt } = await resting([limited])
    const runAt = await enqueueAt(200, 'limited')
    await enqueueAt(200, 'a', 1)
    await enqueueAt(200, 'b', -1)
    dispatcher.expect([runAt])
    await eventually(() => expect(hands.early).toEqual([{ jobIds: ['b'], ms: 200 }]))
    await looks()
    clock.advance(200)
    await eventually(async () => expect(await store.runs.count()).toMatchObject({ succeeded: 2, running: 1 }))
    expect(hands.early).toHaveLength(1)
  })

  it('does not spin before a due time while a limit keeps a due run in the queue', async () => {
    const { dispatcher, hands, clock, runs, looks, enqueueAt } = await resting([limited])
    await registerLimited()
    await enqueueAt(-1, 'limited')
    const { claims } = await runs.claim({ nodeId: NODE, limit: 1, limits: new Map() })
    expect(claims).toHaveLength(1)
    const runAt = await enqueueAt(500, 'a')
    dispatcher.expect([await enqueueAt(-1, 'limited'), runAt])
    await looks()
    clock.advance(251)
    const [look, claim] = [vi.spyOn(runs, 'look'), vi.spyOn(runs, 'claim')]
    for (let ms = 0; ms < 240; ms++) {
      await looks()
      clock.advance(1)
    }
    expect(look.mock.calls.length + claim.mock.calls.length).toBeLessThan(40)
    expect(hands.early).toMatchObject([{ jobIds: ['a'] }])
  })

  // On SQLite nobody holds a row lock while others read.
  if (fixture.name === 'mysql') {
    it('claims early as many runs as there is room for, even after runs that others hold', async () => {
      const { dispatcher, hands, clock, runs, enqueueAt } = await resting()
      const runAt = await enqueueAt(200, 'a')
      await runs.enqueue(Array.from({ length: 149 }, () => ({ jobId: 'a', kind: 'manual', priority: 0, runAt })))
      hands.roomForEarly = 100
      const database = await fixture.open()
      await database.transaction(async (trx) => {
        await trx.selectFrom('piko_run').select('id').orderBy('id').limit(40).forUpdate().execute()
        dispatcher.expect([runAt])
        await eventually(() => expect(hands.early.flatMap(({ jobIds }) => jobIds)).toHaveLength(100))
      })
      clock.advance(200)
      await eventually(async () => expect(await store.runs.count()).toMatchObject({ succeeded: 50, running: 100 }))
    })

    it('does not spin before a due time while another node holds a due run', async () => {
      const { dispatcher, clock, runs, looks, enqueueAt } = await resting()
      const database = await fixture.open()
      const due = await enqueueAt(-1, 'a')
      await database.transaction(async (trx) => {
        await trx.selectFrom('piko_run').select('id').forUpdate().execute()
        dispatcher.expect([due, await enqueueAt(500, 'a')])
        await looks()
        clock.advance(251)
        const [look, claim] = [vi.spyOn(runs, 'look'), vi.spyOn(runs, 'claim')]
        for (let ms = 0; ms < 240; ms++) {
          await looks()
          clock.advance(1)
        }
        expect(look.mock.calls.length + claim.mock.calls.length).toBeLessThan(40)
      })
      await looks()
      // Both are due by now. Whether one claim takes both depends on when it looks.
      await eventually(async () => {
        clock.advance(100)
        expect((await store.runs.count()).succeeded).toBeGreaterThanOrEqual(1)
      })
    })
  }

  it('looks immediately for a run of a job with limits when a slot becomes free, whatever it saw without one', async () => {
    const { dispatcher, hands, clock, looks, enqueueAt } = await resting([limited])
    dispatcher.expect([await enqueueAt(-1, 'a')])
    await eventually(async () => expect(await store.runs.count()).toMatchObject({ succeeded: 1 }))
    await looks()
    await registerLimited()
    await enqueueAt(-1, 'limited')
    hands.ahead = 10
    clock.advance(1_000)
    await looks()
    hands.ahead = 0
    hands.source?.onFree()
    await eventually(async () => expect(await store.runs.count()).toMatchObject({ succeeded: 2 }))
  })

  it('claims the next run of a job with a limit if the one before it ended while the claim was answered', async () => {
    const clock = new ManualClock('2026-01-01T00:00:00Z')
    const answers = { asked: Promise.withResolvers<void>(), late: Promise.withResolvers<void>() }
    const runs = Object.create(store.runs) as RunStore
    runs.claim = async (request) => {
      const result = await store.runs.claim(request)
      if (result.claims.length === 0 && result.blocked.length > 0) {
        answers.asked.resolve()
        await answers.late.promise
      }
      return result
    }
    await registerLimited()
    await enqueue(1, { jobId: 'limited', runAt: new Date(0) })
    const began: number[] = []
    const end = Promise.withResolvers<void>()
    const { dispatcher, hands } = await startDispatcher(
      async (claim) => {
        began.push(claim.runId)
        if (began.length === 1) await end.promise
        await finish(claim)
      },
      { clock, runs, jobs: [limited] },
    )
    await eventually(() => expect(began).toHaveLength(1))
    await enqueue(1, { jobId: 'limited', runAt: new Date(0) })
    dispatcher.wake()
    await answers.asked.promise
    end.resolve()
    await eventually(() => expect(hands.active).toBe(0))
    answers.late.resolve()
    await eventually(() => expect(began).toHaveLength(2))
    await hands.idle()
  })

  it('claims anew without its memory of limits, which ends of runs on other nodes do not change', async () => {
    const clock = new ManualClock('2026-01-01T00:00:00Z')
    await registerLimited()
    await enqueue(2, { jobId: 'limited', runAt: new Date(0) })
    const { claims } = await store.runs.claim({ nodeId: 'elsewhere', limit: 1, limits: new Map(), monotonic: () => 0 })
    const began: number[] = []
    let looks = 0
    const runs = Object.create(store.runs) as RunStore
    runs.claim = async (request) => {
      const result = await store.runs.claim(request)
      looks += 1
      return result
    }
    const { dispatcher, hands } = await startDispatcher(
      async (claim) => {
        began.push(claim.runId)
        await finish(claim)
      },
      { clock, runs, jobs: [limited] },
    )
    await eventually(() => expect([looks > 1, clock.sleeping]).toEqual([true, 1]))
    await store.runs.finish('elsewhere', [{ claim: claims[0] as Claim, transition: { to: 'succeeded' } }])
    dispatcher.wake()
    await eventually(() => expect(clock.sleeping).toBe(1))
    expect(began).toEqual([])
    dispatcher.wakeAnew()
    await eventually(() => expect(began).toHaveLength(1))
    await hands.idle()
  })

  it('looks again for returned runs, immediately or when they are due', async () => {
    const { hands, clock, looks, enqueueAt, dispatcher } = await resting()
    dispatcher.expect([await enqueueAt(-1, 'a')])
    await eventually(async () => expect(await store.runs.count()).toMatchObject({ succeeded: 1 }))
    await looks()
    const [now, soon] = [await enqueueAt(-1, 'a'), await enqueueAt(1_000, 'b')]
    for (const runAt of [now, soon]) hands.source?.onGivenBack({ runAt } as Claim)
    await eventually(async () => expect(await store.runs.count()).toMatchObject({ succeeded: 2 }))
    await looks()
    clock.advance(800)
    await eventually(() => expect(hands.early).toMatchObject([{ jobIds: ['b'] }]))
  })

  it('does not look at a time if it has already claimed all its runs', async () => {
    const clock = new ManualClock()
    const { runs } = storeOn(await fixture.open({ clock }))
    const { dispatcher, hands } = await startDispatcher(finish, { clock, runs })
    await eventually(() => expect(clock.sleeping).toBe(1))
    const runAts = [900, 950, 1_000].map((ms) => new Date(clock.now() + ms))
    await runs.enqueue(runAts.map((runAt) => ({ jobId: 'a', kind: 'manual', priority: 0, runAt })))
    hands.roomForEarly = 10
    dispatcher.expect(runAts)
    clock.advance(760)
    await eventually(() => expect(hands.early.map(({ ms }) => ms)).toEqual([140, 190, 240]))
    await eventually(() => expect(clock.sleeping).toBe(1))
    const looks = vi.spyOn(runs, 'look')
    for (const ms of [140, 50, 50, 10]) {
      clock.advance(ms)
      await eventually(() => expect(clock.sleeping).toBe(1))
    }
    // Only a poll may happen.
    expect(looks.mock.calls.length).toBeLessThan(3)
    expect(hands.early).toHaveLength(3)
  })

  it('executes the runs of a claim that was being answered during the stop', async () => {
    for (let round = 0; round < 12; round++) {
      const { dispatcher, hands } = await startDispatcher(finish, { slots: 5 })
      await enqueue(20)
      dispatcher.expect(AT_ONCE)
      for (let hop = 0; hop < round; hop++) await new Promise(setImmediate)
      await dispatcher.stop()
      await hands.idle()
      expect(hands.active).toBe(0)
      expect(await store.runs.count()).toMatchObject({ running: 0 })
      dispatcher.wake()
      await enqueue(1)
      expect(await store.runs.count()).toMatchObject({ running: 0 })
    }
  })

  it('passes on the id under which it claimed, even if the node has a new one by then', async () => {
    const ids = [NODE, '00000000-0000-4000-8000-000000000002']
    const seen: string[] = []
    await startDispatcher(
      async (claim, nodeId) => {
        seen.push(nodeId)
        await finish(claim)
      },
      { nodeId: () => (ids.length > 1 ? ids.shift()! : ids[0]!) },
    )
    const [id] = await enqueue(1)
    await eventually(() => expect(seen.length).toBe(1))
    expect((await store.runs.find(id!))?.nodeId).toBe(seen[0])
  })

  it('claims only some jobs if it was created for these', async () => {
    const seen: string[] = []
    const { hands } = await startDispatcher(
      async (claim) => {
        seen.push(claim.jobId)
        await finish(claim)
      },
      { onlyRegistered: true, pollIntervalMs: 20 },
    )
    await enqueue(1, { jobId: 'unknown', priority: -1 })
    await enqueue(1, { jobId: 'b' })
    await eventually(() => expect(seen).toEqual(['b']))
    await hands.idle()
    const [unknown] = await store.runs.list({ jobId: 'unknown' })
    expect(unknown).toMatchObject({ state: 'queued', attempt: 0 })
    expect(unknown!.fence % 65_536).toBe(0)
  })
})
