import { performance } from 'node:perf_hooks'
import { PikoError } from '../../errors.ts'
import { clockState, type ManualClock } from '../manual-clock.ts'
import type { Agenda } from './agenda.ts'
import type { AppClock, WorkingLoop } from './app-clock.ts'
import { Changes, nextTurn } from './turns.ts'

/** A test app on a manual clock. */
export interface SteppedApp {
  readonly clock: AppClock
  /** How many runs have begun and have no stored outcome yet. Runs of jobs with items are not counted. */
  readonly underWay: number
  /** How many runs of jobs with items have begun and have no stored outcome yet. */
  readonly itemRuns: number
  /** A number that increases with each outcome and each plan. */
  readonly progress: number
  agenda(nodeIds: readonly string[]): Promise<Agenda>
  readonly nodeIds: readonly string[]
  /** Describes the runs that have begun and have no stored outcome yet, for an error message. */
  left(): Promise<string>
}

/** How long an advance waits in real time for runs that have not ended and are not sleeping on the manual clock, in milliseconds. */
const PATIENCE_MS = 60_000
/**
 * The first jump while the app only polls for something. While nothing happens, each jump is twice as long as the previous one, up to a
 * maximum.
 */
const FIRST_POLL_MS = 20
const LONGEST_POLL_MS = 3_600_000

/** The loops that poll for work, because it is not known in advance when there is work. */
const POLLING: readonly WorkingLoop[] = [
  'dependencies',
  'backfills',
  'batches',
  'item-dispatcher',
  'item-waits',
  'item-sweeper',
]

interface Outlook {
  /** The next instant at which something can happen, in epoch milliseconds. */
  readonly nextAt: number
  readonly agendas: readonly (readonly [SteppedApp, Agenda])[]
  readonly hasForeign: boolean
}

/**
 * Moves a manual clock. It jumps from one instant at which something is due to the next, and after each jump waits until all apps of the
 * clock have settled.
 */
export class Advance {
  readonly changes = new Changes()
  readonly apps = new Set<SteppedApp>()
  readonly #manual: ManualClock
  #running: Promise<void> = Promise.resolve()
  #pollMs = FIRST_POLL_MS

  constructor(manual: ManualClock) {
    this.#manual = manual
  }

  /**
   * Advances the clock. Several advances are executed one after another.
   *
   * @param to epoch milliseconds
   */
  run(to: () => number): Promise<void> {
    const run = this.#running.then(() => this.#advance(to()))
    this.#running = run.catch(() => {})
    return run
  }

  async #advance(to: number): Promise<void> {
    let keptUntil = -Infinity
    try {
      for (;;) {
        const { nextAt, agendas, hasForeign } = await this.#settled()
        const now = this.#manual.now()
        if (now >= to) break
        const target = Math.min(Math.max(nextAt, now + 1), to)
        const isAlone = this.apps.size === 1 && !hasForeign
        const isKept = isAlone && keptUntil >= target
        if (!isKept) keptUntil = isAlone ? to : target
        for (const { clock } of this.apps) await clock.keepFor(keptUntil - now, isKept)
        this.#jump(target - now)
        this.#wakeFor(agendas, target)
      }
    } finally {
      for (const { clock } of this.apps) {
        if (keptUntil > this.#manual.now()) await clock.keepFor(0)
        clock.wakeDue()
      }
    }
    await this.#settled()
  }

  #jump(ms: number): void {
    for (const { clock } of this.apps) clock.isStepping = true
    try {
      this.#manual.advance(ms)
    } finally {
      for (const { clock } of this.apps) clock.isStepping = false
    }
  }

  #wakeFor(agendas: Outlook['agendas'], now: number): void {
    for (const [{ clock }, agenda] of agendas) {
      if (agenda.planAt <= now) clock.wake('planner')
      if (agenda.runAt <= now) clock.claim()
      if (agenda.configAt <= now) clock.wake('config-watcher')
      if (agenda.leaseAt < now) clock.wake('recovery')
      if ((agenda.items?.dueAt ?? Infinity) <= now) clock.wake('item-dispatcher')
      for (const name of POLLING) if ((clock.untilOf(name) ?? Infinity) <= now && polls(name, agenda)) clock.wake(name)
    }
  }

  /** Resolves when nothing can happen until the clock moves. */
  async #settled(): Promise<Outlook> {
    let tried = ''
    let progress = this.#progress
    let since = performance.now()
    for (;;) {
      if (progress !== this.#progress) {
        progress = this.#progress
        since = performance.now()
        this.#pollMs = FIRST_POLL_MS
      }
      if (performance.now() - since > PATIENCE_MS) throw await this.#stuck()
      await nextTurn()
      if (!this.#isQuiet) {
        await this.changes.next()
        continue
      }
      const nodeIds = [...this.apps].flatMap((app) => app.nodeIds)
      const apps = [...this.apps]
      const agendas = await Promise.all(apps.map(async (app) => [app, await app.agenda(nodeIds)] as const))
      if (progress !== this.#progress || !this.#isQuiet) continue
      if (this.#isAtWork(agendas)) {
        await this.changes.next()
        continue
      }
      const now = this.#manual.now()
      const due = agendas.filter(([, agenda]) => dueOf(agenda, now) !== '')
      const found = `${progress} ${due.map(([, agenda]) => dueOf(agenda, now)).join()}`
      if (due.length === 0 || found === tried) return this.#outlook(agendas, due.length > 0)
      tried = found
      this.#wakeFor(due, now)
    }
  }

  #outlook(agendas: Outlook['agendas'], isBlocked: boolean): Outlook {
    const now = this.#manual.now()
    const instants = agendas.flatMap(([{ clock }, { planAt, nextRunAt, configAt, leaseAt, items }]) => [
      planAt,
      nextRunAt,
      configAt,
      leaseAt + 1,
      clock.deadlineAt,
      items?.nextDueAt ?? Infinity,
      ...(isBlocked ? [clock.untilOf('dispatcher') ?? Infinity] : []),
    ])
    let nextAt = clockState(this.#manual).nextAt()
    for (const at of instants) if (at > now) nextAt = Math.min(nextAt, at)
    let pollAt = Infinity
    for (const [{ clock }, agenda] of agendas)
      for (const name of POLLING) {
        const until = clock.untilOf(name)
        if (until !== undefined && polls(name, agenda)) pollAt = Math.min(pollAt, until)
      }
    if (pollAt < Infinity) {
      nextAt = Math.min(nextAt, Math.max(pollAt, now + this.#pollMs))
      this.#pollMs = Math.min(LONGEST_POLL_MS, this.#pollMs * 2)
    }
    return { nextAt, agendas, hasForeign: agendas.some(([, { leaseAt }]) => leaseAt < Infinity) }
  }

  /**
   * Whether something is at work: claimed runs that have not begun, runs or items that are not sleeping on the clock, or runs whose items
   * have all ended.
   */
  #isAtWork(agendas: Outlook['agendas']): boolean {
    let awake = -clockState(this.#manual).runsAsleep()
    for (const [{ underWay, itemRuns }, { runningHere, items }] of agendas) {
      if (this.apps.size === 1 && runningHere > underWay + itemRuns) return true
      if (itemRuns > 0 && items?.dueAt === Infinity && items.running === 0) return true
      awake += underWay + (items?.running ?? 0)
    }
    return awake > 0
  }

  get #progress(): number {
    let progress = 0
    for (const app of this.apps) progress += app.progress
    return progress
  }

  /** Whether no loop is working, no timeout of a run is due, and all runs are sleeping on the clock or waiting for their items. */
  get #isQuiet(): boolean {
    const now = this.#manual.now()
    let awake = -clockState(this.#manual).runsAsleep()
    for (const { clock, underWay } of this.apps) {
      if (clock.isBusy || clock.deadlineAt <= now) return false
      awake += underWay
    }
    return awake <= 0
  }

  async #stuck(): Promise<PikoError> {
    const parts = await Promise.all([...this.apps].map((app) => app.left()))
    return new PikoError(
      'TIMEOUT',
      `app.advance waited ${PATIENCE_MS / 1_000} s for runs that neither end nor sleep on the clock at ${new Date(this.#manual.now()).toISOString()}: ` +
        `${parts.join('; ')}; wait with clock.sleep or ctx.until in them, or make them end`,
    )
  }
}

/** Describes the instants at which work is already due. */
function dueOf({ planAt, runAt, leaseAt, items }: Agenda, now: number): string {
  return [planAt, runAt, leaseAt + 1, items?.dueAt ?? Infinity].filter((at) => at <= now).join(' ')
}

/** Whether a loop polls for work whose time is not known in advance. */
function polls(loop: WorkingLoop, { backfills, batches, waiting, items }: Agenda): boolean {
  switch (loop) {
    case 'backfills':
      return backfills > 0
    case 'batches':
      return batches > 0
    case 'dependencies':
      return waiting > 0
    case 'item-dispatcher':
    case 'item-waits':
    case 'item-sweeper':
      return items !== undefined && items.dueAt < Infinity
    default:
      return false
  }
}
