import { isPikoError, PikoError, toError } from '../errors.ts'
import type { Background } from './background.ts'
import { isCancellation } from './background-tasks.ts'
import { serviceInvalid } from './invalid.ts'
import type { Child, LifecycleParts } from './lifecycle-parts.ts'
import { isLegalMove, type ServiceState } from './service-state.ts'
import { StopLimit } from './stop-limit.ts'

/** The states of a service and the steps between them. `Service` documents them. */
export class Lifecycle {
  readonly #parts: LifecycleParts
  #state: ServiceState = 'init'
  #crashReason: Error | undefined
  #abort = new AbortController()
  #background: Background | undefined
  #waiters: PromiseWithResolvers<void>[] = []
  #restarts = 0
  #hasStartedOnce = false
  #isOpen = false
  #takesChildren = true
  #stopRequests = 0
  /** Resolves when the steps of a start have ended, whether it succeeded or not. Never rejects. */
  #bringingUp: Promise<void> | undefined
  #startingChild: Child | undefined
  #halting: Promise<void> | undefined
  #restarting: Promise<void> | undefined
  #stopFailures: Error[] = []
  #stopLimit: StopLimit | undefined

  constructor(parts: LifecycleParts) {
    this.#parts = parts
  }

  get state(): ServiceState {
    return this.#state
  }

  get crashReason(): Error | undefined {
    return this.#crashReason
  }

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  get restarts(): number {
    return this.#restarts
  }

  /** Continues the restart count of the service that this one replaces. */
  inherit(predecessor: Lifecycle): void {
    this.#restarts = predecessor.#restarts
  }

  /** The background work since the last start; undefined after a stop. */
  get background(): Background | undefined {
    return this.#background
  }

  /** Whether background work can begin. */
  get isLive(): boolean {
    return !this.#abort.signal.aborted && (this.#state === 'starting' || this.#state === 'running')
  }

  /** Whether a new child would be started together with the service. */
  get takesChildren(): boolean {
    return this.#state !== 'running' && this.#takesChildren
  }

  /** Whether a child that is added now must be started immediately. */
  get isPastChildren(): boolean {
    return this.#state === 'running' || (this.#state === 'starting' && !this.#takesChildren)
  }

  /** The time limit of the current stop. */
  get ownLimit(): StopLimit | undefined {
    return this.#stopLimit
  }

  async start(): Promise<void> {
    if (this.#state !== 'init' && this.#state !== 'stopped') {
      throw serviceInvalid(
        this.#parts.path(),
        `start() was called while it is ${this.#state}; expected init or stopped; use maybeStart() or restart()`,
      )
    }
    if (this.#abort.signal.aborted) this.#abort = new AbortController()
    const { signal } = this.#abort
    this.#crashReason = undefined
    this.#isOpen = false
    this.#takesChildren = true
    const background = this.#parts.begin(signal)
    this.#background = background
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#bringingUp = promise
    this.#move('starting')
    try {
      await this.#bringUp(signal, background)
    } catch (thrown) {
      if (!isInterruption(thrown, signal) && this.#bringingUp === promise) this.#parts.self.crash(thrown)
    }
    // If the stop did not wait for a slow hook, the result of this hook has no effect.
    if (this.#bringingUp !== promise) throw signal.reason
    this.#startingChild = undefined
    this.#bringingUp = undefined
    resolve()
    if (!signal.aborted) {
      this.#move('running')
      return
    }
    await this.#halt().catch((error: unknown) => {
      // The caller must get the reason of the crash. Observers have already seen the failed clean-up.
      if (this.#crashReason === undefined) throw error
    })
    throw this.#crashReason ?? signal.reason
  }

  stop(): Promise<void> {
    this.#stopRequests += 1
    return this.#halt()
  }

  restart(): Promise<void> {
    this.#restarting ??= this.#startAgain().finally(() => (this.#restarting = undefined))
    return this.#restarting
  }

  crash(reason: unknown): void {
    const error = toError(reason)
    if (this.#halting) this.#stopFailures.push(error)
    const from = this.#state
    if (from !== 'starting' && from !== 'running' && from !== 'stopping') return
    this.#crashReason ??= error
    this.#move('crashed', error)
    this.#abort.abort(error)
    if (from === 'starting') this.#startingChild?.stop().catch(seenByObservers)
    if (from === 'running') this.#parts.events.crashedRunning(error)
  }

  async waitUntilStopped(): Promise<void> {
    if (this.#state === 'stopped') return
    if (this.#state === 'crashed') throw toError(this.#crashReason)
    const waiter = Promise.withResolvers<void>()
    this.#waiters.push(waiter)
    await waiter.promise
  }

  async #bringUp(signal: AbortSignal, background: Background): Promise<void> {
    const { hooks, children, launchDeclared } = this.#parts
    if (!this.#hasStartedOnce) {
      await hooks.onFirstStart()
      this.#hasStartedOnce = true
      if (signal.aborted) return
    }
    await hooks.onStart()
    if (this.#background !== background) return
    this.#isOpen = true
    if (signal.aborted) return
    launchDeclared(background)
    // Uses the index, because a child may be added while an earlier one starts.
    for (let index = 0; index < children().length; index++) {
      this.#startingChild = children()[index]
      await this.#startingChild?.maybeStart()
      this.#startingChild = undefined
      if (signal.aborted) return
    }
    this.#takesChildren = false
    await hooks.onStarted()
  }

  #halt(): Promise<void> {
    if (this.#halting) return this.#halting
    if (this.#state === 'init' || this.#state === 'stopped') return Promise.resolve()
    // The promise is stored before the first step, because an observer may call stop() again.
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#halting = promise
    this.#bringDown()
      .finally(() => (this.#halting = undefined))
      .then(resolve, reject)
    return promise
  }

  async #bringDown(): Promise<void> {
    const { hooks, path, clock, stopTimeoutMs, children, closeExits } = this.#parts
    this.#stopFailures = []
    const limitMs = stopTimeoutMs()
    if (limitMs !== undefined) this.#stopLimit = new StopLimit(limitMs, clock())
    this.#move('stopping')
    this.#abort.abort(new PikoError('STOPPED', `service ${JSON.stringify(path())} was stopped`))
    await this.#endStart()
    const wasOpen = this.#isOpen
    this.#isOpen = false
    if (wasOpen) await this.#attempt('onStop', () => hooks.onStop(this.#crashReason ? 'crash' : 'stop'))
    for (const child of [...children()].reverse()) {
      await child.stop().catch((error: unknown) => this.#failedToStop(error))
    }
    await this.#settleTasks()
    await this.#attempt('the deferred clean-up', closeExits)
    if (wasOpen) await this.#attempt('onStopped', () => hooks.onStopped())
    this.#stopLimit?.end()
    this.#stopLimit = undefined
    this.#move('stopped')
    const failures = this.#stopFailures
    if (failures.length > 1) throw new AggregateError(failures, `${failures.length} errors while stopping ${path()}`)
    const [first] = failures
    if (first) throw first
  }

  /** Records an error of the stop. If a child is stopped during its start, it is stopped twice, but its error is recorded once. */
  #failedToStop(thrown: unknown): void {
    const error = toError(thrown)
    if (!this.#stopFailures.includes(error)) this.#stopFailures.push(error)
  }

  /**
   * Waits until a start in progress has ended. The start checks the signal after its current step. Gives up after the grace period, because
   * a hook may never end.
   */
  async #endStart(): Promise<void> {
    if (!this.#bringingUp) return
    const { path, clock, events, stopLimit } = this.#parts
    void this.#startingChild?.stop().catch((error: unknown) => this.#failedToStop(error))
    const ended = new AbortController()
    const graceMs = this.#parts.graceMs()
    const limit = stopLimit()
    let isStuck = false
    const patience = (): Promise<unknown> => clock().sleep(graceMs, ended.signal)
    await Promise.race([
      this.#bringingUp.then(() => ended.abort()),
      (limit ? limit.within(patience) : patience()).then(() => (isStuck = !ended.signal.aborted)),
    ])
    ended.abort()
    if (!isStuck) return
    this.#bringingUp = undefined
    if (limit && !this.#startingChild)
      this.#stopFailures.push(incomplete(`the start of service ${JSON.stringify(path())} did not end`))
    events.stuck('start', graceMs)
  }

  async #settleTasks(): Promise<void> {
    const graceMs = this.#parts.graceMs()
    const background = this.#background
    if (!background) return
    const limit = this.#parts.stopLimit()
    let stuck: readonly string[] | undefined
    const settle = async (): Promise<void> => void (stuck = await background.settle(graceMs))
    await (limit ? limit.within(settle) : settle())
    const left = stuck ?? background.running.map(({ name }) => name)
    this.#background = undefined
    for (const name of left) this.#parts.events.stuck(name, graceMs)
  }

  async #attempt(name: string, step: () => unknown): Promise<void> {
    const limit = this.#parts.stopLimit()
    try {
      if (!limit) await step()
      else if (!(await limit.within(step))) this.#leaveBehind(name, limit.limitMs)
    } catch (thrown) {
      this.#parts.self.crash(thrown)
    }
  }

  #leaveBehind(step: string, limitMs: number): void {
    const { self, path, events } = this.#parts
    self.crash(incomplete(`${step} of service ${JSON.stringify(path())} did not end; it is left behind`))
    events.stuck(step, limitMs)
  }

  async #startAgain(): Promise<void> {
    const { hooks, path, self, events } = this.#parts
    const requests = this.#stopRequests
    const stopIfAsked = (): void => {
      if (requests === this.#stopRequests) return
      throw new PikoError('STOPPED', `service ${JSON.stringify(path())} was stopped while it was restarting`)
    }
    const reason = this.#crashReason
    await this.#halt()
    stopIfAsked()
    this.#restarts += 1
    await hooks.onRestart()
    stopIfAsked()
    await self.start()
    events.restarted(reason)
  }

  #move(to: ServiceState, reason?: Error): void {
    const from = this.#state
    if (!isLegalMove(from, to)) throw serviceInvalid(this.#parts.path(), `it is ${from} and can't become ${to}`)
    this.#state = to
    this.#parts.events.moved(from, to, reason)
    if (to !== 'stopped' && to !== 'crashed') return
    const waiters = this.#waiters
    this.#waiters = []
    for (const waiter of waiters) {
      if (reason) waiter.reject(reason)
      else waiter.resolve()
    }
  }
}

/** Whether a start threw this error because the service or a child was stopped. */
function isInterruption(thrown: unknown, signal: AbortSignal): boolean {
  return signal.aborted && (isCancellation(thrown, signal) || isPikoError(thrown, 'STOPPED'))
}

function incomplete(what: string): PikoError {
  return new PikoError('STOP_INCOMPLETE', `the stop reached its deadline: ${what}`)
}

/** Ignores an error that observers have already seen when the state became `crashed`. */
function seenByObservers(): void {
  return undefined
}
