import { inspect } from 'node:util'
import { aFunction, aTable, flag, oneOf, type OptionChecks } from '../options.ts'
import { type Duration, durationMs } from '../time/duration.ts'
import { visible } from '../visible.ts'
import { say } from '../say.ts'
import { CONSOLE_LEVELS, type ConsoleLevel, consoleLog } from './console-log.ts'
import type { ServiceObserver } from './observer.ts'
import { ProcessSignals, signalExitCode, type StopSignal } from './process-signals.ts'
import { Service, type ServiceOptions } from './service.ts'
import { aDuration } from '../time/duration-check.ts'
import { assertOptions, childProblems, SERVICE_CHECKS } from './service-options.ts'
import { serviceReport, unstopped } from './service-report.ts'
import { lifeLog } from './tree-log.ts'

export interface WorkerOptions extends ServiceOptions {
  /** The lowest level that the default `log` writes. Default `'info'`. */
  readonly logLevel?: ConsoleLevel
  /** Whether the default `log` writes one JSON object per line instead of text. Default false. */
  readonly logJson?: boolean
  /** The time limit of a stop. After it, `run` ends anyway. Default `'30s'`. */
  readonly stopDeadline?: Duration
  /** Observes starts, stops and crashes in the tree. Default: writes a log line for each. */
  readonly lifeLog?: ServiceObserver
  /** Prints errors and reports. Default: to standard error. */
  readonly print?: (text: string) => void
}

const CHECKS: OptionChecks<WorkerOptions> = {
  ...SERVICE_CHECKS,
  logLevel: oneOf(...CONSOLE_LEVELS),
  logJson: flag,
  stopDeadline: aDuration(),
  lifeLog: aTable,
  print: aFunction,
}

/** The longest time that a timer of Node.js can have. */
const MAX_TIMER_MS = 2 ** 31 - 1

type End =
  | { readonly kind: 'signal'; readonly signal: StopSignal }
  | { readonly kind: 'crash'; readonly error: unknown }
  | { readonly kind: 'stopped' }

/**
 * The root of a process: runs services until a signal, a crash or a stop.
 *
 * - SIGINT, SIGTERM and SIGHUP stop the tree within the deadline; a second signal ends `run` immediately. The same signal within
 * half a second counts once, because npm repeats a signal that the terminal has already sent.
 * - SIGUSR2 prints every service with its state, tasks and timers, and what keeps the process alive.
 *
 * Exit codes: 0 after a clean stop; 1 after a crash or an error while stopping; 129 (SIGHUP), 130 (SIGINT) or 143 (SIGTERM) after a second
 * signal, or if a stop after a signal passed its deadline.
 */
export class Worker extends Service {
  readonly #deadlineMs: number
  readonly #print: (text: string) => void

  /** @param options the default `log` writes lines to standard output */
  constructor(services: readonly Service[], options: WorkerOptions = {}) {
    const isService = (value: unknown): boolean => value instanceof Service
    assertOptions(
      { name: new.target.name, isOpen: new.target !== Worker },
      options,
      CHECKS,
      childProblems('services', services, isService),
    )
    const { clock, logLevel: level = 'info', logJson: json = false } = options
    super({ log: consoleLog(process.stdout, clock, { level, json }), ...options })
    this.#deadlineMs = durationMs(options.stopDeadline ?? '30s', 'stopDeadline')
    this.#print = options.print ?? ((text) => say(visible(text)))
    for (const service of services) this.addChild(service)
    this.observe(options.lifeLog ?? lifeLog)
  }

  override get kind(): 'worker' {
    return 'worker'
  }

  /**
   * Starts the services, and resolves with the exit code when they have stopped and the signal listeners are removed. Never rejects. After
   * a forced end, services may still be working: call `process.exit`.
   */
  async run(): Promise<number> {
    const signals = new ProcessSignals(() => this.#print(serviceReport(this)))
    // A listener for signals does not keep a process alive, and services may wait for nothing else.
    const alive = setInterval(() => {}, MAX_TIMER_MS)
    try {
      return await Promise.race([signals.second.then((signal) => this.#ended(signal)), this.#live(signals)])
    } finally {
      clearInterval(alive)
      signals.release()
    }
  }

  #ended(signal: StopSignal): number {
    this.log.warn(`Ending immediately on a second signal, ${signal}; still running: ${unstopped(this).join(', ')}`)
    return signalExitCode(signal)
  }

  async #live(signals: ProcessSignals): Promise<number> {
    const started = this.start()
    const end = await this.#end(started, signals)
    if (end.kind === 'signal') this.log.info(`Stopping on ${end.signal}`)
    if (end.kind === 'crash') this.#print(inspect(end.error))
    const stopped = Promise.allSettled([this.stop(), started]).then(([stop]) => stop)
    const result = await this.#withinDeadline(stopped)
    if (result === undefined) {
      this.#print(`not stopped within ${this.#deadlineMs} ms: ${unstopped(this).join(', ')}`)
      return end.kind === 'signal' ? signalExitCode(end.signal) : 1
    }
    if (result.status === 'fulfilled') return end.kind === 'crash' ? 1 : 0
    this.#print(inspect(result.reason))
    return 1
  }

  async #end(started: Promise<void>, signals: ProcessSignals): Promise<End> {
    const signal = signals.first.then((name): End => ({ kind: 'signal', signal: name }))
    const life = started
      .then(() => this.waitUntilStopped())
      .then(
        (): End => ({ kind: 'stopped' }),
        (error: unknown): End => ({ kind: 'crash', error }),
      )
    return Promise.race([signal, life])
  }

  /** Waits for work until the deadline. @returns undefined if the deadline passes first */
  async #withinDeadline<T>(work: Promise<T>): Promise<T | undefined> {
    const done = new AbortController()
    const deadline = this.clock.sleep(this.#deadlineMs, done.signal).then(() => undefined)
    return Promise.race([work, deadline]).finally(() => done.abort())
  }
}

/** Runs the services as the only work of this process, then exits with their code; see {@link Worker}. */
export async function runWorker(services: readonly Service[], options: WorkerOptions = {}): Promise<never> {
  process.exit(await new Worker(services, options).run())
}
