import type { z } from 'zod'
import { describe } from '../errors.ts'
import { jsonCopy, pathText } from '../json/json-copy.ts'
import { deepFreeze } from '../json/deep-freeze.ts'
import { checkedBy } from '../job/schemas/schema-check.ts'

/** Converts the values of a cache to bytes and back. */
export interface CacheCodec<V> {
  /** Converts a value to bytes. @throws if the value can't be stored */
  encode(value: V): Uint8Array
  /** Converts bytes to a value. @throws if the bytes are not a valid value; the cache then loads the value again */
  decode(bytes: Uint8Array): V
}

/**
 * Stores values as JSON. With a schema, a stored value that the schema refuses is loaded again, so new code may change the type.
 *
 * Objects and lists are frozen, because all readers in a process share them.
 *
 * @param schema a zod schema, synchronous
 * @example codec: json(z.object({ rate: z.number() }))
 */
export function json<V = unknown>(): CacheCodec<V>
export function json<S extends z.ZodType>(schema: S): CacheCodec<z.output<S>>
export function json(schema?: z.ZodType): CacheCodec<unknown> {
  return {
    encode(value) {
      const copy = jsonCopy(value)
      const problems = copy.problems.map(({ path, text }) => `${pathText('value', path)} ${text}`)
      if (problems.length > 0) throw new TypeError(problems.join('; '))
      if (copy.value === undefined)
        throw new TypeError(`value is ${describe(value)}; expected a value that JSON can represent, such as null`)
      if (schema) parsed(schema, copy.value)
      return Buffer.from(JSON.stringify(copy.value))
    },
    decode(bytes) {
      const value: unknown = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString())
      return deepFreeze(schema ? parsed(schema, value) : value)
    },
  }
}

/** Stores bytes, such as the body of a response. All readers share the same array, so no code may change it. */
export function bytes(): CacheCodec<Uint8Array> {
  return {
    encode(value: unknown) {
      if (value instanceof Uint8Array) return value
      throw new TypeError(`value is ${describe(value)}; expected a Uint8Array`)
    },
    decode: (value) => value,
  }
}

function parsed(schema: z.ZodType, value: unknown): unknown {
  const answer = checkedBy(schema, value)
  if (!answer.issues) return answer.data
  const texts = answer.issues.map(({ path, message }) => `${path.map(String).join('.') || 'value'}: ${message}`)
  throw new TypeError(texts.join('; '))
}
