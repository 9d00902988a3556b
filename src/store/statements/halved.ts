import { isRefusedValue } from '../../sql/database-faults.ts'

/**
 * Writes many items in one go. When the database refuses a value, the batch is halved until the culprits stand alone: each of them goes to
 * `alone`, and the others are written. Any other error, such as an outage or contention, is thrown as it is: halving would not help.
 *
 * @param write writes all items that it gets, or none; it may be called with any part of them, in their order
 * @param alone deals with an item that is refused by itself
 * @param isCulprit whether an error may be that of a single item; default: it is that of a refused value
 * @returns the answers of `write` and of `alone`, in the order of the items
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
