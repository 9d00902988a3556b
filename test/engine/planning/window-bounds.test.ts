import fc from 'fast-check'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Backfills } from '../../../src/operations/backfills/backfills.ts'
import {
  isPlannedHere,
  planJob,
  registrationOf,
  scheduleInForce,
  timelineOf,
} from '../../../src/engine/planning/plan-job.ts'
import type { Reach } from '../../../src/operations/reach.ts'
import { Schedules } from '../../../src/operations/schedules.ts'
import { isPikoError } from '../../../src/errors.ts'
import { defineJob } from '../../../src/job/define-job.ts'
import { JobRegistry } from '../../../src/job/registry.ts'
import type { JobDefinition, WindowsSpec } from '../../../src/job/spec.ts'
import { firstHole } from '../../../src/store/windows/coverage.ts'
import type { Database } from '../../../src/store/connection/database.ts'
import { type Store, storeOn } from '../../../src/store/store.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { Schedule, scheduleJson, type ScheduleSpec } from '../../../src/time/schedule.ts'
import type { Window } from '../../../src/time/window.ts'
import { describeEachStore } from '../../support/databases.ts'

const NOW = '2025-02-01T00:30:00Z'
const HOUR_MS = 3_600_000
const t = (text: string): Date => new Date(text)

const TIMES = [
  { cron: '0 0 * * *', timezone: 'Europe/Berlin' },
  { cron: '0 3 * * *', timezone: 'Europe/Berlin' },
  { cron: '0 0 * * *', timezone: 'Asia/Tokyo' },
  { cron: ['30 */9 * * *', '0 12 * * SUN'] },
  { cron: '0 0 * * *', exclude: { weekdays: ['sat'] } },
  { every: '7h' },
  { every: '1d' },
] as const
const STARTS = ['2024-12-20T00:00:00Z', '2025-01-03T10:30:00Z', '2025-01-12T23:00:00Z'] as const
const ENDS = [undefined, undefined, '2025-01-28T05:00:00Z'] as const

/** The declaration in the code of one node. Without `start` it has no windows. */
function jobOf(times: object, windows?: WindowsSpec): JobDefinition {
  return defineJob({ id: 'sync', ...times, ...(windows && { windows }) } as { id: string }, () => undefined)
}

/** The job's database, and the actions of nodes and people on it. */
class World {
  readonly store: Store
  readonly clock: ManualClock
  readonly #database: Database

  constructor(database: Database, clock: ManualClock) {
    this.#database = database
    this.store = storeOn(database)
    this.clock = clock
  }

  get now(): Date {
    return new Date(this.clock.now())
  }

  /** The parts for the operations of a node with this code. */
  reach(job: JobDefinition): Pick<Reach, 'store' | 'registry' | 'configs' | 'pollIntervalMs' | 'changed'> {
    const nothing = (): void => undefined
    return {
      store: this.store,
      registry: JobRegistry.of([job]),
      configs: { inForce: () => undefined, saved: () => Promise.resolve(), refresh: () => Promise.resolve() },
      pollIntervalMs: 10,
      changed: { runsCancelled: nothing, runsQueued: nothing, runsDeleted: nothing, backfill: nothing, batch: nothing },
    }
  }

  async start(job: JobDefinition): Promise<void> {
    await this.store.jobs.register([registrationOf(job, this.now)])
  }

  /** Does one step of the leader's planner: edits, then due jobs. */
  async plan(job: JobDefinition): Promise<void> {
    for (const { id, schedule } of await this.store.plans.edited()) {
      try {
        const spec = scheduleInForce(job, schedule)
        const tick = spec && (job.policy.windows ? this.now : Schedule.of(spec).next(this.now))
        await this.store.plans.replan(id, schedule, spec && scheduleJson(spec), tick)
      } catch (error) {
        if (!isPikoError(error, 'SCHEDULE_INVALID')) throw error
      }
    }
    for (let pass = 0; pass < 4; pass++) {
      await this.store.plans.plan(this.now, 10, (jobs) =>
        jobs.filter((due) => isPlannedHere(job, due)).map((due) => planJob(job, due, this.now, this.now)),
      )
    }
  }

  async backfill(job: JobDefinition, request: Parameters<Backfills['create']>[1]): Promise<void> {
    const backfills = new Backfills(() => this.reach(job))
    try {
      const listed: Window[] = []
      for await (const window of backfills.preview('sync', request)) listed.push(window)
      expectTiles(request.order === 'newest' ? listed.toReversed() : listed)
      await backfills.create('sync', request)
    } catch (error) {
      // The range has no window, or this code has none.
      if (!isPikoError(error, 'WINDOW_UNKNOWN')) throw error
    }
  }

  async drive(job: JobDefinition, steps: number): Promise<void> {
    const { windows } = job.policy
    if (!windows) return
    for (const { id } of await this.store.backfills.unfinished()) {
      for (let step = 0; step < steps; step++) {
        await this.store.backfills.step(id, 'sync', {
          timeline: (generations) => timelineOf(job, windows, generations),
          waits: false,
          runOf: (window) => ({ jobId: 'sync', kind: 'backfill', priority: 0, window, backfillId: id }),
        })
      }
    }
  }

  /** Does the same as `app.run`. */
  async runWindow(job: JobDefinition, at: Date): Promise<void> {
    const { windows } = job.policy
    if (!windows) return
    const stored = await this.store.windows.stored('sync', at, 'after')
    const timeline = timelineOf(job, windows, await this.store.jobs.generations('sync')).around(stored.windows)
    const window = timeline.containing(at)
    if (!window || window.end > this.now) return
    try {
      await this.store.windows.enqueue({ jobId: 'sync', kind: 'manual', priority: 0, window })
    } catch (error) {
      if (!isPikoError(error, 'WINDOW_BUSY')) throw error
    }
  }

  /** Ends some of the pending runs. */
  async settle(state: 'succeeded' | 'failed' | 'cancelled'): Promise<void> {
    await this.#database.db
      .updateTable('piko_window')
      .set({ state })
      .where('state', '=', 'pending')
      .where((eb) => eb(eb.fn<number>('mod', ['id', eb.lit(2)]), '=', state === 'succeeded' ? 0 : 1))
      .execute()
  }

  override(schedule: ScheduleSpec | null): Promise<void> {
    return new Schedules(() => ({ store: this.store, registry: JobRegistry.of([]) })).set('sync', schedule)
  }

  async edit(values: { schedule: string } | { window_cursor: Date }): Promise<void> {
    const { db, dialect } = this.#database
    const row =
      'schedule' in values
        ? values
        : { window_cursor: dialect.instant(values.window_cursor), plan_at: dialect.instant(this.now) }
    await db.updateTable('piko_job').set(row).where('id', '=', 'sync').execute()
  }

  async windows(): Promise<(Window & { runWindow: Window | undefined })[]> {
    const { db, dialect } = this.#database
    const rows = await db
      .selectFrom('piko_window')
      .leftJoin('piko_run', 'piko_run.id', 'piko_window.run_id')
      .select(['piko_window.start_at', 'piko_window.end_at', 'piko_run.window_start', 'piko_run.window_end'])
      .orderBy('piko_window.start_at')
      .execute()
    return rows.map(({ start_at, end_at, window_start, window_end }) => ({
      start: dialect.date(start_at),
      end: dialect.date(end_at),
      runWindow:
        window_start !== null && window_end !== null
          ? { start: dialect.date(window_start), end: dialect.date(window_end) }
          : undefined,
    }))
  }

  /** Runs all of the job's time. */
  async fill(job: JobDefinition): Promise<void> {
    await this.backfill(job, { from: t('2024-01-01T00:00:00Z'), to: this.now, only: 'missing' })
    for (let rest = 1; rest > 0; rest = (await this.store.backfills.unfinished()).length) {
      await this.drive(job, 5)
      await this.#database.db
        .updateTable('piko_window')
        .set({ state: 'succeeded' })
        .where('state', 'in', ['pending', 'failed', 'cancelled', 'skipped'])
        .execute()
    }
  }

  hole(range: Window): Promise<Date | undefined> {
    return firstHole(this.#database.db, this.#database.dialect, 'sync', range)
  }
}

function expectTiles(windows: readonly Window[], gaps: 'gaps' | 'no gaps' = 'gaps'): void {
  let before: Window | undefined
  for (const window of windows) {
    expect(window.start.getTime()).toBeLessThan(window.end.getTime())
    if (before && gaps === 'gaps') expect(window.start.getTime()).toBeGreaterThanOrEqual(before.end.getTime())
    if (before && gaps === 'no gaps') expect(window.start).toEqual(before.end)
    before = window
  }
}

async function expectSound(world: World): Promise<void> {
  const windows = await world.windows()
  expectTiles(windows)
  for (const { start, end, runWindow } of windows) if (runWindow) expect(runWindow).toEqual({ start, end })
}

interface Step {
  readonly text: string
  readonly act: (world: World) => Promise<void>
}

const code = fc
  .record({
    times: fc.constantFrom(...TIMES),
    start: fc.constantFrom(...STARTS, undefined),
    end: fc.constantFrom(...ENDS),
    catchUp: fc.constantFrom('all', 'latest', 'none'),
  })
  .map(({ times, start, end, catchUp }) => ({
    text: JSON.stringify({ ...times, start, end, catchUp }),
    job: jobOf(times, start === undefined ? undefined : { start, ...(end !== undefined && { end }), catchUp }),
  }))
/** Instants by hours and minutes, from the middle of December on. */
const instant = fc
  .integer({ min: 0, max: 50 * 24 * 2 })
  .map((half) => new Date(t('2024-12-15T00:00:00Z').getTime() + (half * HOUR_MS) / 2))
const schedule = fc.constantFrom<ScheduleSpec>(
  { kind: 'cron', cron: '0 5 * * *', timezone: 'Europe/Berlin' },
  { kind: 'cron', cron: '0 */6 * * *', timezone: 'UTC' },
  { kind: 'every', everyMs: 11 * HOUR_MS, anchor: '2025-01-01T00:00:00Z' },
)
const step: fc.Arbitrary<Step> = fc.oneof(
  code.map(({ text, job }) => ({ text: `start ${text}`, act: (world: World) => world.start(job) })),
  code.map(({ text, job }) => ({ text: `plan by ${text}`, act: (world: World) => world.plan(job) })),
  code.map(({ text, job }) => ({
    text: `start and plan by ${text}`,
    act: async (world: World) => {
      await world.start(job)
      await world.plan(job)
    },
  })),
  fc
    .record({
      code,
      from: instant,
      to: instant,
      order: fc.constantFrom('oldest', 'newest'),
      only: fc.constantFrom('all', 'missing', 'failed'),
      steps: fc.integer({ min: 0, max: 2 }),
    })
    .filter(({ from, to }) => from < to)
    .map(({ code: { text, job }, steps, ...request }) => ({
      text: `backfill ${JSON.stringify(request)} by ${text}`,
      act: async (world: World) => {
        await world.backfill(job, request)
        await world.drive(job, steps)
      },
    })),
  code.map(({ text, job }) => ({ text: `drive by ${text}`, act: (world: World) => world.drive(job, 2) })),
  fc.tuple(code, instant).map(([{ text, job }, at]) => ({
    text: `run the window around ${at.toISOString()} by ${text}`,
    act: (world: World) => world.runWindow(job, at),
  })),
  fc.option(schedule).map((spec) => ({
    text: `override ${JSON.stringify(spec)}`,
    act: (world: World) => world.override(spec),
  })),
  fc.constantFrom('15 3 * * *', '{"kind":"every","everyMs":18000000}', 'nonsense').map((text) => ({
    text: `edit the schedule to ${text}`,
    act: (world: World) => world.edit({ schedule: text }),
  })),
  instant.map((at) => ({
    text: `edit the cursor to ${at.toISOString()}`,
    act: (world: World) => world.edit({ window_cursor: at }),
  })),
  fc.constantFrom('succeeded', 'failed', 'cancelled').map((state) => ({
    text: `some windows are ${state}`,
    act: (world: World) => world.settle(state),
  })),
  fc.boolean().map((isPaused) => ({
    text: isPaused ? 'pause' : 'resume',
    act: async (world: World) => void (await world.store.jobs.setPaused('sync', isPaused)),
  })),
  fc.integer({ min: 1, max: 60 }).map((hours) => ({
    text: `${hours} hours pass`,
    act: (world: World) => Promise.resolve(world.clock.advance(hours * HOUR_MS)),
  })),
)

describeEachStore((store) => {
  let clock: ManualClock
  let database: Database

  beforeAll(async () => {
    clock = new ManualClock(NOW)
    database = await store.open({ clock })
  })

  const fresh = async (): Promise<World> => {
    await store.empty()
    clock.advance(t(NOW).getTime() - clock.now())
    return new World(database, clock)
  }

  beforeEach(() => store.empty())

  describe('the windows of a job', () => {
    it('keep their bounds when the schedule changes before the first live window, after a backfill', async () => {
      const windows = { start: '2024-12-31T23:00:00Z', catchUp: 'none' } as const
      const midnight = jobOf({ cron: '0 0 * * *', timezone: 'Europe/Berlin' }, windows)
      const three = jobOf({ cron: '0 3 * * *', timezone: 'Europe/Berlin' }, windows)
      const range = { from: t('2025-01-06T23:00:00Z'), to: t('2025-01-13T23:00:00Z') }
      const world = await fresh()
      await world.start(midnight)
      await world.backfill(midnight, range)
      await world.drive(midnight, 3)
      const before = await world.windows()
      expect(before).toHaveLength(7)
      for (const only of ['missing', 'failed', 'all'] as const) {
        await world.settle('failed')
        await world.start(three)
        await world.backfill(three, { ...range, only })
        await world.drive(three, 3)
        await world.plan(three)
        const after = (await world.windows()).filter(({ start }) => start < range.to)
        expect(after.map(({ start, end }) => [start, end])).toEqual(before.map(({ start, end }) => [start, end]))
      }
      expect(await world.hole({ start: range.from, end: range.to })).toEqual(range.from)
      await world.fill(three)
      expect(await world.hole({ start: t(windows.start), end: t('2025-01-31T00:00:00Z') })).toBeUndefined()
    })

    it('never overlap or leave a gap, whatever is done to the job', { timeout: 600_000 }, async () => {
      await fc.assert(
        fc.asyncProperty(code, fc.array(step, { minLength: 3, maxLength: 12 }), async (first, steps) => {
          const world = await fresh()
          await world.start(first.job)
          const done: string[] = [`start ${first.text}`]
          try {
            for (const { text, act } of steps) {
              done.push(text)
              await act(world)
              await expectSound(world)
            }
            const last = jobOf(TIMES[0], { start: '2024-12-20T00:00:00Z', catchUp: 'none' })
            done.push('fill')
            await world.start(last)
            await world.plan(last)
            await world.fill(last)
            await expectSound(world)
            const windows = await world.windows()
            const inside = windows.filter(({ start }) => start >= t('2024-12-20T00:00:00Z'))
            expectTiles(inside, 'no gaps')
            const [start, end] = [inside[0]?.start, inside.at(-1)?.end]
            if (start && end) expect(await world.hole({ start, end })).toBeUndefined()
          } catch (error) {
            throw new Error(`after:\n${done.join('\n')}`, { cause: error })
          }
        }),
        { numRuns: Number(process.env['PIKO_TEST_RUNS'] ?? 20) },
      )
    })
  })

  describe('a job whose windows.start moves', () => {
    const jobWith = (start: string, options: object = {}) =>
      defineJob(
        { id: 'sync', cron: '0 0 * * *', windows: { start, catchUp: 'all' }, ...options } as { id: string },
        () => undefined,
      )

    it('into the future and back loses no time', async () => {
      const world = await fresh()
      const [code, wrong] = [jobWith('2025-01-20T00:00:00Z'), jobWith('2062-01-20T10:30:00Z')]
      await world.start(code)
      await world.plan(code)
      world.clock.advance(50 * HOUR_MS)
      await world.start(wrong)
      await world.plan(wrong)
      world.clock.advance(50 * HOUR_MS)
      await world.start(code)
      await world.plan(code)
      const windows = await world.windows()
      expectTiles(windows, 'no gaps')
      expect(windows.at(-1)?.end).toEqual(t('2025-02-05T00:00:00Z'))
    })

    it.each([{}, { cron: '0 6 * * *' }])(
      'back from the future before the first window begins there: %j',
      async (options) => {
        const world = await fresh()
        const [wrong, code] = [jobWith('2062-01-20T10:30:00Z'), jobWith('2025-01-20T00:00:00Z', options)]
        await world.start(wrong)
        await world.plan(wrong)
        await world.start(code)
        await world.plan(code)
        const windows = await world.windows()
        expectTiles(windows, 'no gaps')
        expect(windows[0]?.start).toEqual(t('2025-01-20T00:00:00Z'))
        expect(await world.store.windows.summary('sync')).toMatchObject({ start: t('2025-01-20T00:00:00Z'), unrun: [] })
      },
    )
  })
})
