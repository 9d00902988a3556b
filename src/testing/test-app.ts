import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { checkedOptions } from '../app/check-options.ts'
import { Piko } from '../app/piko.ts'
import type { PikoOptions } from '../app/piko-options.ts'
import { checkedCall } from '../call-options.ts'
import { systemClock } from '../clock.ts'
import { describe, PikoError } from '../errors.ts'
import { isObject } from '../errors-read.ts'
import { wantRunSignals } from '../offload/signal.ts'
import { type Duration, durationMs } from '../time/duration.ts'
import { aDuration } from '../time/duration-check.ts'
import { type InstantInput, instantOf } from '../time/instant.ts'
import { assertRealTimers } from './fake-timers.ts'
import { ManualClock } from './manual-clock.ts'
import { Advance, type SteppedApp } from './app/advance.ts'
import { type Agenda, readAgenda } from './app/agenda.ts'
import { AppClock } from './app/app-clock.ts'
import { Changes } from './app/turns.ts'

export interface TestAppOptions extends PikoOptions {
  readonly jobs: NonNullable<PikoOptions['jobs']>
}

/** How far to move the clock: a duration, a number of milliseconds, or the instant to reach. */
export type AdvanceBy = Duration | number | { readonly to: InstantInput }

/**
 * Starts an app for a test, with an embedded store in a new temporary folder. It writes no log lines and has short poll intervals. `stop()`
 * (or `await using`) stops the app and removes the folder.
 *
 * With a `ManualClock`, everything follows that clock, even in the database: due times, retries, leases and so on. `app.advance` moves it.
 *
 * @throws PikoError `USAGE`, which includes fake timers of a test runner; the errors of `app.start()`
 * @example
 * await using app = await startTestApp({ jobs: [syncOrders] })
 * const run = await app.run('sync_orders', { config: { shop: 'us' }, wait: true })
 * expect(run.output).toEqual({ rows: 3 })
 */
export async function startTestApp(options: TestAppOptions): Promise<TestApp> {
  checkedOptions(options)
  assertRealTimers('startTestApp')
  const folder = await mkdtemp(join(tmpdir(), 'piko-test-'))
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true })
  const { piko, ...sections } = options.settings ?? {}
  const app = new TestApp(
    {
      ...options,
      settings: {
        sqlite: { path: join(folder, 'piko.db') },
        ...sections,
        piko: { log_level: 'silent', poll_interval: '50ms', block_threshold: '0s', max_block: '0s', ...piko },
      },
    },
    remove,
  )
  try {
    await app.start()
  } catch (error) {
    await remove()
    throw error
  }
  return app
}

/** The maximum number of runs that an error names. */
const MAX_SHOWN = 20

/** The advance of each clock. All apps with the same clock move together. */
const advances = new WeakMap<ManualClock, Advance>()

function advanceOf(clock: ManualClock): Advance {
  const known = advances.get(clock)
  if (known) return known
  const advance = new Advance(clock)
  advances.set(clock, advance)
  return advance
}

/** A running app of a test; see `startTestApp`. */
export class TestApp extends Piko {
  readonly #remove: () => Promise<void>
  readonly #stepped: Stepped | undefined

  /** @internal */
  constructor(options: PikoOptions, remove: () => Promise<void>) {
    const { clock } = options
    const changes = clock instanceof ManualClock ? advanceOf(clock).changes : new Changes()
    const appClock = clock instanceof ManualClock ? new AppClock(clock, changes.tell) : undefined
    super({ ...options, ...(appClock && { clock: appClock }) })
    this.#remove = remove
    this.#stepped = appClock && new Stepped(this, appClock, changes, options)
  }

  override async start(options?: Parameters<Piko['start']>[0]): Promise<void> {
    // The signals show to which run a sleep on the clock belongs.
    if (this.#stepped) wantRunSignals()
    await super.start(options)
    this.#stepped?.begin()
  }

  override async stop(): Promise<void> {
    this.#stepped?.end()
    await super.stop()
    await this.#remove()
  }

  /**
   * Resolves when no run of this app's jobs is running, and no queued run and no tick is due. Does not move the clock.
   *
   * @param options.within the maximum wait in real time. Default `'30s'`
   * @throws PikoError `TIMEOUT` that names the runs that are left
   * @example await app.drain()
   */
  async drain(options: { readonly within?: Duration } = {}): Promise<void> {
    const { within } = checkedCall('app.drain', { within: aDuration(1) }, options)
    assertRealTimers('app.drain')
    const limitMs = within === undefined ? DRAIN_MS : durationMs(within)
    const until = performance.now() + limitMs
    const changes = new Changes()
    const off = this.events.on('run.settled', changes.tell)
    try {
      for (;;) {
        const now = (this.#stepped?.clock ?? systemClock).now()
        const agenda = await readAgenda(this.sql, {
          ...{ now, nodeIds: [], jobIds: this.registry.ids },
          hasItems: [...this.registry].some(({ policy }) => policy.items !== undefined),
        })
        if (agenda.running === 0 && agenda.runAt > now && agenda.planAt > now) return
        if (performance.now() > until) throw await this.#notDrained(limitMs)
        if (agenda.runAt <= now) this.#stepped?.clock.claim()
        if (agenda.planAt <= now) this.#stepped?.clock.wake('planner')
        await changes.next()
      }
    } finally {
      off()
    }
  }

  async #notDrained(limitMs: number): Promise<PikoError> {
    const ids = new Set(this.registry.ids)
    const now = (this.#stepped?.clock ?? systemClock).now()
    const [running, queued] = await Promise.all([
      this.runs.list({ state: 'running', limit: MAX_SHOWN }),
      this.runs.list({ state: 'queued', limit: MAX_SHOWN }),
    ])
    const left = [...running, ...queued.filter(({ runAt }) => runAt.getTime() <= now)].filter(({ jobId }) =>
      ids.has(jobId),
    )
    const names = left.map(({ id, jobId, state }) => `run ${id} of job "${jobId}" is ${state}`)
    return new PikoError(
      'TIMEOUT',
      `app.drain waited ${limitMs} ms, and these are left: ${names.join(', ') || 'a tick that is not planned'}`,
      { details: { runs: left.map(({ id }) => id) } },
    )
  }

  /**
   * Moves the app's `ManualClock`. It stops at each instant at which something is due, and waits until everything that is due has been
   * planned and has run. It does not wait for runs that are sleeping on the clock. All test apps of this process on the same clock move
   * together.
   *
   * @param by a duration such as `'365d'`, milliseconds, or `{ to: instant }`
   * @throws PikoError `USAGE`; `TIMEOUT` if runs have not ended and are not sleeping on the clock
   * @example await app.advance('1d')
   */
  async advance(by: AdvanceBy): Promise<void> {
    const stepped = this.#stepped
    if (!stepped) {
      throw new PikoError('USAGE', 'app.advance needs a clock: startTestApp({ clock: new ManualClock(), … })')
    }
    assertRealTimers('app.advance')
    const { manual } = stepped.clock
    const to = isObject(by) ? instantOf('app.advance: to', by.to).getTime() : undefined
    const ms = isObject(by) ? 0 : typeof by === 'number' ? by : durationMs(by, 'app.advance')
    const isBack = to === undefined ? !(ms >= 0) : to < manual.now()
    if (isBack || (to === undefined && !Number.isFinite(ms))) {
      throw new PikoError(
        'USAGE',
        `app.advance got ${describe(by)}; expected a duration, milliseconds of 0 or more, or { to } with an instant that is not before ${new Date(manual.now()).toISOString()}`,
      )
    }
    await advanceOf(manual).run(() => to ?? manual.now() + ms)
  }
}

/** How long `drain` waits by default, in milliseconds. */
const DRAIN_MS = 30_000

/** The part of an app that an advance of the clock uses. */
class Stepped implements SteppedApp {
  readonly clock: AppClock
  readonly #app: Piko
  readonly #options: PikoOptions
  readonly #nodeIds = new Set<string>()
  readonly #withItems = new Set<string>()
  progress = 0

  constructor(app: Piko, clock: AppClock, changes: Changes, options: PikoOptions) {
    this.clock = clock
    this.#app = app
    this.#options = options
    const happened = (): void => {
      this.progress += 1
      changes.tell()
    }
    app.events.on('run.settled', happened)
    app.events.on('runs.planned', happened)
    app.events.on('node.started', ({ nodeId }) => this.#nodeIds.add(nodeId))
    app.events.on('node.lost', ({ newNodeId }) => this.#nodeIds.add(newNodeId))
  }

  begin(): void {
    for (const { id, policy } of this.#app.registry) if (policy.items) this.#withItems.add(id)
    const { execute = true, plan = true } = this.#options
    if (execute) this.clock.expect('dispatcher', 'recovery', ...(plan ? (['planner'] as const) : []))
    advanceOf(this.clock.manual).apps.add(this)
  }

  end(): void {
    advanceOf(this.clock.manual).apps.delete(this)
    this.clock.close()
  }

  get underWay(): number {
    return this.#app.runsUnderWay.length - this.itemRuns
  }

  get itemRuns(): number {
    if (this.#withItems.size === 0) return 0
    return this.#app.runsUnderWay.filter(({ jobId }) => this.#withItems.has(jobId)).length
  }

  get nodeIds(): readonly string[] {
    return [...this.#nodeIds]
  }

  async agenda(nodeIds: readonly string[]): Promise<Agenda> {
    const { execute = true, plan = true } = this.#options
    const agenda = await readAgenda(this.#app.sql, {
      now: this.clock.now(),
      jobIds: this.#app.registry.ids,
      nodeIds,
      hasItems: this.#withItems.size > 0,
    })
    return {
      ...agenda,
      ...(!(execute && plan) && { planAt: Infinity }),
      ...(!execute && { runAt: Infinity, leaseAt: Infinity }),
    }
  }

  left(): Promise<string> {
    const runs = this.#app.runsUnderWay.map(({ runId, jobId }) => `run ${runId} of job "${jobId}"`)
    return Promise.resolve(runs.length > 0 ? runs.join(', ') : 'none is running')
  }
}
