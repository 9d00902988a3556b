import { Semaphore } from '../resource/semaphore.ts'
import { drawn, type Source } from './drawn.ts'

/**
 * Calls `fn` for every item, at most `concurrency` at the same time, and returns the settled results in order. Takes an item only when a
 * call may start, so it never reads ahead in an endless source.
 *
 * After an abort it takes no further item, waits for the running calls, and rejects with the signal's reason. If the source fails, it does
 * the same and rejects with the source's error.
 */
export async function fanOut<T, U>(
  items: Source<T>,
  fn: (item: T, index: number) => Promise<U> | U,
  concurrency: number,
  signal: AbortSignal,
): Promise<PromiseSettledResult<U>[]> {
  const results: PromiseSettledResult<U>[] = []
  const places = new Semaphore(concurrency)
  const call = async (item: T, index: number): Promise<void> => {
    results[index] = await settled(() => fn(item, index))
    places.release()
  }
  let index = 0
  await places.acquire()
  try {
    for await (const item of drawn(items, signal)) {
      void call(item, index++)
      await places.acquire()
    }
  } finally {
    places.release()
    await places.idle()
  }
  signal.throwIfAborted()
  return results
}

/** Returns the settled result of a call. Never rejects. */
export async function settled<U>(call: () => Promise<U> | U): Promise<PromiseSettledResult<U>> {
  try {
    return { status: 'fulfilled', value: await call() }
  } catch (reason) {
    return { status: 'rejected', reason }
  }
}
