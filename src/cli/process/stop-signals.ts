import { PikoError } from '../../errors.ts'
import { exitGuard } from './exit-guard.ts'
import { ProcessSignals, signalExitCode, type StopSignal } from '../../service/process-signals.ts'

/** The error of a command that a signal stopped before its work, or its wait for other work, was done. */
export class InterruptedError extends PikoError {
  readonly signal: StopSignal

  constructor(signal: StopSignal, message: string, details: Record<string, unknown> = {}) {
    super('STOPPED', message, { details: { ...details, signal } })
    this.signal = signal
  }
}

/**
 * Waits for the first SIGINT or SIGTERM. A second one ends the process immediately.
 *
 * @returns also `release`, which removes the listeners, so that both signals have their default effect again
 */
export function stopSignals(): { readonly first: Promise<StopSignal>; readonly release: () => void } {
  const signals = new ProcessSignals(() => {})
  void signals.second.then((signal) => {
    exitGuard.allow()
    process.exit(signalExitCode(signal))
  })
  return { first: signals.first, release: () => signals.release() }
}
