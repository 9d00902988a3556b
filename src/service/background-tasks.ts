import { setImmediate as nextTurn } from 'node:timers/promises'
import { isError, propertyOf } from '../errors-read.ts'
import { toError } from '../errors.ts'
import type { Clock } from '../clock.ts'

/** A running background task. */
export interface TaskInfo {
  readonly name: string
  readonly kind: 'task' | 'timer' | 'crontab'
  /** How long the task has been running, in milliseconds. */
  readonly runningMs: number
}

interface Running {
  readonly name: string
  readonly kind: TaskInfo['kind']
  readonly sinceMs: number
  readonly ended: Promise<void>
}

/** The background tasks of one life of a service, from its start to its stop. */
export class BackgroundTasks {
  readonly #signal: AbortSignal
  readonly #clock: Clock
  readonly #failed: (error: Error) => void
  readonly #running = new Set<Running>()
  #isAbandoned = false

  /** @param failed receives the errors of tasks, except the abort itself and errors after `settle` */
  constructor(signal: AbortSignal, clock: Clock, failed: (error: Error) => void) {
    this.#signal = signal
    this.#clock = clock
    this.#failed = failed
  }

  get running(): readonly TaskInfo[] {
    const nowMs = this.#clock.monotonic()
    return [...this.#running].map(({ name, kind, sinceMs }) => ({ name, kind, runningMs: nowMs - sinceMs }))
  }

  /** Launches a task. The task begins in the next turn of the event loop, so that a start without any await ends before its tasks begin. */
  launch(name: string, kind: TaskInfo['kind'], body: (signal: AbortSignal) => unknown): void {
    const task: Running = {
      name,
      kind,
      sinceMs: this.#clock.monotonic(),
      ended: this.#run(body).finally(() => this.#running.delete(task)),
    }
    this.#running.add(task)
  }

  /**
   * Waits until the tasks have ended after the signal's abort, but at most `graceMs`.
   *
   * @returns the names of tasks that are still running; their later errors are dropped
   */
  async settle(graceMs: number): Promise<readonly string[]> {
    if (this.#running.size > 0) {
      const ended = new AbortController()
      const all = Promise.all([...this.#running].map((task) => task.ended)).then(() => ended.abort())
      await Promise.race([all, this.#clock.sleep(graceMs, ended.signal)])
    }
    this.#isAbandoned = true
    return [...this.#running].map((task) => task.name)
  }

  async #run(body: (signal: AbortSignal) => unknown): Promise<void> {
    await nextTurn()
    if (this.#signal.aborted) return
    try {
      await body(this.#signal)
    } catch (thrown) {
      if (this.#isAbandoned || isCancellation(thrown, this.#signal)) return
      this.#failed(toError(thrown))
    }
  }
}

/** Whether the signal's abort is the reason why code threw this: it is the signal's reason, has it as its cause, or is an `AbortError`. */
export function isCancellation(thrown: unknown, signal: AbortSignal): boolean {
  if (!signal.aborted) return false
  if (thrown === signal.reason) return true
  return (
    isError(thrown) && (propertyOf(thrown, 'name') === 'AbortError' || propertyOf(thrown, 'cause') === signal.reason)
  )
}
