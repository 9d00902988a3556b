import { beforeEach, expect, it } from 'vitest'
import { systemClock } from '../../src/engine/clock.ts'
import { Executor } from '../../src/engine/executor.ts'
import { defineJob } from '../../src/job/define-job.ts'
import { JobRegistry } from '../../src/job/registry.ts'
import { type Claim } from '../../src/job/run.ts'
import { ResourcePool } from '../../src/resource/resource-pool.ts'
import { SinkPool } from '../../src/sink/sink-pool.ts'
import { type Store, storeOn } from '../../src/store/store.ts'
import { type EventName, Events } from '../../src/telemetry/events.ts'
import { createLogger } from '../../src/telemetry/log.ts'
import { describeEachStore } from '../support/databases.ts'

const NODE = '00000000-0000-4000-8000-000000000001'
const OTHER = '00000000-0000-4000-8000-000000000002'

describeEachStore((fixture) => {
  let store: Store
  let told: EventName[]
  let calls: number
  let executor: Executor

  beforeEach(async () => {
    store ??= storeOn(await fixture.open())
    await fixture.empty()
    const log = createLogger({ level: 'silent', json: true, name: 'test' })
    const events = new Events()
    told = []
    calls = 0
    events.onAny((name) => told.push(name))
    const resources = new ResourcePool()
    const sinks = new SinkPool({ sql: store.database.sql, log })
    executor = new Executor({
      registry: JobRegistry.of(defineJob({ id: 'a' }, () => void calls++)),
      borrow: (map, ctx) => resources.borrow(map, ctx),
      sinksFor: (map, scope) => sinks.forRun(map, scope),
      sql: store.database.sql,
      runs: store.runs,
      commit: store.commit,
      savedConfig: () => undefined,
      onDeadline: () => {},
      holdsLease: () => true,
      lock: () => Promise.reject(new Error('no lock is asked for')),
      events,
      clock: systemClock,
      nodeId: () => NODE,
      runLog: () => log,
      random: () => 0,
      graceMs: 100,
      slots: 10,
      shutdownTimeoutMs: 1_000,
    })
  })

  const executed = (claim: Claim, nodeId: string): Promise<Claim> =>
    new Promise((resolve) => executor.take(claim, nodeId, { onFree: () => {}, onEnded: resolve }))

  const claimOne = async (jobId: string, nodeId: string): Promise<Claim> => {
    await store.runs.enqueue([{ jobId, kind: 'manual', priority: 0 }])
    const { claims } = await store.runs.claim({ nodeId, limit: 1, limits: new Map() })
    return claims[0]!
  }

  it('executes a claim and stores its end', async () => {
    const claim = await claimOne('a', NODE)
    await executed(claim, NODE)
    expect([calls, told]).toEqual([1, ['run.started', 'run.settled']])
    expect(await store.runs.find(claim.runId)).toMatchObject({ state: 'succeeded', attempt: 1 })
  })

  it('does not begin a claim whose node lost its lease while it was under way', async () => {
    const claim = await claimOne('a', OTHER)
    await executed(claim, OTHER)
    expect([calls, told]).toEqual([0, ['run.lost']])
    expect(await store.runs.find(claim.runId)).toMatchObject({ state: 'running', nodeId: OTHER })
  })

  it('gives the run of an unknown job back uncounted', async () => {
    const claim = await claimOne('unknown', NODE)
    await executed(claim, NODE)
    expect([calls, told]).toEqual([0, []])
    expect(await store.runs.find(claim.runId)).toMatchObject({ state: 'queued', attempt: 0, nodeId: undefined })
  })
})
