import { isPikoError, PikoError } from '../errors.ts'

const MAX_PROBLEMS = 20

/**
 * Does `fn` for each of the items that one call was given. Those that are refused are named together, before anything is stored.
 *
 * @throws PikoError with the code of the first item that is refused
 */
export function eachItem<T, U>(items: readonly T[], fn: (item: T) => U): U[] {
  const refused: { readonly index: number; readonly error: PikoError }[] = []
  const done: U[] = []
  for (const [index, item] of items.entries()) {
    try {
      done.push(fn(item))
    } catch (error) {
      if (!isPikoError(error)) throw error
      refused.push({ index, error })
      if (refused.length === MAX_PROBLEMS) break
    }
  }
  const [first] = refused
  if (!first) return done
  throw new PikoError(
    first.error.code,
    refused.map(({ index, error }) => `item ${index}: ${error.message}`).join('\n'),
    { details: { ...first.error.details, items: refused.map(({ index, error }) => ({ index, ...error.details })) } },
  )
}
