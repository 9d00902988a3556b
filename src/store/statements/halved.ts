import { isRefusedValue } from '../../sql/database-faults.ts'

/**
 * Writes many items together. If the database refuses a value, halves the batch again and again, until it finds the items that are refused
 * even alone, and passes these to `alone`. Writes all other items. Any other error, such as an outage or contention, is thrown unchanged,
 * because halving would not help.
 *
 * @param write writes all its items or none; receives any part of the items, in their order
 * @param alone handles an item that is refused alone
 * @param isCulprit whether a single item may have caused an error; default: a refused value
 * @returns the results of `write` and of `alone`, in the order of the items
 */
export async function halved<T, R>(
  items: readonly T[],
  write: (items: readonly T[]) => Promise<R>,
  alone: (item: T, refusal: unknown) => R | Promise<R>,
  isCulprit: (error: unknown) => boolean = isRefusedValue,
): Promise<R[]> {
  try {
    return [await write(items)]
  } catch (thrown) {
    if (!isCulprit(thrown)) throw thrown
    const [only, ...others] = items
    if (only === undefined) throw thrown
    if (others.length === 0) return [await alone(only, thrown)]
    const middle = Math.ceil(items.length / 2)
    const first = await halved(items.slice(0, middle), write, alone, isCulprit)
    return [...first, ...(await halved(items.slice(middle), write, alone, isCulprit))]
  }
}
