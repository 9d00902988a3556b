import { messageOf } from '../errors-read.ts'
import { PikoError, toError } from '../errors.ts'
import { aFunction, flag, oneOf, type OptionChecks, readOptions } from '../options.ts'
import { type Duration, durationMs } from '../time/duration.ts'
import { Lanes } from './lanes.ts'
import { RestartWindow } from './restart-window.ts'
import { serviceInvalid } from './invalid.ts'
import { Service, type ServiceOptions } from './service.ts'
import { aDuration } from '../time/duration-check.ts'
import { aCountOrInfinity, assertOptions, childProblems, SERVICE_CHECKS } from './service-options.ts'

/** What a supervisor does when a child crashes. */
export const STRATEGIES = [
  /** Restarts the child. */
  'one-for-one',
  /** Stops all children in reverse order, and starts them in order. */
  'one-for-all',
  /** Stops the child and those that were added after it in reverse order, and then starts them in order. */
  'rest-for-one',
  /** Stops the child for good. */
  'forfeit-one-for-one',
  /** Stops all children for good. */
  'forfeit-one-for-all',
  /** Crashes the supervisor, like any other parent. */
  'crashing',
] as const

export type Strategy = (typeof STRATEGIES)[number]

/** How long to wait before a restart: `base`, doubled for each restart of the child within the window, up to `max`. */
export interface RestartBackoff {
  /** The pause before the first restart. Default `'100ms'`. */
  readonly base?: Duration
  /** The maximum pause. Default `'30s'`. */
  readonly max?: Duration
  /** Whether each pause is random, between half of it and all of it. Default true. */
  readonly jitter?: boolean
}

/**
 * Creates a new instance to replace a crashed child. The child has already been stopped.
 *
 * @param index its position among the children
 */
export type Replacement = (crashed: Service, index: number, error: Error) => Service | Promise<Service>

export interface SupervisorOptions extends ServiceOptions {
  /** What happens when a child crashes. Default `'one-for-one'`. */
  readonly strategy?: Strategy
  /** The maximum number of restarts within `over`. Restarting a group counts once. Default 3. */
  readonly maxRestarts?: number
  /** The length of the sliding window. Default `'1m'`. */
  readonly over?: Duration
  readonly backoff?: RestartBackoff
  /** Creates the instance to start. Default: the same instance starts again. */
  readonly replacement?: Replacement
  /** Returns a random number in [0, 1), for the jitter. Default `Math.random`. */
  readonly random?: () => number
}

const BACKOFF_CHECKS: OptionChecks<RestartBackoff> = { base: aDuration(), max: aDuration(), jitter: flag }

const CHECKS: OptionChecks<SupervisorOptions> = {
  ...SERVICE_CHECKS,
  strategy: oneOf(...STRATEGIES),
  maxRestarts: aCountOrInfinity,
  over: aDuration(),
  backoff: (value) => {
    const { problems } = readOptions(value, BACKOFF_CHECKS, "{ base: '100ms' }")
    return problems.length === 0 ? undefined : `is wrong: ${problems.join('; ')}`
  },
  replacement: aFunction,
  random: aFunction,
}

const isService = (value: unknown): boolean => value instanceof Service

interface Crash {
  readonly child: Service
  readonly reason: Error
}

/**
 * Restarts its children according to the strategy if one crashes while it runs. A failed restart counts as the next crash. If there are
 * more crashes than the window allows restarts, the supervisor itself crashes (`SERVICE_CRASHED`, caused by the last crash), and its parent
 * must handle that.
 *
 * If a child fails in its first start, the supervisor's start fails. Crashes during the stop of the supervisor cause no restart. A child
 * stopped on purpose stays stopped, even when its group restarts.
 *
 * With the one-for-one strategies, crashes are handled independently; with the others, one after another.
 */
export class Supervisor extends Service {
  readonly #strategy: Strategy
  readonly #window: RestartWindow
  /** The windows, by the position of the child. So a replacement continues the count of its predecessor. */
  readonly #windows = new Map<number, RestartWindow>()
  readonly #maxRestarts: number
  readonly #over: Duration
  readonly #backoff: { readonly baseMs: number; readonly maxMs: number; readonly jitter: boolean }
  readonly #replacement: Replacement | undefined
  readonly #random: () => number
  readonly #early: Crash[] = []
  #lanes = new Lanes()
  /** The children that are being restarted on request. */
  readonly #renewed = new Set<Service>()

  /** @throws PikoError `SERVICE_INVALID` naming everything that is wrong with the options and the children */
  constructor(children: readonly Service[] = [], options: SupervisorOptions = {}) {
    assertOptions(
      { name: new.target.name, isOpen: new.target !== Supervisor },
      options,
      CHECKS,
      childProblems('children', children, isService),
    )
    super(options)
    const { strategy = 'one-for-one', maxRestarts = 3, over = '1m', backoff = {} } = options
    this.#strategy = strategy
    this.#maxRestarts = maxRestarts
    this.#over = over
    this.#window = new RestartWindow(maxRestarts, durationMs(over, 'over'))
    this.#backoff = {
      baseMs: durationMs(backoff.base ?? '100ms', 'backoff.base'),
      maxMs: durationMs(backoff.max ?? '30s', 'backoff.max'),
      jitter: backoff.jitter ?? true,
    }
    this.#replacement = options.replacement
    this.#random = options.random ?? Math.random
    for (const child of children) this.addChild(child)
  }

  override get kind(): 'supervisor' {
    return 'supervisor'
  }

  get strategy(): Strategy {
    return this.#strategy
  }

  protected override onStart(): unknown {
    this.#window.clear()
    this.#windows.clear()
    this.#early.length = 0
    this.#lanes = new Lanes()
    return undefined
  }

  protected override onStarted(): unknown {
    for (const crash of this.#early.splice(0)) this.#answer(crash)
    return undefined
  }

  protected override onChildCrash(child: Service, reason: Error): void {
    if (this.#strategy === 'crashing') {
      super.onChildCrash(child, reason)
    } else if (this.state === 'starting') {
      // The siblings of the child are still starting, so the crash is handled when they have started.
      this.#early.push({ child, reason })
    } else if (this.isRunning) {
      this.#answer({ child, reason })
    }
  }

  /**
   * Restarts a child on request, with the siblings that the strategy restarts together with it. Also starts one that was stopped. A request
   * does not count as one of `maxRestarts`.
   *
   * @throws the reason why a service could not start again; the supervisor then handles that as a crash. PikoError `SERVICE_INVALID` if the
   * supervisor does not run, or has no such child
   */
  async restartChild(child: Service): Promise<void> {
    this.#assertHas(child)
    const done = Promise.withResolvers<void>()
    const { signal } = this
    const stopped = (): void => done.reject(signal.reason)
    signal.addEventListener('abort', stopped)
    const lane = this.#isForOne ? child : this
    this.addTask(() => this.#lanes.run(lane, () => this.#renew(child, signal, done)), `restart ${child.name}`)
    await done.promise.finally(() => signal.removeEventListener('abort', stopped))
  }

  #assertHas(child: Service): void {
    if (child.parent === this && this.isRunning) return
    const why = child.parent === this ? `it is ${this.state}` : 'that is not one of its children'
    throw serviceInvalid(this.path, `restartChild(${child.name}) was called, but ${why}`)
  }

  async #renew(child: Service, signal: AbortSignal, done: PromiseWithResolvers<void>): Promise<void> {
    let group: readonly Service[] = []
    try {
      // An earlier restart may have replaced the child, so this checks again.
      this.#assertHas(child)
      group = this.#groupOf(child).filter((member) => member === child || isUp(member))
      this.#renewed.add(child)
      await stopAll(group)
      for (const member of group) {
        signal.throwIfAborted()
        await member.restart()
      }
      done.resolve()
    } catch (thrown) {
      done.reject(thrown)
      const failed = group.find((member) => !member.isRunning)
      if (signal.aborted || !failed || this.#strategy.startsWith('forfeit')) return
      this.#renewed.delete(child)
      if (this.#strategy === 'crashing') return super.onChildCrash(failed, toError(thrown))
      const again = (): Promise<void> => this.#startAgain(group, failed, toError(thrown), signal)
      // If restarts are independent, this one waits in its own task, so that other requests need not wait for it.
      if (this.#isForOne) this.addTask(again, `restart ${failed.name}`)
      else await again()
    } finally {
      this.#renewed.delete(child)
    }
  }

  /** Returns the child and those that the strategy restarts together with it. */
  #groupOf(child: Service): readonly Service[] {
    switch (this.#strategy) {
      case 'one-for-all':
        return this.children
      case 'rest-for-one':
        return this.children.slice(this.children.indexOf(child))
      case 'one-for-one':
      case 'forfeit-one-for-one':
      case 'forfeit-one-for-all':
      case 'crashing':
        return [child]
    }
  }

  #answer(crash: Crash): void {
    const handle = (signal: AbortSignal): Promise<void> => this.#handle(crash, signal)
    const inTurn = (signal: AbortSignal): Promise<void> => this.#lanes.run(this, () => handle(signal))
    this.addTask(this.#isForOne ? handle : inTurn, `restart ${crash.child.name}`)
  }

  /** Whether the strategy concerns single children, whose restarts are independent. Otherwise restarts happen one after another. */
  get #isForOne(): boolean {
    return this.#strategy === 'one-for-one' || this.#strategy === 'forfeit-one-for-one'
  }

  async #handle({ child, reason }: Crash, signal: AbortSignal): Promise<void> {
    // The child may have been restarted already, because of an earlier crash in its group.
    if (signal.aborted || child.state !== 'crashed') return
    switch (this.#strategy) {
      case 'one-for-one':
      case 'one-for-all':
      case 'rest-for-one':
        return this.#startAgain(this.#groupOf(child).filter(isUp), child, reason, signal)
      case 'forfeit-one-for-one':
        return stopAll([child])
      case 'forfeit-one-for-all':
        return stopAll(this.children)
      case 'crashing':
        return undefined
    }
  }

  async #startAgain(members: readonly Service[], child: Service, crash: Error, signal: AbortSignal): Promise<void> {
    let group = members
    let crashed = child
    let reason = crash
    while (!this.#renewed.has(crashed)) {
      const nowMs = this.clock.monotonic()
      const own = this.#windowOf(crashed)
      const delayMs = this.#delayMs(own.count(nowMs))
      if (!this.#window.take(nowMs)) return this.#escalate(crashed, reason)
      own.take(nowMs)
      await stopAll(group)
      await this.clock.sleep(delayMs, signal)
      // In the meantime, a request may have restarted these services, or may be restarting them.
      if (signal.aborted || this.#renewed.has(crashed) || group.every(({ isRunning }) => isRunning)) return
      group = group.filter((member) => member.parent === this)
      const failure = await this.#startAll(group, crashed, reason, signal)
      if (signal.aborted || failure === undefined) return
      group = failure.group
      crashed = failure.child
      reason = failure.reason
    }
  }

  /** Starts a group in order. @returns the child that could not start, if any, and the group including replacements */
  async #startAll(
    group: readonly Service[],
    crashed: Service,
    reason: Error,
    signal: AbortSignal,
  ): Promise<(Crash & { readonly group: Service[] }) | undefined> {
    const started = [...group]
    for (const [index, member] of group.entries()) {
      if (signal.aborted) return undefined
      let child = member
      try {
        if (member === crashed) child = started[index] = await this.#successorOf(member, reason)
        if (signal.aborted) return undefined
        await child.restart()
      } catch (thrown) {
        return { child, reason: toError(thrown), group: started }
      }
    }
    return undefined
  }

  async #successorOf(child: Service, reason: Error): Promise<Service> {
    if (!this.#replacement) return child
    const successor = await this.#replacement(child, this.children.indexOf(child), reason)
    if (successor !== child) this.replaceChild(child, successor)
    return successor
  }

  #windowOf(child: Service): RestartWindow {
    const index = this.children.indexOf(child)
    const window = this.#windows.get(index) ?? new RestartWindow(Infinity, durationMs(this.#over, 'over'))
    this.#windows.set(index, window)
    return window
  }

  /** Returns the delay before the next restart. @param restarts how often the child was restarted within the window */
  #delayMs(restarts: number): number {
    const { baseMs, maxMs, jitter } = this.#backoff
    // 2^60 ms is longer than any limit. A larger power could become Infinity, or NaN with a base of 0.
    const factor = 2 ** Math.min(restarts, 60)
    const whole = Math.min(maxMs, baseMs * factor)
    return jitter ? whole / 2 + (whole / 2) * this.#random() : whole
  }

  #escalate(child: Service, cause: Error): void {
    const times = `${this.#maxRestarts} ${this.#maxRestarts === 1 ? 'restart' : 'restarts'}`
    this.crash(
      new PikoError(
        'SERVICE_CRASHED',
        `service ${JSON.stringify(child.path)} crashed again after ${times} within ${this.#over}: ${messageOf(cause)}`,
        {
          cause,
          details: { service: child.path, supervisor: this.path, maxRestarts: this.#maxRestarts, over: this.#over },
        },
      ),
    )
  }
}

/** Whether a service was started and not stopped on purpose. */
function isUp({ state }: Service): boolean {
  return state !== 'stopped' && state !== 'init'
}

/** Stops the services in reverse order. If one fails, observers see the error, and the others are still stopped. */
async function stopAll(group: readonly Service[]): Promise<void> {
  for (const member of [...group].reverse()) await member.stop().catch(() => undefined)
}
