import { describe, isPikoError, PikoError } from '../errors.ts'
import { headline } from '../errors-read.ts'
import { mapInTurns } from '../loop-turn.ts'
import { isList } from '../options.ts'

const MAX_PROBLEMS = 20
/** The maximum number of items, because more would not fit into memory. The `length` of a proxy may be any number. */
const MAX_ITEMS = 100_000_000

/**
 * Calls `fn` for each item of one call. Nothing is stored before all items are accepted. One error names the refused items, at most 20.
 *
 * @param call the call as users write it
 * @throws PikoError with the code of the first refused item; `USAGE` if `items` is not a list
 */
export async function eachItem<T, U>(call: string, given: readonly T[], fn: (item: T) => U): Promise<U[]> {
  const items = itemsOf(call, given)
  const refused: { readonly index: number; readonly error: PikoError }[] = []
  const done: U[] = []
  await mapInTurns(items, (item, index) => {
    if (refused.length === MAX_PROBLEMS) return
    try {
      done.push(fn(item))
    } catch (error) {
      if (!isPikoError(error)) throw error
      refused.push({ index, error })
    }
  })
  const [first] = refused
  if (!first) return done
  throw new PikoError(
    first.error.code,
    refused.map(({ index, error }) => `item ${index}: ${error.message}`).join('\n'),
    {
      ...(first.error.cause !== undefined && { cause: first.error.cause }),
      details: { ...first.error.details, items: refused.map(({ index, error }) => ({ index, ...error.details })) },
    },
  )
}

/** Copies the caller's list. At run time, `given` may be any value. */
function itemsOf<T>(call: string, given: readonly T[]): readonly T[] {
  const advice = 'expected a list; write [...items] for a Set or a generator'
  if (!isList(given)) throw new PikoError('USAGE', `${call} got ${describe(given)} as its items; ${advice}`)
  try {
    if (given.length > MAX_ITEMS)
      throw new PikoError('USAGE', `${call} got ${given.length} items; expected at most ${MAX_ITEMS}: split the list`)
    return Array.from<T>(given)
  } catch (thrown) {
    if (isPikoError(thrown)) throw thrown
    throw new PikoError(
      'USAGE',
      `the items of ${call} can't be read: reading them threw ${headline(thrown)}; ${advice}`,
      {
        cause: thrown,
      },
    )
  }
}
