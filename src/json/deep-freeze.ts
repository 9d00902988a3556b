/** The maximum number of levels, because it recurses once per level. */
const MAX_DEPTH = 500

/**
 * Freezes plain objects and lists, with all that they contain: readers that share a value can't change it for each other. Leaves other
 * objects, such as a `Date` or a `Map`, as they are.
 *
 * @returns the same value
 */
export function deepFreeze<T>(value: T, depth = 0): T {
  if (!isPlain(value) || Object.isFrozen(value) || depth > MAX_DEPTH) return value
  Object.freeze(value)
  for (const part of Object.values(value)) deepFreeze(part, depth + 1)
  return value
}

function isPlain(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  if (Array.isArray(value)) return true
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
