/**
 * The limits of a chunk; the first one that is reached ends the chunk. Each chunk costs a message, but small chunks are cheaper for the
 * garbage collector.
 */
export const MAX_CHUNK_ROWS = 1_000
export const MAX_CHUNK_BYTES = 128 * 1_024
/** How many chunks may be sent but not yet read. */
export const MAX_CHUNKS_AHEAD = 2

const MAX_DEPTH = 6
/** The estimated size of a number, in bytes. Every other value has this size in addition to its content. */
const WORD = 8

/**
 * Estimates the size of a value in a message, in bytes. Stops at `MAX_CHUNK_BYTES`, because the chunk ends there anyway. Calls each getter
 * at most once.
 */
export function sizeOf(value: unknown, depth = 0): number {
  if (typeof value === 'string') return value.length + WORD
  if (typeof value !== 'object' || value === null) return WORD
  if (ArrayBuffer.isView(value)) return value.byteLength + WORD
  if (value instanceof ArrayBuffer) return value.byteLength + WORD
  if (depth >= MAX_DEPTH) return WORD
  return WORD + sizeOfParts(value, depth)
}

function sizeOfParts(value: object, depth: number): number {
  let bytes = 0
  if (Array.isArray(value) || value instanceof Set) {
    for (const part of value as Iterable<unknown>) {
      bytes += sizeOf(part, depth + 1)
      if (bytes > MAX_CHUNK_BYTES) break
    }
    return bytes
  }
  if (value instanceof Map) {
    for (const [key, part] of value) bytes += sizeOf(key, depth + 1) + sizeOf(part, depth + 1)
    return bytes
  }
  for (const key in value) {
    bytes += key.length + sizeOf((value as Record<string, unknown>)[key], depth + 1)
    if (bytes > MAX_CHUNK_BYTES) break
  }
  return bytes
}
