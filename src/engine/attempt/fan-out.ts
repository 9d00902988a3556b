import { describe, PikoError } from '../../errors.ts'

/**
 * Calls `fn` for every item, at most `concurrency` at the same time, and returns the settled results in order. Takes an item only when a
 * place is free, so it never reads ahead in an endless source.
 *
 * After an abort it takes no further item, waits for the running calls and rejects with the signal's reason. It does the same with the
 * source's error if the source fails.
 *
 * @throws PikoError `USAGE` for a concurrency below 1
 */
export async function fanOut<T, U>(
  items: Iterable<T> | AsyncIterable<T>,
  fn: (item: T, index: number) => Promise<U> | U,
  concurrency: number,
  signal: AbortSignal,
): Promise<PromiseSettledResult<U>[]> {
  if (!Number.isSafeInteger(concurrency) || concurrency < 1) {
    throw new PikoError('USAGE', `map's concurrency is ${describe(concurrency)}; expected a whole number of at least 1`)
  }
  const results: PromiseSettledResult<U>[] = []
  const underWay = new Set<Promise<void>>()
  let index = 0
  signal.throwIfAborted()
  try {
    for await (const item of items) {
      if (signal.aborted) break
      const place = index++
      const call: Promise<void> = settleOne(() => fn(item, place)).then((result) => {
        results[place] = result
        underWay.delete(call)
      })
      underWay.add(call)
      if (underWay.size >= concurrency) await Promise.race(underWay)
      if (signal.aborted) break
    }
  } finally {
    await Promise.all(underWay)
  }
  signal.throwIfAborted()
  return results
}

async function settleOne<U>(call: () => Promise<U> | U): Promise<PromiseSettledResult<U>> {
  try {
    return { status: 'fulfilled', value: await call() }
  } catch (reason) {
    return { status: 'rejected', reason }
  }
}
