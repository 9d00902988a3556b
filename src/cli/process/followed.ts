import { toError } from '../../errors.ts'
import { formatMs } from '../../time/duration.ts'
import { ProgressBar } from '../output/progress-bar.ts'
import { InterruptedError, stopSignals } from './stop-signals.ts'

interface Progress {
  readonly done: number
  readonly total: number
  readonly failed: number
  readonly ratePerSecond?: number | undefined
  readonly etaMs?: number | undefined
}

interface WaitOptions<S> {
  readonly signal: AbortSignal
  readonly onProgress: (status: S) => void
}

/**
 * Waits until work on the running nodes has ended, and shows a progress bar. A signal ends only the wait; the work continues.
 *
 * @param what the name of the work, such as `batch 3`
 * @param show the command that shows the work again, for the message after a signal
 * @param stateOf a word to show before the progress; default: none
 */
export async function followed<S extends Progress>(
  { what, show, json }: { readonly what: string; readonly show: string; readonly json: boolean },
  wait: (options: WaitOptions<S>) => Promise<S>,
  stateOf: (status: S) => string | undefined = () => undefined,
): Promise<S> {
  const signals = stopSignals()
  const stop = new AbortController()
  const bar = process.stderr.isTTY && !json ? new ProgressBar() : undefined
  void signals.first.then((signal) => {
    stop.abort(new InterruptedError(signal, `${signal}: ${what} continues; see ${show}`))
  })
  try {
    return await wait({
      signal: stop.signal,
      onProgress: (status) =>
        bar?.show({ done: status.done, total: status.total, message: messageOf(status, stateOf(status)) }),
    })
  } catch (thrown) {
    throw stop.signal.aborted ? toError(stop.signal.reason) : thrown
  } finally {
    bar?.hide()
    signals.release()
  }
}

function messageOf({ failed, ratePerSecond, etaMs }: Progress, state: string | undefined): string {
  const parts = [
    state,
    failed > 0 ? `${failed} failed` : undefined,
    ratePerSecond === undefined ? undefined : `${ratePerSecond.toFixed(1)}/s`,
    etaMs === undefined ? undefined : `${formatMs(etaMs)} left`,
  ]
  return parts.filter((part) => part !== undefined).join(', ')
}
