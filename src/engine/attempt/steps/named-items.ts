import { itemName } from './step-options.ts'

interface NamedItem<T> {
  readonly item: T
  readonly name: string
}

/**
 * Yields the items with the names of their steps. A list is checked before its first step begins, any other source while it is read.
 *
 * @throws PikoError `USAGE` for an invalid key, and the error of `duplicate` if two items have the same name
 */
export function namedItems<T>(
  name: string,
  items: Iterable<T> | AsyncIterable<T>,
  keyOf: (item: T, index: number) => unknown,
  duplicate: (name: string) => Error,
): Iterable<NamedItem<T>> | AsyncIterable<NamedItem<T>> {
  const taken = new Set<string>()
  let index = 0
  const named = (item: T): NamedItem<T> => {
    const whole = itemName(name, keyOf(item, index), index)
    index += 1
    if (taken.has(whole)) throw duplicate(whole)
    taken.add(whole)
    return { item, name: whole }
  }
  return Array.isArray(items) ? (items as T[]).map(named) : eachNamed(items, named)
}

async function* eachNamed<T>(
  items: Iterable<T> | AsyncIterable<T>,
  named: (item: T) => NamedItem<T>,
): AsyncGenerator<NamedItem<T>> {
  for await (const item of items) yield named(item)
}
