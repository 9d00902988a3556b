import { type Clock, TIME_LIMIT } from '../clock.ts'
import { LinkedSignal } from '../signals/linked-signal.ts'

export interface Limit {
  readonly clock: Clock
  readonly ms: number
  /** A description of the call, for the message. */
  readonly what: string
  /** Aborting this signal ends the wait earlier, with the signal's reason. */
  readonly signal?: AbortSignal
}

/**
 * Calls a function with a time limit.
 *
 * @param call receives a signal that aborts when the time is over
 * @param onLate receives a result that comes after that; a late error is dropped
 * @throws an error that names the time limit if it is exceeded; the signal's reason if it aborts first; any error of `call`
 */
export async function within<T>(
  { clock, ms, what, signal }: Limit,
  call: (signal: AbortSignal) => PromiseLike<T> | T,
  onLate: (value: T) => void = () => {},
): Promise<T> {
  signal?.throwIfAborted()
  const limit = new LinkedSignal(signal)
  const over = new AbortController()
  const result = Promise.withResolvers<T>()
  const end = (): void => result.reject(limit.signal.reason as Error)
  let isLate = false
  limit.signal.addEventListener('abort', () => {
    isLate = true
    end()
  })
  void clock.sleep(ms, over.signal, TIME_LIMIT).then(() => {
    if (!over.signal.aborted) limit.abort(new Error(`${what} took longer than ${ms} ms`))
  })
  void (async () => call(limit.signal))().then(
    (value) => (isLate ? onLate(value) : result.resolve(value)),
    (thrown: unknown) => result.reject(thrown),
  )
  try {
    return await result.promise
  } finally {
    over.abort()
    limit.release()
  }
}
