import { serialiseError } from '../error-transfer.ts'
import type { BatchResult, BatchTask, OffloadTask } from '../protocol.ts'

type Callable = (...args: readonly unknown[]) => unknown

/** Indexes in the shared state of a batch; see `BatchTask`. */
export const BEGUN = 0
export const BEGUN_AT = 1

/**
 * Calls the function for each item of the batch, one after another. With `reduce`, it combines the results in order and replies with a
 * single result.
 */
export async function performBatch(
  task: OffloadTask,
  { reduce, state }: BatchTask,
  map: Callable,
  functionOf: (task: Pick<OffloadTask, 'module' | 'name'>) => Promise<Callable> | Callable,
): Promise<readonly BatchResult[]> {
  const combine = reduce === undefined ? undefined : await functionOf({ module: task.module, name: reduce })
  const results: BatchResult[] = []
  for (const [index, item] of (task.args[0] as readonly unknown[]).entries()) {
    Atomics.store(state, BEGUN_AT, monotonicMs())
    Atomics.store(state, BEGUN, index + 1)
    const result = await settled(map, item)
    const before = results[0]
    if (combine === undefined || before === undefined || !('value' in before) || !('value' in result))
      results.push(result)
    else results[0] = await settled(combine, before.value, result.value)
    if (combine !== undefined && results.length > 1) return results.filter((one) => !('value' in one))
  }
  return results
}

async function settled(fn: Callable, ...args: readonly unknown[]): Promise<BatchResult> {
  try {
    const value = await fn(...args)
    return { value }
  } catch (error) {
    return { error: serialiseError(error) }
  }
}

/**
 * Returns the milliseconds of a monotonic clock that all threads share. It starts again at 0 every 25 days, so use only differences, with
 * the same mask.
 */
export function monotonicMs(): number {
  return Number((process.hrtime.bigint() / 1_000_000n) & 0x7fff_ffffn)
}
