import { PikoError } from '../../errors.ts'
import { exitGuard } from './exit-guard.ts'
import { ProcessSignals, signalExitCode, type StopSignal } from '../../service/process-signals.ts'

/** A command that a signal ended before its work was done. */
export class InterruptedError extends PikoError {
  readonly signal: StopSignal

  constructor(signal: StopSignal, message: string, details: Record<string, unknown> = {}) {
    super('STOPPED', message, { details: { ...details, signal } })
    this.signal = signal
  }
}

/**
 * Waits for the first SIGINT or SIGTERM. The second one ends the process at once.
 *
 * @returns `release` gives both signals their usual meaning again
 */
export function stopSignals(): { readonly first: Promise<StopSignal>; readonly release: () => void } {
  const signals = new ProcessSignals(() => {})
  void signals.second.then((signal) => {
    exitGuard.allow()
    process.exit(signalExitCode(signal))
  })
  return { first: signals.first, release: () => signals.release() }
}
