import { onAbort } from './on-abort.ts'

/**
 * Resolves with the result of a promise, or rejects with the signal's reason as soon as the signal aborts. A later rejection of the promise
 * is dropped.
 */
export function untilAborted<T>(promise: PromiseLike<T>, signal: AbortSignal | undefined): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const leave = (): void => reject(signal?.reason as Error)
    if (signal?.aborted) leave()
    const settled = signal && !signal.aborted ? onAbort(signal, leave) : () => {}
    promise.then(
      (value) => {
        settled()
        resolve(value)
      },
      (reason: Error) => {
        settled()
        reject(reason)
      },
    )
  })
}
