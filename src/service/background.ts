import type { Clock } from '../clock.ts'
import type { Schedule } from '../time/schedule.ts'
import { BackgroundTasks, type TaskInfo } from './background-tasks.ts'
import type { Declared } from './decorators.ts'
import { runCrontab, runTimer, TimerRecord, type TimerStats } from './timer.ts'

type Body = (signal: AbortSignal) => unknown

export interface BackgroundParts {
  readonly signal: AbortSignal
  readonly clock: () => Clock
  /** Receives every error except the abort itself. */
  readonly failed: (error: Error) => void
  readonly skipped: (timer: string, count: number) => void
}

/** The background work of one life of a service, from its start to its stop: tasks, timers and crontabs. */
export class Background {
  readonly #parts: BackgroundParts
  readonly #tasks: BackgroundTasks
  readonly #timers: TimerRecord[] = []

  constructor(parts: BackgroundParts) {
    this.#parts = parts
    this.#tasks = new BackgroundTasks(parts.signal, parts.clock(), parts.failed)
  }

  get running(): readonly TaskInfo[] {
    return this.#tasks.running
  }

  get timerStats(): readonly TimerStats[] {
    return this.#timers.map((record) => record.stats)
  }

  task(name: string, body: Body): void {
    this.#tasks.launch(name, 'task', body)
  }

  timer(name: string, every: string, intervalMs: number, delayMs: number, fire: Body): void {
    const clock = this.#parts.clock()
    const firstMs = clock.monotonic() + delayMs
    const [record, skipped] = this.#record(name, every)
    this.#tasks.launch(name, 'timer', (signal) =>
      runTimer(intervalMs, firstMs, { clock, signal, record, fire, skipped }),
    )
  }

  crontab(name: string, expression: string, schedule: Schedule, fire: Body): void {
    const clock = this.#parts.clock()
    const [record, skipped] = this.#record(name, expression)
    this.#tasks.launch(name, 'crontab', (signal) => runCrontab(schedule, { clock, signal, record, fire, skipped }))
  }

  /** Launches the methods that decorators declare. */
  declared(service: object, methods: Iterable<Declared>): void {
    for (const { name, trigger, method } of methods) {
      const body: Body = (signal) => method(service).call(service, signal)
      if (trigger.kind === 'task') this.task(name, body)
      else if (trigger.kind === 'timer') {
        this.timer(name, trigger.every, trigger.intervalMs, trigger.firstMs, body)
      } else this.crontab(name, trigger.expression, trigger.schedule, body)
    }
  }

  /** Waits until the tasks have ended, but at most `graceMs`. See `BackgroundTasks.settle`. */
  settle(graceMs: number): Promise<readonly string[]> {
    return this.#tasks.settle(graceMs)
  }

  #record(name: string, schedule: string): [TimerRecord, (count: number) => void] {
    const record = new TimerRecord(name, schedule)
    this.#timers.push(record)
    return [record, (count) => this.#parts.skipped(name, count)]
  }
}
