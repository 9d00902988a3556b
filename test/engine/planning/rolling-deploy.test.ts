import { expect, it, onTestFinished } from 'vitest'
import { LoopHealth } from '../../../src/engine/loop/loop-health.ts'
import { PrepareRun } from '../../../src/engine/prepare-run.ts'
import { Leader } from '../../../src/engine/node/leader.ts'
import { OwnPlans } from '../../../src/engine/planning/own-plans.ts'
import { Planner } from '../../../src/engine/planning/planner.ts'
import { Registration } from '../../../src/engine/planning/registration.ts'
import { defineJob, type JobDefinition } from '../../../src/index.ts'
import { JobRegistry } from '../../../src/job/registry.ts'
import { type Store, storeOn } from '../../../src/store/store.ts'
import { Events } from '../../../src/events.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { eventually } from '../../support/app.ts'
import { describeEachStore, type TestStore } from '../../support/databases.ts'
import type { Agenda, PlanScope } from '../../../src/store/jobs/plan.ts'

const POLL_MS = 1_000
const STEP_MS = 20

interface Planned {
  readonly jobId: string
  readonly count: number
  readonly atMs: number
}

/** The planning parts of a node, on a clock that the test moves. */
class PlanningNode {
  looks = 0
  readonly planned: Planned[] = []
  readonly leader: Leader
  readonly #registration: Registration
  readonly #planner: Planner

  constructor(store: Store, clock: ManualClock, index: number, jobs: readonly JobDefinition[]) {
    const events = new Events()
    const loops = new LoopHealth({ clock, events })
    const registry = JobRegistry.of(jobs)
    const id = `00000000-0000-4000-8000-00000000000${index}`
    this.leader = new Leader({ locks: store.locks, nodeId: id, leaseMs: 60_000, clock, events, loops })
    const agenda = (scope?: PlanScope): Promise<Agenda> => {
      this.looks += 1
      return store.plans.agenda(scope)
    }
    const own = new OwnPlans()
    this.#registration = new Registration({ jobs: store.jobs, registry, agenda, own, clock, loops })
    this.#planner = new Planner({
      ...{ plans: store.plans, agenda, registry, leader: this.leader, own, clock, events, loops },
      ...{ cancels: store.cancels, prepare: new PrepareRun(() => undefined) },
      pollIntervalMs: POLL_MS,
      onPlanned: () => {},
    })
    events.on('runs.planned', ({ jobId, count }) => this.planned.push({ jobId, count, atMs: clock.now() }))
  }

  async start(): Promise<void> {
    await this.#registration.start()
    await this.leader.start()
    await this.#planner.start()
  }

  async stop(): Promise<void> {
    await this.#planner.stop()
    await this.leader.stop()
  }
}

/** Nodes on one store and one clock. */
class Fleet {
  readonly #loops = new Map<PlanningNode, number>()
  readonly store: Store
  readonly clock: ManualClock

  constructor(store: Store, clock: ManualClock) {
    this.store = store
    this.clock = clock
  }

  static async on(fixture: TestStore): Promise<Fleet> {
    const clock = new ManualClock('2026-01-01T00:00:10.300Z')
    const store = storeOn(await fixture.open({ clock }))
    await fixture.empty()
    return new Fleet(store, clock)
  }

  async start(jobs: readonly JobDefinition[]): Promise<PlanningNode> {
    const node = new PlanningNode(this.store, this.clock, this.#loops.size + 1, jobs)
    onTestFinished(() => node.stop())
    await node.start()
    this.#loops.set(node, 2)
    return node
  }

  /** It still plans, but no longer leads. */
  async depose(node: PlanningNode): Promise<void> {
    await node.leader.stop()
    this.#loops.set(node, 1)
  }

  async stop(node: PlanningNode): Promise<void> {
    await node.stop()
    this.#loops.set(node, 0)
  }

  async pass(ms: number): Promise<void> {
    const loops = [...this.#loops.values()].reduce((sum, count) => sum + count, 0)
    for (let passed = 0; passed < ms; passed += STEP_MS) {
      await eventually(() => expect(this.clock.sleeping).toBe(loops))
      this.clock.advance(STEP_MS)
    }
    await eventually(() => expect(this.clock.sleeping).toBe(loops))
  }

  /** How many milliseconds after their ticks the runs of a job were planned, for ticks from an instant on. Negative: ahead. */
  async lateness(jobId: string, sinceMs = 0): Promise<number[]> {
    const { db, dialect } = this.store.database
    const rows = await db
      .selectFrom('piko_run')
      .select(['tick', 'created_at'])
      .where('job_id', '=', jobId)
      .where('tick', '>=', dialect.instant(new Date(sinceMs)))
      .orderBy('tick')
      .execute()
    return rows.map((row) => dialect.date(row.created_at).getTime() - (row.tick ? dialect.date(row.tick).getTime() : 0))
  }
}

const noop = (): void => {}
const KNOWN = [
  defineJob({ id: 'known', every: '1s' }, noop),
  defineJob({ id: 'slow', cron: '* * * * *', overlap: 'skip' }, noop),
]

describeEachStore((fixture) => {
  it.each([
    ['of one second', defineJob({ id: 'new', every: '1s' }, noop), 9],
    ['of 200 ms', defineJob({ id: 'new', every: '200ms' }, noop), 45],
    ['of seven seconds', defineJob({ id: 'new', every: '7s' }, noop), 1],
    ['that is decided at its tick', defineJob({ id: 'new', every: '1s', overlap: 'bufferOne' }, noop), 9],
    ['that cancels the run before', defineJob({ id: 'new', every: '1s', overlap: 'cancelOther' }, noop), 9],
    ['with windows', defineJob({ id: 'new', every: '1s', windows: { start: '2026-01-01T00:00:10Z' } }, noop), 9],
    [
      'with windows to catch up',
      defineJob({ id: 'new', every: '1s', windows: { start: '2026-01-01T00:00:00Z' } }, noop),
      9,
    ],
  ])('a job %s is on time while the leader does not know it', async (_, job, count) => {
    const fleet = await Fleet.on(fixture)
    await fleet.start(KNOWN)
    await fleet.pass(2_000)
    const startedMs = fleet.clock.now()
    const newer = await fleet.start([...KNOWN, job])
    await fleet.pass(10_000)

    const late = await fleet.lateness('new', startedMs)
    expect(late.length).toBeGreaterThanOrEqual(count)
    expect(late.filter((ms) => ms > STEP_MS)).toEqual([])
    expect(newer.planned.every(({ jobId }) => jobId === 'new')).toBe(true)
  })

  it('a job that has gained windows is on time while the leader believes it has none', async () => {
    const fleet = await Fleet.on(fixture)
    await fleet.start([...KNOWN, defineJob({ id: 'changed', every: '1s' }, noop)])
    await fleet.pass(2_000)
    const windows = { start: '2026-01-01T00:00:12Z' }
    await fleet.start([...KNOWN, defineJob({ id: 'changed', every: '1s', windows }, noop)])
    await fleet.pass(8_000)

    const late = await fleet.lateness('changed')
    expect(late.length).toBeGreaterThanOrEqual(8)
    expect(late.slice(-6).filter((ms) => ms > STEP_MS)).toEqual([])
  })

  it('another node with the new code takes over within a poll interval, and is then on time', async () => {
    const job = defineJob({ id: 'new', every: '1s' }, noop)
    const fleet = await Fleet.on(fixture)
    await fleet.start(KNOWN)
    const first = await fleet.start([...KNOWN, job])
    await fleet.start([...KNOWN, job])
    await fleet.pass(5_000)
    await fleet.stop(first)
    await fleet.pass(10_000)

    const late = await fleet.lateness('new')
    expect(late.length).toBeGreaterThanOrEqual(14)
    expect(late.filter((ms) => ms > STEP_MS).length).toBeLessThanOrEqual(2)
    expect(Math.max(...late)).toBeLessThan(POLL_MS)
  })

  it('a node that loses the lead to older code keeps planning its jobs on time', async () => {
    const job = defineJob({ id: 'new', every: '1s' }, noop)
    const fleet = await Fleet.on(fixture)
    const newer = await fleet.start([...KNOWN, job])
    const older = await fleet.start(KNOWN)
    await fleet.pass(3_000)
    await fleet.depose(newer)
    // The other node asks for the lease every third of it.
    await fleet.pass(25_000)

    expect(older.leader.isLeader).toBe(true)
    expect((await fleet.lateness('new')).filter((ms) => ms > STEP_MS)).toEqual([])
  })

  it('leaves known jobs to the leader, with little more than one look per poll interval', async () => {
    const fleet = await Fleet.on(fixture)
    const leader = await fleet.start(KNOWN)
    const follower = await fleet.start(KNOWN)
    await fleet.pass(3_000)
    const before = follower.looks
    follower.planned.splice(0)
    await fleet.pass(20_000)

    expect(follower.planned).toEqual([])
    expect(follower.looks - before).toBeLessThanOrEqual(30)
    expect(leader.planned.length).toBeGreaterThan(15)
    expect((await fleet.lateness('known')).filter((ms) => ms > STEP_MS)).toEqual([])
  })

  it('gives up a job once a leader knows it', async () => {
    const job = defineJob({ id: 'new', every: '1s' }, noop)
    const fleet = await Fleet.on(fixture)
    const older = await fleet.start(KNOWN)
    const newer = await fleet.start([...KNOWN, job])
    await fleet.pass(3_000)
    await fleet.stop(older)
    await fleet.pass(25_000)
    const leader = newer.leader.isLeader ? newer : older
    const follower = await fleet.start([...KNOWN, job])
    await fleet.pass(5_000)

    expect(leader).toBe(newer)
    expect(follower.planned).toEqual([])
    expect((await fleet.lateness('new')).filter((ms) => ms > STEP_MS)).toEqual([])
  })

  it('a leader plans a job again when its windows return, without a restart', async () => {
    const windowed = defineJob({ id: 'changed', every: '1s', windows: { start: '2026-01-01T00:00:10Z' } }, noop)
    const fleet = await Fleet.on(fixture)
    const leader = await fleet.start([...KNOWN, windowed])
    await fleet.pass(2_000)
    const newer = await fleet.start([...KNOWN, defineJob({ id: 'changed', every: '1s' }, noop)])
    await fleet.pass(3_000)
    await fleet.stop(newer)
    await fleet.stop(await fleet.start([...KNOWN, windowed]))
    leader.planned.splice(0)
    await fleet.pass(14_000)

    const { db } = fleet.store.database
    const windows = await db.selectFrom('piko_window').select('id').where('job_id', '=', 'changed').execute()
    expect(leader.planned.some(({ jobId }) => jobId === 'changed')).toBe(true)
    expect(windows.length).toBeGreaterThan(15)
  })
})
