import { isObject } from '../errors-read.ts'
import { batches } from './batches.ts'
import { completed } from './completed.ts'
import { first } from './first.ts'
import { LinkedSignal } from '../signals/linked-signal.ts'
import { retry } from './retry.ts'
import { timeout } from './timeout.ts'

// The context of a handler imports this file on first use, because most handlers do not need it.
export { mapItems } from './map-items.ts'

/** The helpers of `piko/async` that accept a signal. Here, each call also ends when the signal of the run aborts. */
export interface RunCalls {
  readonly retry: typeof retry
  readonly timeout: typeof timeout
  readonly first: typeof first
  readonly completed: typeof completed
  readonly batches: typeof batches
}

/** Options with a signal. */
interface WithSignal {
  readonly signal?: AbortSignal
}

export function runCalls(run: AbortSignal): RunCalls {
  return {
    retry: (fn, options) => ending(run, options, (joined) => retry(fn, joined)),
    timeout: (fn, time, options) => ending(run, options ?? {}, (joined) => timeout(fn, time, joined)),
    first: (fns, options) => ending(run, options ?? {}, (joined) => first(fns, joined)),
    completed: (items, fn, options) => giving(run, options ?? {}, (joined) => completed(items, fn, joined)),
    batches: (items, options) => giving(run, options ?? {}, (joined) => batches(items, joined)),
  }
}

async function ending<O extends WithSignal, T>(
  run: AbortSignal,
  options: O,
  call: (options: O) => Promise<T>,
): Promise<T> {
  const [joined, release] = join(run, options)
  try {
    return await call(joined)
  } finally {
    release()
  }
}

async function* giving<O extends WithSignal, T>(
  run: AbortSignal,
  options: O,
  call: (options: O) => AsyncGenerator<T, void, void>,
): AsyncGenerator<T, void, void> {
  const [joined, release] = join(run, options)
  try {
    yield* call(joined)
  } finally {
    release()
  }
}

/**
 * Returns the options with a signal that aborts with either of two signals: the run's and the caller's. Wrong options are returned
 * unchanged, because the called function refuses them.
 */
function join<O extends WithSignal>(run: AbortSignal, options: O): readonly [options: O, release: () => void] {
  if (!isObject(options) || Array.isArray(options)) return [options, () => {}]
  const { signal: own } = options
  if (own === undefined) return [{ ...options, signal: run }, () => {}]
  if (!(own instanceof AbortSignal)) return [options, () => {}]
  const linked = new LinkedSignal(run, own)
  return [{ ...options, signal: linked.signal }, () => linked.release()]
}
