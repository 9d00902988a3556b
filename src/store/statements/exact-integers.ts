/** The lists of values whose statements must keep integers beyond 2^53 exact. */
const exact = new WeakSet<object>()

/**
 * Marks the values of a user's statement. SQLite then returns an integer beyond 2^53 as a string, as MySQL does. Piko's own statements have
 * no such integers and skip this slower path.
 */
export function withExactIntegers<T extends readonly unknown[]>(values: T): T {
  exact.add(values)
  return values
}

export const wantsExactIntegers = (values: readonly unknown[]): boolean => exact.has(values)

export function exactInteger(value: unknown): unknown {
  if (typeof value !== 'bigint') return value
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : String(value)
}
