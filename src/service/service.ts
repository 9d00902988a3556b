import { stackOf } from '../errors-read.ts'
import { isPikoError, PikoError, toError } from '../errors.ts'
import { type Duration, durationMs } from '../time/duration.ts'
import { type Schedule } from '../time/schedule.ts'
import { BackgroundTasks, isCancellation, type TaskInfo } from './background-tasks.ts'
import { systemClock, type Clock } from '../clock.ts'
import { declaredOn } from './decorators.ts'
import { ExitStack } from './exit-stack.ts'
import { serviceInvalid } from './invalid.ts'
import { type ServiceObserver } from './observer.ts'
import { isLegalMove, type ServiceState } from './service-state.ts'
import {
  crontabSchedule,
  type CrontabOptions,
  intervalOf,
  runCrontab,
  runTimer,
  type TimerOptions,
  TimerRecord,
  type TimerStats,
} from './timer.ts'
import { StopLimit } from './stop-limit.ts'
import { TreeLogger } from './tree-log.ts'
import { type Logger } from '../logger.ts'

/** `log`, `clock` and `taskGrace` are inherited by the services below that have none of their own. */
export interface ServiceOptions {
  /** Default: the name of the class. */
  readonly name?: string
  readonly log?: Logger
  readonly clock?: Clock
  /** Is told of this service and of all below it; see {@link Service.observe}. */
  readonly observer?: ServiceObserver
  /** How long a stop waits for background tasks to end. Default `'5s'`. */
  readonly taskGrace?: Duration
  /**
   * How long a stop of this service and of all below it may take. A step that hangs longer is left behind; the rest is
   * stopped, and the stop rejects with `STOP_INCOMPLETE` for each. Default: no limit.
   */
  readonly stopTimeout?: Duration
}

const DEFAULT_TASK_GRACE_MS = 5_000

let created = 0

/**
 * A part of the process that starts, stops and can crash, with its parts below it.
 *
 * States and moves:
 *
 *     init ──▶ starting ──▶ running ──▶ stopping ──▶ stopped ──▶ starting (start again, restart)
 *                 │ └───────────┼──────────▲ │ ▲          ▲
 *                 ▼             ▼            ▼ │          │
 *              crashed ◀──── crashed       crashed ───────┘
 *                 └── stop() cleans up: ──▶ stopping
 *
 * - `stopped` always means that everything is undone; `crashReason` tells whether it crashed before.
 * - A crash aborts the signal and stops nothing by itself. It is handed to whoever answers for the service: while it
 *   starts to the caller of `start`, which rejects once the service has cleaned up; while it runs to the parent, which
 *   crashes too unless it is a `Supervisor`; while it stops to the caller of `stop`, which goes on and rejects at the end.
 *
 * Hooks, all optional, in this order (the names in mode: `on_first_start, on_start, on_started, on_stop, on_shutdown,
 * on_restart`):
 *
 * - start: `onFirstStart` (the first time only), `onStart`, then the background tasks are launched, the children are
 *   started in the order they were added, each fully, then `onStarted`.
 * - stop: the signal aborts, `onStop`, the children are stopped in reverse, background tasks are awaited, the exit stack
 *   is closed in reverse, `onStopped`. A failure of one step does not keep the next from running.
 * - restart: stop, `onRestart`, start.
 *
 * A start that failed before `onStart` was done calls neither `onStop` nor `onStopped`: what `onStart` opens step by step
 * belongs in `defer` or `use`. Don't await `stop` or `restart` in a background task of the same service: they wait for
 * that task.
 */
export abstract class Service implements AsyncDisposable {
  /** Unique in the process. */
  readonly id = `s${++created}`
  readonly #options: ServiceOptions
  readonly #observers = new Set<ServiceObserver>()
  readonly #children: Service[] = []
  readonly #dependencies = new Set<Service>()
  readonly #exits = new ExitStack()
  #parent: Service | undefined
  #state: ServiceState = 'init'
  #crashReason: Error | undefined
  #abort = new AbortController()
  #tasks: BackgroundTasks | undefined
  #timers: TimerRecord[] = []
  #waiters: PromiseWithResolvers<void>[] = []
  #restarts = 0
  #hasStartedOnce = false
  #isOpen = false
  #takesChildren = true
  #stopRequests = 0
  /** Settles when the steps of a start are over, however they ended; never rejects. */
  #bringingUp: Promise<void> | undefined
  #startingChild: Service | undefined
  #halting: Promise<void> | undefined
  #restarting: Promise<void> | undefined
  #stopFailures: Error[] = []
  #stopLimit: StopLimit | undefined

  /** What the service is allowed to log: each line begins with its place in the tree. Inherited; silent without any. */
  readonly log: Logger = new TreeLogger(this, () => this.#inherited((service) => service.#options.log))

  constructor(options: ServiceOptions = {}) {
    this.#options = options
    if (options.observer) this.#observers.add(options.observer)
  }

  // Hooks for subclasses.

  protected onFirstStart(): unknown {
    return undefined
  }

  protected onStart(): unknown {
    return undefined
  }

  protected onStarted(): unknown {
    return undefined
  }

  protected onStop(): unknown {
    return undefined
  }

  protected onStopped(): unknown {
    return undefined
  }

  protected onRestart(): unknown {
    return undefined
  }

  /** A child crashed while it ran. Without a supervisor in between its parent crashes for the same reason. */
  protected onChildCrash(_child: Service, reason: Error): void {
    this.crash(reason)
  }

  // What it is and how it does.

  /** Not unique; for people. */
  get name(): string {
    return this.#options.name ?? this.constructor.name
  }

  /** What the graph draws it as. */
  get kind(): 'service' | 'supervisor' | 'worker' {
    return 'service'
  }

  get state(): ServiceState {
    return this.#state
  }

  get isRunning(): boolean {
    return this.#state === 'running'
  }

  /** True from the moment it is told to stop, or crashes, until its next start. */
  get shouldStop(): boolean {
    return this.#abort.signal.aborted
  }

  /** Why it crashed; kept until the next start. */
  get crashReason(): Error | undefined {
    return this.#crashReason
  }

  /** Aborts when the service stops and when it crashes; its reason says which. Each start brings a new one. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** How often it was started again: by `restart`, by a supervisor, and as the instances that it replaced. */
  get restarts(): number {
    return this.#restarts
  }

  get parent(): Service | undefined {
    return this.#parent
  }

  get children(): readonly Service[] {
    return [...this.#children]
  }

  /** What it needs besides its children; drawn in the graph. */
  get dependencies(): readonly Service[] {
    return [...this.#dependencies]
  }

  /** 0 for the root. */
  get depth(): number {
    return this.#parent ? this.#parent.depth + 1 : 0
  }

  /** The names from the root down: `Worker/App/Cache`. */
  get path(): string {
    return this.#parent ? `${this.#parent.path}/${this.name}` : this.name
  }

  /** Background tasks under way. */
  get tasks(): readonly TaskInfo[] {
    return this.#tasks?.running ?? []
  }

  /** Timers and crontabs since the last start. */
  get timerStats(): readonly TimerStats[] {
    return this.#timers.map((record) => record.stats)
  }

  /** The time of this tree. */
  get clock(): Clock {
    return this.#inherited((service) => service.#options.clock) ?? systemClock
  }

  // Start and stop.

  /**
   * Resolves when this service and its children are running.
   *
   * @throws whatever made it crash, once everything that had been started is stopped again; PikoError `STOPPED` when it
   * was stopped meanwhile; `SERVICE_INVALID` when it is neither new nor stopped
   */
  async start(): Promise<void> {
    if (this.#state !== 'init' && this.#state !== 'stopped') {
      throw serviceInvalid(
        this.path,
        `start() was called while it is ${this.#state}; expected init or stopped; use maybeStart() or restart()`,
      )
    }
    if (this.#abort.signal.aborted) this.#abort = new AbortController()
    const { signal } = this.#abort
    this.#crashReason = undefined
    this.#isOpen = false
    this.#takesChildren = true
    this.#timers = []
    const tasks = new BackgroundTasks(signal, this.clock, (error) => this.crash(error))
    this.#tasks = tasks
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#bringingUp = promise
    this.#move('starting')
    try {
      await this.#bringUp(signal, tasks)
    } catch (thrown) {
      if (!isInterruption(thrown, signal) && this.#bringingUp === promise) this.crash(thrown)
    }
    // A stop may have gone on without a hook that took too long: what it does now is of no account.
    if (this.#bringingUp !== promise) throw signal.reason
    this.#startingChild = undefined
    this.#bringingUp = undefined
    resolve()
    if (!signal.aborted) {
      this.#move('running')
      return
    }
    await this.#halt().catch((error: unknown) => {
      // The crash is what the caller must know; a failure to clean up after it was seen by the observers.
      if (this.#crashReason === undefined) throw error
    })
    throw this.#crashReason ?? signal.reason
  }

  /** Starts it unless it is starting or running already. */
  async maybeStart(): Promise<boolean> {
    if (this.#state === 'starting' || this.#state === 'running') return false
    await this.start()
    return true
  }

  /**
   * Stops this service and its children and undoes what they opened; also cleans up after a crash. Resolves at once when
   * there is nothing to stop. A start or restart under way is given up.
   *
   * @throws what failed while stopping, once all the rest is done; an `AggregateError` of several
   */
  stop(): Promise<void> {
    this.#stopRequests += 1
    return this.#halt()
  }

  /**
   * Stops it if need be, and starts it again.
   *
   * @throws as `stop` and `start` do; PikoError `STOPPED` when `stop` was called meanwhile
   */
  restart(): Promise<void> {
    this.#restarting ??= this.#startAgain().finally(() => (this.#restarting = undefined))
    return this.#restarting
  }

  /** It can't go on. Ignored when the service is not there to crash: before its start, and after it has crashed or stopped. */
  crash(reason: unknown): void {
    const error = toError(reason)
    if (this.#halting) this.#stopFailures.push(error)
    const from = this.#state
    if (from !== 'starting' && from !== 'running' && from !== 'stopping') return
    this.#crashReason ??= error
    this.#move('crashed', error)
    this.#abort.abort(error)
    if (from === 'starting') this.#startingChild?.stop().catch(seenByObservers)
    if (from === 'running') this.#parent?.onChildCrash(this, error)
  }

  /** Resolves when it has stopped, at once if it has; rejects with the reason when it crashes. */
  async waitUntilStopped(): Promise<void> {
    if (this.#state === 'stopped') return
    if (this.#state === 'crashed') throw toError(this.#crashReason)
    const waiter = Promise.withResolvers<void>()
    this.#waiters.push(waiter)
    await waiter.promise
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  /**
   * Tells the observer of this service and of all below it, now and later.
   *
   * @returns ends it
   */
  observe(observer: ServiceObserver): () => void {
    this.#observers.add(observer)
    return () => void this.#observers.delete(observer)
  }

  // The tree.

  /**
   * Adds a part, which is started and stopped with this service. For a service that is running already, use
   * {@link startChild}.
   *
   * @throws PikoError `SERVICE_INVALID` when it is too late, or the child is part of a tree already
   */
  addChild<S extends Service>(child: S): S {
    if (this.#state === 'running' || !this.#takesChildren) {
      throw serviceInvalid(
        this.path,
        `addChild(${child.name}) was called when its children had been started; use await startChild(…)`,
      )
    }
    this.#adopt(child, this.#children.length)
    return child
  }

  /**
   * Adds a part; when this service runs, the part is running once this resolves.
   *
   * @throws why it could not start; it is then no part of this service
   */
  async startChild<S extends Service>(child: S): Promise<S> {
    this.#adopt(child, this.#children.length)
    const isLate = this.#state === 'running' || (this.#state === 'starting' && !this.#takesChildren)
    if (!isLate) return child
    try {
      await child.maybeStart()
    } catch (error) {
      this.#release(child)
      throw error
    }
    return child
  }

  /** Stops a part and takes it out. Does nothing when it is no part of this service. */
  async removeChild(child: Service): Promise<void> {
    if (!this.#children.includes(child)) return
    try {
      await child.stop()
    } finally {
      this.#release(child)
    }
  }

  /** Says what it needs besides its children, for the graph. The order of starts is the order of children. */
  dependsOn(...services: readonly Service[]): this {
    for (const service of services) this.#dependencies.add(service)
    return this
  }

  // For subclasses: what lives from a start to the next stop.

  /**
   * Waits. Returns early when the service stops or crashes.
   *
   * @param time a duration, or milliseconds
   * @returns true when the time has passed: `while (await this.sleep('1s')) …`
   */
  async sleep(time: Duration | number): Promise<boolean> {
    const { signal } = this.#abort
    await this.clock.sleep(typeof time === 'number' ? time : durationMs(time, 'sleep'), signal)
    return !signal.aborted
  }

  /** Called at stop, in reverse order, after the children and the tasks have ended. */
  defer(callback: () => unknown): void {
    this.#exits.defer(callback)
  }

  /** Disposed of at stop, in reverse order. */
  use<D extends Disposable | AsyncDisposable>(disposable: D): D {
    this.#exits.defer(() =>
      Symbol.asyncDispose in disposable ? disposable[Symbol.asyncDispose]() : disposable[Symbol.dispose](),
    )
    return disposable
  }

  /**
   * Runs the function in the background of this life; see `@task` for one that runs after every start.
   *
   * @throws PikoError `SERVICE_INVALID` when the service is neither starting nor running
   */
  addTask(body: (signal: AbortSignal) => unknown, name = body.name || 'task'): void {
    this.#living('addTask').launch(name, 'task', body)
  }

  /** Like `@timer`, in this life. @throws PikoError `SERVICE_INVALID` */
  addTimer(
    every: Duration,
    body: (signal: AbortSignal) => unknown,
    options: TimerOptions & { name?: string } = {},
  ): void {
    const intervalMs = intervalOf(every, 'addTimer')
    const name = options.name ?? (body.name || 'timer')
    this.#launchTimer(this.#living('addTimer'), name, every, intervalMs, options.immediate ?? false, body)
  }

  /** Like `@crontab`, in this life. @throws PikoError `SERVICE_INVALID`, `SCHEDULE_INVALID` */
  addCrontab(
    expression: string,
    body: (signal: AbortSignal) => unknown,
    options: CrontabOptions & { name?: string } = {},
  ): void {
    const schedule = crontabSchedule(expression, options)
    const name = options.name ?? (body.name || 'crontab')
    this.#launchCrontab(this.#living('addCrontab'), name, expression, schedule, body)
  }

  /**
   * Takes the place of a service that crashed, with its count of restarts.
   *
   * @internal
   */
  protected replaceChild(old: Service, successor: Service): void {
    const index = this.#children.indexOf(old)
    this.#release(old)
    this.#adopt(successor, index)
    successor.#restarts = old.#restarts
  }

  async #bringUp(signal: AbortSignal, tasks: BackgroundTasks): Promise<void> {
    if (!this.#hasStartedOnce) {
      await this.onFirstStart()
      this.#hasStartedOnce = true
      if (signal.aborted) return
    }
    await this.onStart()
    if (this.#tasks !== tasks) return
    this.#isOpen = true
    if (signal.aborted) return
    this.#launchDeclared(tasks)
    // By index: a child may be added while an earlier one starts.
    for (let index = 0; index < this.#children.length; index++) {
      this.#startingChild = this.#children[index]
      await this.#startingChild?.maybeStart()
      this.#startingChild = undefined
      if (signal.aborted) return
    }
    this.#takesChildren = false
    await this.onStarted()
  }

  #halt(): Promise<void> {
    if (this.#halting) return this.#halting
    if (this.#state === 'init' || this.#state === 'stopped') return Promise.resolve()
    // Known before the first step: an observer may call stop() again.
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#halting = promise
    this.#bringDown()
      .finally(() => (this.#halting = undefined))
      .then(resolve, reject)
    return promise
  }

  async #bringDown(): Promise<void> {
    this.#stopFailures = []
    const { stopTimeout } = this.#options
    if (stopTimeout !== undefined) this.#stopLimit = new StopLimit(durationMs(stopTimeout, 'stopTimeout'), this.clock)
    this.#move('stopping')
    this.#abort.abort(new PikoError('STOPPED', `service ${JSON.stringify(this.path)} was told to stop`))
    await this.#endStart()
    const wasOpen = this.#isOpen
    this.#isOpen = false
    if (wasOpen) await this.#attempt('onStop', () => this.onStop())
    for (const child of [...this.#children].reverse()) {
      await child.stop().catch((error: unknown) => this.#failedToStop(error))
    }
    await this.#settleTasks()
    await this.#attempt('what was deferred', () => this.#exits.close())
    if (wasOpen) await this.#attempt('onStopped', () => this.onStopped())
    this.#stopLimit?.end()
    this.#stopLimit = undefined
    this.#move('stopped')
    const [first] = this.#stopFailures
    if (this.#stopFailures.length > 1) {
      throw new AggregateError(
        this.#stopFailures,
        `${this.#stopFailures.length} things failed while ${this.path} stopped`,
      )
    }
    if (first) throw first
  }

  /** A child that was just starting is stopped twice, and fails once. */
  #failedToStop(thrown: unknown): void {
    const error = toError(thrown)
    if (!this.#stopFailures.includes(error)) this.#stopFailures.push(error)
  }

  /** A start under way sees the signal after its current step; a hook that never ends is left behind. */
  async #endStart(): Promise<void> {
    if (!this.#bringingUp) return
    void this.#startingChild?.stop().catch((error: unknown) => this.#failedToStop(error))
    const ended = new AbortController()
    const graceMs = this.#taskGraceMs()
    const limit = this.#limit()
    let isStuck = false
    const patience = (): Promise<unknown> => this.clock.sleep(graceMs, ended.signal)
    await Promise.race([
      this.#bringingUp.then(() => ended.abort()),
      (limit ? limit.within(patience) : patience()).then(() => (isStuck = !ended.signal.aborted)),
    ])
    ended.abort()
    if (!isStuck) return
    this.#bringingUp = undefined
    if (limit && !this.#startingChild)
      this.#stopFailures.push(incomplete(`the start of service ${JSON.stringify(this.path)} did not end`))
    this.#tell((observer) => observer.taskStuck?.(this, 'start', graceMs))
  }

  async #settleTasks(): Promise<void> {
    const graceMs = this.#taskGraceMs()
    const tasks = this.#tasks
    if (!tasks) return
    const limit = this.#limit()
    let stuck: readonly string[] | undefined
    const settle = async (): Promise<void> => void (stuck = await tasks.settle(graceMs))
    await (limit ? limit.within(settle) : settle())
    const left = stuck ?? tasks.running.map(({ name }) => name)
    this.#tasks = undefined
    for (const name of left) this.#tell((observer) => observer.taskStuck?.(this, name, graceMs))
  }

  async #attempt(name: string, step: () => unknown): Promise<void> {
    const limit = this.#limit()
    try {
      if (!limit) await step()
      else if (!(await limit.within(step))) this.#leaveBehind(name, limit.limitMs)
    } catch (thrown) {
      this.crash(thrown)
    }
  }

  #leaveBehind(step: string, limitMs: number): void {
    this.crash(incomplete(`${step} of service ${JSON.stringify(this.path)} did not end; it is left behind`))
    this.#tell((observer) => observer.taskStuck?.(this, step, limitMs))
  }

  /** The stop under way of this service, or of one above it, that has a deadline. */
  #limit(): StopLimit | undefined {
    return this.#inherited((service) => service.#stopLimit)
  }

  async #startAgain(): Promise<void> {
    const requests = this.#stopRequests
    const stopIfAsked = (): void => {
      if (requests === this.#stopRequests) return
      throw new PikoError('STOPPED', `service ${JSON.stringify(this.path)} was told to stop while it was restarted`)
    }
    const reason = this.#crashReason
    await this.#halt()
    stopIfAsked()
    this.#restarts += 1
    await this.onRestart()
    stopIfAsked()
    await this.start()
    this.#tell((observer) => observer.restarted?.(this, reason))
  }

  #move(to: ServiceState, reason?: Error): void {
    const from = this.#state
    if (!isLegalMove(from, to)) throw serviceInvalid(this.path, `it is ${from} and can't become ${to}`)
    this.#state = to
    this.#tell((observer) => observer.stateChanged?.(this, from, to, reason))
    if (to !== 'stopped' && to !== 'crashed') return
    const waiters = this.#waiters
    this.#waiters = []
    for (const waiter of waiters) {
      if (reason) waiter.reject(reason)
      else waiter.resolve()
    }
  }

  #tell(event: (observer: ServiceObserver) => void): void {
    for (const service of this.#lineage()) {
      for (const observer of service.#observers) {
        try {
          event(observer)
        } catch (thrown) {
          process.emitWarning(`an observer of service ${this.path} failed: ${stackOf(thrown)}`, 'PikoServiceWarning')
        }
      }
    }
  }

  /** This service, its parent, and so on up to the root. */
  *#lineage(): Generator<Service, void, undefined> {
    yield this
    if (this.#parent) yield* this.#parent.#lineage()
  }

  #inherited<T>(own: (service: Service) => T | undefined): T | undefined {
    for (const service of this.#lineage()) {
      const value = own(service)
      if (value !== undefined) return value
    }
    return undefined
  }

  #taskGraceMs(): number {
    const grace = this.#inherited((service) => service.#options.taskGrace)
    return grace === undefined ? DEFAULT_TASK_GRACE_MS : durationMs(grace, 'taskGrace')
  }

  #adopt(child: Service, index: number): void {
    if (child.#parent) {
      throw serviceInvalid(
        this.path,
        `${child.path} was added, which has a parent; take it out there, or add a new one`,
      )
    }
    for (const service of this.#lineage()) {
      if (service === child) throw serviceInvalid(this.path, `${child.name} was added below itself`)
    }
    child.#parent = this
    this.#children.splice(index, 0, child)
  }

  #release(child: Service): void {
    this.#children.splice(this.#children.indexOf(child), 1)
    child.#parent = undefined
  }

  #living(method: string): BackgroundTasks {
    if (this.#tasks && !this.shouldStop && (this.#state === 'starting' || this.#state === 'running')) return this.#tasks
    throw serviceInvalid(
      this.path,
      `${method}() was called while it is ${this.#state}; expected starting or running; call it in onStart, or use a decorator`,
    )
  }

  #launchDeclared(tasks: BackgroundTasks): void {
    for (const { name, trigger, method } of declaredOn(this)) {
      const body = (signal: AbortSignal): unknown => method(this).call(this, signal)
      if (trigger.kind === 'task') tasks.launch(name, 'task', body)
      else if (trigger.kind === 'timer') {
        this.#launchTimer(tasks, name, trigger.every, trigger.intervalMs, trigger.immediate, body)
      } else this.#launchCrontab(tasks, name, trigger.expression, trigger.schedule, body)
    }
  }

  #launchTimer(
    tasks: BackgroundTasks,
    name: string,
    every: string,
    intervalMs: number,
    immediate: boolean,
    fire: (signal: AbortSignal) => unknown,
  ): void {
    const { clock } = this
    const startMs = clock.monotonic()
    const [record, skipped] = this.#recordTimer(name, every)
    tasks.launch(name, 'timer', (signal) =>
      runTimer(intervalMs, startMs, immediate, { clock, signal, record, fire, skipped }),
    )
  }

  #launchCrontab(
    tasks: BackgroundTasks,
    name: string,
    expression: string,
    schedule: Schedule,
    fire: (signal: AbortSignal) => unknown,
  ): void {
    const { clock } = this
    const [record, skipped] = this.#recordTimer(name, expression)
    tasks.launch(name, 'crontab', (signal) => runCrontab(schedule, { clock, signal, record, fire, skipped }))
  }

  #recordTimer(name: string, schedule: string): [TimerRecord, (count: number) => void] {
    const record = new TimerRecord(name, schedule)
    this.#timers.push(record)
    return [record, (count) => this.#tell((observer) => observer.timerSkipped?.(this, name, count))]
  }
}

/** True for what a start throws because it was stopped, or a child of it was. */
function isInterruption(thrown: unknown, signal: AbortSignal): boolean {
  return signal.aborted && (isCancellation(thrown, signal) || isPikoError(thrown, 'STOPPED'))
}

function incomplete(what: string): PikoError {
  return new PikoError('STOP_INCOMPLETE', `the stop came to its deadline: ${what}`)
}

/** The state change to `crashed` carried the error. */
function seenByObservers(): void {
  return undefined
}
