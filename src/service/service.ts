import { stackOf } from '../errors-read.ts'
import { type Duration, durationMs } from '../time/duration.ts'
import { Background } from './background.ts'
import type { TaskInfo } from './background-tasks.ts'
import { systemClock, type Clock } from '../clock.ts'
import { declaredOn } from './decorators.ts'
import { ExitStack } from './exit-stack.ts'
import { serviceInvalid } from './invalid.ts'
import { Lifecycle } from './lifecycle.ts'
import type { LifecycleHooks, StopReason } from './lifecycle-parts.ts'
import type { ServiceObserver } from './observer.ts'
import type { ServiceState } from './service-state.ts'
import { assertOptions, SERVICE_CHECKS } from './service-options.ts'
import { ServiceTree } from './service-tree.ts'
import {
  crontabSchedule,
  type CrontabOptions,
  firstDelayMs,
  intervalOf,
  type TimerOptions,
  type TimerStats,
} from './timer.ts'
import type { StopLimit } from './stop-limit.ts'
import { TreeLogger } from './tree-log.ts'
import type { Logger } from '../logger.ts'

/** The options of a service. Services below it inherit `log`, `clock` and `taskGrace`, unless they have their own. */
export interface ServiceOptions {
  /** The name of the service. Default: the name of its class. */
  readonly name?: string
  readonly log?: Logger
  readonly clock?: Clock
  /** Observes this service and all services below it; see {@link Service.observe}. */
  readonly observer?: ServiceObserver
  /** How long a stop waits for background tasks to end. Default `'5s'`. */
  readonly taskGrace?: Duration
  /**
   * How long a stop of this service and all services below it may take. If a step still hangs after this time, the stop continues without
   * it and rejects with `STOP_INCOMPLETE`. Default: no limit.
   */
  readonly stopTimeout?: Duration
}

const DEFAULT_TASK_GRACE_MS = 5_000

// Long because users extend this class, and its comments are their manual. Other files of this folder do the work.

let created = 0

/**
 * A part of the process that starts, stops and can crash, with its child services.
 *
 * States and moves:
 *
 *     init ──▶ starting ──▶ running ──▶ stopping ──▶ stopped ──▶ starting (start again, restart)
 *                 │ └───────────┼──────────▲ │ ▲          ▲
 *                 ▼             ▼            ▼ │          │
 *              crashed ◀──── crashed       crashed ───────┘
 *                 └── stop() cleans up: ──▶ stopping
 *
 * - `stopped` always means that everything is undone; `crashReason` says whether the service crashed before.
 * - A crash aborts the signal but stops nothing automatically. During a start, `start` rejects after the service has cleaned up. While the
 * service runs, the parent handles the crash: it crashes too unless it is a `Supervisor`. During a stop, `stop` continues and rejects at
 * the end.
 *
 * Hooks, all optional, in this order (in Python's library `mode`: `on_first_start, on_start, on_started, on_stop, on_shutdown,
 * on_restart`):
 *
 * - start: `onFirstStart` (the first time only), then `onStart`, then the background tasks. Then the children start in the order they were
 * added, each completely before the next. Last comes `onStarted`.
 * - stop: the signal aborts, then `onStop`. The children stop in reverse order, the background tasks end, the exit stack closes in reverse
 * order. Last comes `onStopped`. After a failed step, the next ones still run.
 * - restart: stop, `onRestart`, start.
 *
 * A start that failed in `onStart` or before calls neither `onStop` nor `onStopped`. Use `defer` or `use` for what `onStart` opens step by
 * step. Don't await `stop` or `restart` in a background task of the same service: they wait for that task.
 */
export abstract class Service implements AsyncDisposable {
  /** The id of the service, unique in the process. */
  readonly id = `s${++created}`
  readonly #options: ServiceOptions
  readonly #observers = new Set<ServiceObserver>()
  readonly #tree = new ServiceTree<Service>(this)
  readonly #exits = new ExitStack()
  readonly #life: Lifecycle
  /** The children that the last `onStart` has added. */
  readonly #ofStart = new Set<Service>()
  #isInOnStart = false
  /** The background work since the last start. */
  #background: Background | undefined

  /** The log of this service. Each line begins with its position in the tree. Inherited; writes nothing if no ancestor has a log. */
  readonly log: Logger = new TreeLogger(this, () => this.#tree.inherited((service) => service.#options.log))

  /** @throws PikoError `SERVICE_INVALID` naming every wrong option */
  constructor(options: ServiceOptions = {}) {
    assertOptions({ name: new.target.name, isOpen: true }, options, SERVICE_CHECKS)
    this.#options = options
    if (options.observer) this.#observers.add(options.observer)
    this.#life = new Lifecycle({
      hooks: this.#hooks(),
      events: {
        moved: (from, to, reason) => this.#tell((observer) => observer.stateChanged?.(this, from, to, reason)),
        restarted: (reason) => this.#tell((observer) => observer.restarted?.(this, reason)),
        stuck: (task, waitedMs) => this.#tell((observer) => observer.taskStuck?.(this, task, waitedMs)),
        crashedRunning: (reason) => this.parent?.onChildCrash(this, reason),
      },
      self: this,
      path: () => this.path,
      clock: () => this.clock,
      children: () => this.#tree.children,
      graceMs: () => this.#taskGraceMs(),
      stopTimeoutMs: () =>
        options.stopTimeout === undefined ? undefined : durationMs(options.stopTimeout, 'stopTimeout'),
      stopLimit: () => this.#stopLimit(),
      begin: (signal) => (this.#background = this.#newBackground(signal)),
      launchDeclared: (background) => background.declared(this, declaredOn(this)),
      closeExits: () => this.#exits.close(),
    })
  }

  #hooks(): LifecycleHooks {
    return {
      onFirstStart: () => this.onFirstStart(),
      onStart: () => this.#startOwn(),
      onStarted: () => this.onStarted(),
      onStop: (why) => this.onStop(why),
      onStopped: () => this.onStopped(),
      onRestart: () => this.onRestart(),
    }
  }

  /** Calls `onStart`. First removes the children that the last `onStart` has added, because the new call adds its own. */
  async #startOwn(): Promise<void> {
    for (const child of this.#ofStart) if (child.parent === this) this.#tree.release(child.#tree)
    this.#ofStart.clear()
    this.#isInOnStart = true
    try {
      await this.onStart()
    } finally {
      this.#isInOnStart = false
    }
  }

  #adopt(child: Service): void {
    this.#tree.adopt(child.#tree)
    if (this.#isInOnStart) this.#ofStart.add(child)
  }

  // The following methods are hooks for subclasses.

  protected onFirstStart(): unknown {
    return undefined
  }

  protected onStart(): unknown {
    return undefined
  }

  protected onStarted(): unknown {
    return undefined
  }

  /**
   * Called when the service stops.
   *
   * @param _why `'crash'`: the service cleans up after a crash, and may start again
   */
  protected onStop(_why?: StopReason): unknown {
    return undefined
  }

  protected onStopped(): unknown {
    return undefined
  }

  protected onRestart(): unknown {
    return undefined
  }

  /** Called when a child crashes while it runs. Unless this service is a supervisor, it crashes for the same reason. */
  protected onChildCrash(_child: Service, reason: Error): void {
    this.crash(reason)
  }

  // Methods for identity and state.

  /** The name of the service for people; it need not be unique. */
  get name(): string {
    return this.#options.name ?? this.constructor.name
  }

  /** The kind of service, which decides its shape in the graph. */
  get kind(): 'service' | 'supervisor' | 'worker' {
    return 'service'
  }

  get state(): ServiceState {
    return this.#life.state
  }

  get isRunning(): boolean {
    return this.state === 'running'
  }

  /** Whether a stop or a crash has begun. False again after the next start. */
  get shouldStop(): boolean {
    return this.signal.aborted
  }

  /** Why the service crashed. Kept until the next start. */
  get crashReason(): Error | undefined {
    return this.#life.crashReason
  }

  /** Aborts when the service stops or crashes; its reason says which. The next start then creates a new one. */
  get signal(): AbortSignal {
    return this.#life.signal
  }

  /** How often the service was restarted by `restart` or a supervisor, including the restarts of the instances that it replaced. */
  get restarts(): number {
    return this.#life.restarts
  }

  get parent(): Service | undefined {
    return this.#tree.parent
  }

  get children(): readonly Service[] {
    return this.#tree.children
  }

  /** Services that this one needs in addition to its children. Only shown in the graph. */
  get dependencies(): readonly Service[] {
    return this.#tree.dependencies
  }

  /** The distance from the root. The root has 0. */
  get depth(): number {
    return this.#tree.depth
  }

  /** The names from the root to this service: `Worker/App/Cache`. */
  get path(): string {
    return this.#tree.path
  }

  /** The running background tasks. */
  get tasks(): readonly TaskInfo[] {
    return this.#life.background?.running ?? []
  }

  /** The timers and crontabs since the last start. */
  get timerStats(): readonly TimerStats[] {
    return this.#background?.timerStats ?? []
  }

  /** The clock of this tree. */
  get clock(): Clock {
    return this.#tree.inherited((service) => service.#options.clock) ?? systemClock
  }

  // Methods for start and stop.

  /**
   * Starts this service and its children. Resolves when all are running.
   *
   * @throws the reason of a crash, after everything already started has stopped again; PikoError `STOPPED` if it was stopped during the
   * start; `SERVICE_INVALID` if it is neither new nor stopped
   */
  start(): Promise<void> {
    return this.#life.start()
  }

  /** Starts the service unless it is already starting or running. @returns whether it did */
  async maybeStart(): Promise<boolean> {
    if (this.state === 'starting' || this.state === 'running') return false
    await this.start()
    return true
  }

  /**
   * Stops this service and its children, and closes what they have opened. Also cleans up after a crash. Resolves immediately if there is
   * nothing to stop. A start or restart that is in progress is given up.
   *
   * @throws the error of a failed step, after the other steps; an `AggregateError` of several
   */
  stop(): Promise<void> {
    return this.#life.stop()
  }

  /**
   * Stops the service if necessary, and starts it again.
   *
   * @throws the errors of `stop` and `start`; PikoError `STOPPED` if `stop` was called during the restart
   */
  restart(): Promise<void> {
    return this.#life.restart()
  }

  /** Reports that the service can't continue. Ignored before its start, and after it has crashed or stopped. */
  crash(reason: unknown): void {
    this.#life.crash(reason)
  }

  /** Resolves when the service has stopped. Rejects with the reason if it crashes. */
  waitUntilStopped(): Promise<void> {
    return this.#life.waitUntilStopped()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  /**
   * Reports all changes of this service and its descendants to an observer.
   *
   * @returns a function that removes the observer
   */
  observe(observer: ServiceObserver): () => void {
    this.#observers.add(observer)
    return () => void this.#observers.delete(observer)
  }

  // Methods for the tree.

  /**
   * Adds a child that starts and stops with this service. If `onStart` adds a child, the child is removed before the next start, which adds
   * it again or adds another one. For a service that is already running, use {@link startChild}.
   *
   * @throws PikoError `SERVICE_INVALID` if the children have already started, or the child already has a parent
   */
  addChild<S extends Service>(child: S): S {
    if (!this.#life.takesChildren) {
      throw serviceInvalid(
        this.path,
        `addChild(${child.name}) was called after its children had started; use await startChild(…)`,
      )
    }
    this.#adopt(child)
    return child
  }

  /**
   * Adds a child. If the other children have already started, also starts this one and waits for it.
   *
   * @throws the error of the child's start; the child is then removed again
   */
  async startChild<S extends Service>(child: S): Promise<S> {
    this.#adopt(child)
    if (!this.#life.isPastChildren) return child
    try {
      await child.maybeStart()
    } catch (error) {
      this.#tree.release(child.#tree)
      throw error
    }
    return child
  }

  /** Stops a child and removes it. Has no effect if it is not a child of this service. */
  async removeChild(child: Service): Promise<void> {
    if (child.parent !== this) return
    try {
      await child.stop()
    } finally {
      this.#tree.release(child.#tree)
    }
  }

  /** Declares services that this one needs in addition to its children. Only the graph uses this; the order of starts does not change. */
  dependsOn(...services: readonly Service[]): this {
    this.#tree.needs(services)
    return this
  }

  // For subclasses: work and resources that last from a start to the next stop.

  /**
   * Waits for this time. Returns early if the service stops or crashes.
   *
   * @param time a duration, or a number of milliseconds
   * @returns true if the whole time has passed: `while (await this.sleep('1s')) …`
   */
  async sleep(time: Duration | number): Promise<boolean> {
    const { signal } = this
    await this.clock.sleep(typeof time === 'number' ? time : durationMs(time, 'sleep'), signal)
    return !signal.aborted
  }

  /** Adds a callback for the stop. Callbacks are called in reverse order, after the children and the tasks have ended. */
  defer(callback: () => unknown): void {
    this.#exits.defer(callback)
  }

  /** Adds a resource that the stop disposes of, in reverse order. @returns the same resource */
  use<D extends Disposable | AsyncDisposable>(disposable: D): D {
    this.#exits.defer(() =>
      Symbol.asyncDispose in disposable ? disposable[Symbol.asyncDispose]() : disposable[Symbol.dispose](),
    )
    return disposable
  }

  /**
   * Runs the function in the background until the next stop. For a function that runs after every start, use `@task`.
   *
   * @throws PikoError `SERVICE_INVALID` if the service is neither starting nor running
   */
  addTask(body: (signal: AbortSignal) => unknown, name = body.name || 'task'): void {
    this.#living('addTask').task(name, body)
  }

  /** Like `@timer`, until the next stop. @throws PikoError `SERVICE_INVALID`, `DURATION_INVALID`; `RangeError` as `@timer` does */
  addTimer(
    every: Duration,
    body: (signal: AbortSignal) => unknown,
    options: TimerOptions & { name?: string } = {},
  ): void {
    const intervalMs = intervalOf(every, 'addTimer')
    const name = options.name ?? (body.name || 'timer')
    this.#living('addTimer').timer(name, every, intervalMs, firstDelayMs(intervalMs, options, 'addTimer'), body)
  }

  /** Like `@crontab`, until the next stop. @throws PikoError `SERVICE_INVALID`, `SCHEDULE_INVALID` */
  addCrontab(
    expression: string,
    body: (signal: AbortSignal) => unknown,
    options: CrontabOptions & { name?: string } = {},
  ): void {
    const schedule = crontabSchedule(expression, options, 'addCrontab')
    const name = options.name ?? (body.name || 'crontab')
    this.#living('addCrontab').crontab(name, expression, schedule, body)
  }

  /** Replaces a crashed child. The new child continues the restart count. @internal */
  protected replaceChild(old: Service, successor: Service): void {
    this.#tree.replace(old.#tree, successor.#tree)
    successor.#life.inherit(old.#life)
  }

  #newBackground(signal: AbortSignal): Background {
    return new Background({
      signal,
      clock: () => this.clock,
      failed: (error) => this.crash(error),
      skipped: (timer, count) => this.#tell((observer) => observer.timerSkipped?.(this, timer, count)),
    })
  }

  #stopLimit(): StopLimit | undefined {
    return this.#tree.inherited((service) => service.#life.ownLimit)
  }

  #taskGraceMs(): number {
    const grace = this.#tree.inherited((service) => service.#options.taskGrace)
    return grace === undefined ? DEFAULT_TASK_GRACE_MS : durationMs(grace, 'taskGrace')
  }

  #tell(event: (observer: ServiceObserver) => void): void {
    for (const service of this.#tree.lineage()) {
      for (const observer of service.#observers) {
        try {
          event(observer)
        } catch (thrown) {
          process.emitWarning(`an observer of service ${this.path} failed: ${stackOf(thrown)}`, 'PikoServiceWarning')
        }
      }
    }
  }

  #living(method: string): Background {
    const { background, isLive } = this.#life
    if (background && isLive) return background
    throw serviceInvalid(
      this.path,
      `${method}() was called while it is ${this.state}; expected starting or running; call it in onStart, or use a decorator`,
    )
  }
}
