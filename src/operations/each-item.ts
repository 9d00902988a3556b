import { isPikoError, PikoError } from '../errors.ts'
import { mapInTurns } from '../loop-turn.ts'

const MAX_PROBLEMS = 20

/**
 * Calls `fn` for each item of one call. One error names all refused items, before anything is stored.
 *
 * @throws PikoError with the code of the first refused item
 */
export async function eachItem<T, U>(items: readonly T[], fn: (item: T) => U): Promise<U[]> {
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
