import { constants } from 'node:os'

export type StopSignal = 'SIGINT' | 'SIGTERM' | 'SIGHUP'

const STOP_SIGNALS: readonly StopSignal[] = ['SIGINT', 'SIGTERM', 'SIGHUP']

/**
 * If a signal is repeated within this time, it counts once: npm and npx repeat a signal that the terminal has already sent to the whole
 * process group.
 */
const ECHO_MS = 500

/** Handles SIGUSR2 and the stop signals: SIGINT, SIGTERM and SIGHUP. Until `release`, none of these signals ends the process. */
export class ProcessSignals {
  readonly #first = Promise.withResolvers<StopSignal>()
  readonly #second = Promise.withResolvers<StopSignal>()
  readonly #report: () => void
  #asked: { readonly signal: StopSignal; readonly atMs: number } | undefined

  /** @param report called on each SIGUSR2 */
  constructor(report: () => void) {
    this.#report = report
    for (const signal of STOP_SIGNALS) process.on(signal, this.#onStop)
    if (process.platform !== 'win32') process.on('SIGUSR2', this.#report)
  }

  get first(): Promise<StopSignal> {
    return this.#first.promise
  }

  /** Resolves with the second stop signal. */
  get second(): Promise<StopSignal> {
    return this.#second.promise
  }

  /** Removes the listeners, so that signals have their default effect again. */
  release(): void {
    for (const signal of STOP_SIGNALS) process.off(signal, this.#onStop)
    process.off('SIGUSR2', this.#report)
  }

  readonly #onStop = (signal: StopSignal): void => {
    const nowMs = performance.now()
    if (this.#asked === undefined) {
      this.#asked = { signal, atMs: nowMs }
      this.#first.resolve(signal)
    } else if (signal !== this.#asked.signal || nowMs - this.#asked.atMs > ECHO_MS) {
      this.#second.resolve(signal)
    }
  }
}

/** Returns the exit code that a shell expects after a signal: 129, 130 or 143. */
export function signalExitCode(signal: StopSignal): number {
  return 128 + constants.signals[signal]
}
