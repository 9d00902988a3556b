import { beforeEach, expect, it } from 'vitest'
import type { Executor } from '../../../src/engine/execution/executor.ts'
import type { ClaimSource } from '../../../src/engine/execution/taken.ts'
import type { AdmissionLimits } from '../../../src/run/limits.ts'
import { defineJob } from '../../../src/job/define-job.ts'
import { JobRegistry } from '../../../src/job/registry.ts'
import type { Claim, Run } from '../../../src/run/run.ts'
import { defineResource } from '../../../src/resource/define-resource.ts'
import type { RateStore } from '../../../src/store/admission/rate-store.ts'
import type { Starts } from '../../../src/store/admission/rate-starts.ts'
import { type Store, storeOn } from '../../../src/store/store.ts'
import { type EventName, Events } from '../../../src/events.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { eventually, Gate } from '../../support/app.ts'
import { describeEachStore } from '../../support/databases.ts'
import { executorOf } from '../../support/executor.ts'

const NODE = '00000000-0000-4000-8000-000000000001'

describeEachStore((fixture) => {
  let clock: ManualClock
  let store: Store
  let told: EventName[]
  let calls: number[]
  let holdsLease: boolean
  let lent: Gate
  let returned: number
  let exchanges: number
  let firstTurnMs: number
  let exchange: RateStore['exchange']
  let registry: JobRegistry
  let limits: ReadonlyMap<string, AdmissionLimits>
  let executor: Executor

  beforeEach(async () => {
    clock = new ManualClock()
    store = storeOn(await fixture.open({ clock }))
    await fixture.empty()
    const events = new Events()
    told = []
    calls = []
    exchanges = 0
    firstTurnMs = 0
    exchange = (requests, monotonic) => store.rates.exchange(requests, monotonic)
    returned = 0
    lent = new Gate()
    holdsLease = true
    events.onAny((name) => told.push(name))
    const slow = defineResource({
      name: 'slow',
      acquire: async function* () {
        await lent.pass()
        try {
          yield 'lent'
        } finally {
          returned++
        }
      },
    })
    const handler = (): void => {
      clock.advance(firstTurnMs)
      calls.push(clock.now())
    }
    registry = JobRegistry.of([
      defineJob({ id: 'plain', rate: '2/s' }, handler),
      defineJob({ id: 'borrower', rate: '2/s', resources: { slow } }, handler),
      defineJob({ id: 'keyed', rate: { rate: '1/s', key: (run) => String(run.input) } }, handler),
    ])
    limits = new Map([...registry].map((job) => [job.id, job.policy.limits!]))
    executor = executorOf({
      registry,
      ...{ events, clock, nodeId: () => NODE, holdsLease: () => holdsLease },
      store: {
        ...store,
        rates: {
          reserve: (...args) => store.rates.reserve(...args),
          exchange: (requests, monotonic) => {
            exchanges++
            return exchange(requests, monotonic)
          },
        },
      },
    })
    await store.jobs.register(
      [...registry].map(({ id }) => ({
        id,
        description: undefined,
        schedule: null,
        windows: null,
        begin: { nextTick: undefined, windowCursor: undefined },
      })),
    )
  })

  const enqueue = (jobId: string, rateKeys: readonly (string | undefined)[]): Promise<number[]> =>
    store.runs.enqueue(rateKeys.map((rateKey) => ({ jobId, kind: 'manual', priority: 0, rateKey })))

  const claim = async (limit = 10): Promise<readonly Claim[]> =>
    (await store.runs.claim({ nodeId: NODE, limit, limits, monotonic: () => clock.monotonic() })).claims

  const source = (onEnded: () => void): ClaimSource => ({ onFree: () => {}, onEnded, onGivenBack: () => {} })

  const ended = (one: Claim): Promise<void> => new Promise((resolve) => executor.take(one, NODE, source(resolve)))

  const runOf = async (one: Claim | undefined): Promise<Run | undefined> => one && store.runs.find(one.runId)

  /** The number of taken places, by key. */
  const places = async (): Promise<Record<string, number>> => {
    const rows = await store.database.db.selectFrom('piko_rate').select(['rate_key', 'starts']).execute()
    return Object.fromEntries(
      rows.map((row) => [row.rate_key, (JSON.parse(row.starts) as Starts).reduce((sum, [, count]) => sum + count, 0)]),
    )
  }

  const firstCountedAt = async (): Promise<number> => {
    const rows = await store.database.db.selectFrom('piko_rate').select('starts').execute()
    return Math.min(...rows.flatMap((row) => (JSON.parse(row.starts) as Starts).map(([at]) => at)))
  }

  it('calls a handler in time without another query', async () => {
    await enqueue('plain', [undefined, undefined, undefined])
    const claims = await claim()
    expect(claims).toHaveLength(2)
    clock.advance(45)
    await Promise.all(claims.map(ended))
    expect([calls.length, exchanges]).toEqual([2, 0])
  })

  it('exchanges the places of all late runs of one turn together, and takes no more than before', async () => {
    await enqueue('plain', [undefined, undefined])
    const claims = await claim()
    clock.advance(46)
    await Promise.all(claims.map(ended))
    expect([calls.length, exchanges]).toEqual([2, 1])
    expect(await places()).toEqual({ '': 2 })
    // The places count from the begin of the handlers.
    clock.advance(1_040)
    await enqueue('plain', [undefined])
    expect(await claim()).toEqual([])
    clock.advance(200)
    expect(await claim()).toHaveLength(1)
  })

  it('takes a place shortly before it is free, and begins when it is free', async () => {
    await enqueue('plain', [undefined, undefined])
    await Promise.all((await claim()).map(ended))
    const begunAt = calls[0]!
    await enqueue('plain', [undefined, undefined])
    let claims: readonly Claim[] = []
    while ((claims = await claim()).length === 0) clock.advance(5)
    const takenAt = clock.now()
    const over = Promise.all(claims.map(ended))
    await eventually(() => expect(clock.sleeping).toBe(2))
    expect(calls).toHaveLength(2)
    clock.advance(50)
    await over
    expect([takenAt - begunAt < 1_080, calls.slice(2).every((at) => at - begunAt >= 1_040), exchanges]).toEqual([
      true,
      true,
      0,
    ])
  })

  it('postpones the place of a handler that was interrupted in its first turn', async () => {
    firstTurnMs = 300
    await enqueue('plain', [undefined])
    await Promise.all((await claim()).map(ended))
    firstTurnMs = 0
    await eventually(() => expect(exchanges).toBe(1))
    await eventually(async () => expect(await firstCountedAt()).toBeGreaterThanOrEqual(calls[0]!))
    expect(await places()).toEqual({ '': 1 })
  })

  it('postpones the place of a key, even after an outage', async () => {
    exchange = (requests, monotonic) => {
      if (exchanges === 1) return Promise.reject(new Error('the server is away'))
      return store.rates.exchange(requests, monotonic)
    }
    firstTurnMs = 300
    await enqueue('keyed', ['a'])
    await Promise.all((await claim()).map(ended))
    await eventually(() => expect(clock.sleeping).toBe(1))
    clock.advance(200)
    await eventually(async () => expect(await firstCountedAt()).toBeGreaterThanOrEqual(calls[0]!))
    expect(await places()).toEqual({ a: 1 })
  })

  it('exchanges the place of a key for another of the same key', async () => {
    await enqueue('keyed', ['a', 'b'])
    const claims = await claim()
    clock.advance(500)
    await Promise.all(claims.map(ended))
    expect([calls.length, exchanges]).toEqual([2, 1])
    expect(await places()).toEqual({ a: 1, b: 1 })
  })

  it('keeps its resources while it waits for a free place', async () => {
    await enqueue('borrower', [undefined])
    const [late] = await claim()
    const over = ended(late!)
    clock.advance(5_000)
    await enqueue('borrower', [undefined])
    const [first] = await claim()
    clock.advance(400)
    await enqueue('borrower', [undefined])
    expect(await claim()).toHaveLength(1)
    expect(first).toBeDefined()
    clock.advance(100)
    lent.open()
    await eventually(() => expect([exchanges, clock.sleeping]).toEqual([1, 1]))
    expect([calls, executor.waitingForRates]).toEqual([[], [{ jobId: 'borrower' }]])
    clock.advance(700)
    await over
    expect([calls.length, returned, executor.waitingForRates]).toEqual([1, 1, []])
    expect(await runOf(late)).toMatchObject({ state: 'succeeded', attempt: 1 })
  })

  it('returns to the queue unchanged if no place becomes free soon', async () => {
    await enqueue('borrower', [undefined])
    const [late] = await claim()
    const over = ended(late!)
    clock.advance(5_000)
    await enqueue('borrower', [undefined, undefined])
    expect(await claim()).toHaveLength(2)
    lent.open()
    await over
    expect([calls, returned, executor.waitingForRates]).toEqual([[], 1, []])
    const run = await runOf(late)
    expect(run).toMatchObject({ state: 'queued', attempt: 0, runAt: late!.runAt })
    expect(await store.attempts.list(run!)).toEqual([])
    clock.advance(2_000)
    const [again] = await claim()
    expect(again?.runId).toBe(late!.runId)
    await ended(again!)
    expect(calls).toHaveLength(1)
  })

  it('begins on a machine with only late answers, without more places than handlers', async () => {
    exchange = async (requests, monotonic) => {
      const answers = await store.rates.exchange(requests, monotonic)
      clock.advance(200)
      return answers
    }
    await enqueue('plain', [undefined])
    const [late] = await claim()
    clock.advance(200)
    await ended(late!)
    expect([calls.length, exchanges]).toEqual([1, 4])
    expect(await places()).toEqual({ '': 1 })
  })

  it('ends a run that is cancelled while it waits, and does not call its handler', async () => {
    await enqueue('plain', [undefined])
    const [late] = await claim()
    clock.advance(2_000)
    await enqueue('plain', [undefined, undefined])
    await claim()
    clock.advance(500)
    const over = ended(late!)
    await eventually(() => expect(clock.sleeping).toBe(1))
    executor.cancel([late!.fence])
    await over
    expect(await runOf(late)).toMatchObject({ state: 'cancelled' })
    expect(calls).toEqual([])
  })

  it('does not begin if the lease is uncertain by then', async () => {
    await enqueue('plain', [undefined])
    const [late] = await claim()
    clock.advance(500)
    exchange = (requests, monotonic) => {
      holdsLease = false
      return store.rates.exchange(requests, monotonic)
    }
    const over = ended(late!)
    await eventually(() => expect(exchanges).toBe(1))
    // The fence decides whether the run still belonged to this node.
    await over
    expect(calls).toEqual([])
  })

  it('repeats the query if the database did not answer', async () => {
    exchange = (requests, monotonic) => {
      if (exchanges === 1) return Promise.reject(new Error('the server is away'))
      return store.rates.exchange(requests, monotonic)
    }
    await enqueue('plain', [undefined])
    const [late] = await claim()
    clock.advance(500)
    const over = ended(late!)
    await eventually(() => expect(clock.sleeping).toBe(1))
    clock.advance(200)
    await over
    expect(told.filter((name) => name === 'loop.failed')).toHaveLength(1)
    // The first request may or may not have returned the unused place, so it stays taken.
    expect([calls.length, await places()]).toEqual([1, { '': 2 }])
  })

  it('delays a rate by at most its span when a clock was set back', async () => {
    await enqueue('plain', [undefined, undefined])
    await Promise.all((await claim()).map(ended))
    clock.advance(-3_600_000)
    await enqueue('plain', [undefined])
    await store.database.db.updateTable('piko_run').set({ run_at: store.database.dialect.now() }).execute()
    expect(await claim()).toEqual([])
    clock.advance(1_100)
    expect(await claim()).toHaveLength(1)
  })
})
