import { constants } from 'node:os'
import { PikoError } from '../errors.ts'

export type StopSignal = 'SIGINT' | 'SIGTERM'

/** What a shell expects of a process that a signal ended: 130 and 143. */
export function signalExitCode(signal: StopSignal): number {
  return 128 + constants.signals[signal]
}

/** A command that a signal ended before its work was done. */
export class InterruptedError extends PikoError {
  readonly signal: StopSignal

  constructor(signal: StopSignal, message: string, details: Record<string, unknown> = {}) {
    super('STOPPED', message, { details: { ...details, signal } })
    this.signal = signal
  }
}

/** npm and npx send on what the terminal has already sent to the whole process group: that is one Ctrl-C, not two. */
const ECHO_MS = 500

/**
 * Waits for the first SIGINT or SIGTERM. The second one ends the process at once.
 *
 * @returns `release` gives both signals their usual meaning again
 */
export function stopSignals(): { readonly first: Promise<StopSignal>; readonly release: () => void } {
  const first = Promise.withResolvers<StopSignal>()
  let asked: { signal: StopSignal; atMs: number } | undefined
  const onSignal = (signal: StopSignal): void => {
    const nowMs = performance.now()
    if (asked === undefined) {
      asked = { signal, atMs: nowMs }
      first.resolve(signal)
    } else if (signal !== asked.signal || nowMs - asked.atMs > ECHO_MS) {
      process.exit(signalExitCode(signal))
    }
  }
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal)
  return { first: first.promise, release: () => void process.off('SIGINT', onSignal).off('SIGTERM', onSignal) }
}
