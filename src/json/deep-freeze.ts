/** The maximum depth to which values are frozen, because the function calls itself for each level. */
const MAX_DEPTH = 500

/**
 * Freezes plain objects and lists with everything in them, so that readers who share a value can't change it. Other objects, such as a
 * `Date` or a `Map`, are not frozen.
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
