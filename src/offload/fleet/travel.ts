import { isNativeError } from 'node:util/types'
import { Deserializer, Serializer } from 'node:v8'

/**
 * Encodes a value for another node. The other node decodes exactly what structured clone creates in a thread of this process.
 *
 * @returns undefined if the value can't be sent to another node, or needs more than `maxBytes`
 */
export function encoded(value: unknown, maxBytes: number): Buffer | undefined {
  if (!isSentAsCloned(value, maxBytes)) return undefined
  try {
    // `v8.serialize` would give each view of a buffer a buffer of its own. This class, its base, encodes views with their buffers.
    const serializer = new Serializer()
    serializer.writeHeader()
    serializer.writeValue(value)
    const bytes = serializer.releaseBuffer()
    return bytes.length > maxBytes ? undefined : bytes
  } catch {
    return undefined
  }
}

/** Decodes what {@link encoded} has returned. */
export function decoded(bytes: Buffer): unknown {
  const deserializer = new Deserializer(bytes)
  deserializer.readHeader()
  return deserializer.readValue() as unknown
}

/**
 * Whether the encoding of a value preserves everything that structured clone does. Structured clone also knows classes of Node.js, such as
 * `Blob` or `DOMException`, and refuses others, such as `URL`. V8's encoding turns them into empty objects.
 */
function isSentAsCloned(root: unknown, maxBytes: number): boolean {
  const seen = new Set<object>()
  const classes = new Map<object, boolean>()
  const left: object[] = []
  const add = (value: unknown): void => {
    if (typeof value === 'object' && value !== null) left.push(value)
  }
  let bufferBytes = 0
  add(root)
  for (let value = left.pop(); value !== undefined; value = left.pop()) {
    if (seen.has(value)) continue
    seen.add(value)
    if (ArrayBuffer.isView(value)) add(value.buffer)
    else if (value instanceof ArrayBuffer) bufferBytes += value.byteLength
    else if (Array.isArray(value) || value instanceof Set) for (const item of value) add(item)
    else if (value instanceof Map)
      for (const [key, item] of value) {
        add(key)
        add(item)
      }
    else if (isNativeError(value) && !(value instanceof DOMException)) add(value.cause)
    else {
      const prototype = Object.getPrototypeOf(value) as object | null
      if (prototype !== Object.prototype && prototype !== null) {
        const isKnown = classes.get(prototype) ?? becomesPlain(value)
        if (!isKnown) return false
        classes.set(prototype, isKnown)
      }
      if (!(value instanceof Date || value instanceof RegExp)) for (const item of Object.values(value)) add(item)
    }
    if (bufferBytes > maxBytes) return false
  }
  return true
}

/** Whether structured clone treats an object as one of JavaScript itself: a plain object, a date, a boxed value. */
function becomesPlain(value: object): boolean {
  try {
    const copy: unknown = structuredClone(value)
    const prototype = Object.getPrototypeOf(copy) as object
    return prototype === Object.prototype || PLAIN.has(prototype)
  } catch {
    return false
  }
}

const PLAIN: ReadonlySet<object> = new Set(
  [Date, RegExp, Number, String, Boolean, BigInt].map(({ prototype }) => prototype as object),
)
