import { isObject, safely } from '../errors-read.ts'

/** Encodes a head and a body as one value: the length of the head in 4 bytes, the head as JSON, the body. */
export function encodeEntry(head: object, body: Uint8Array): Uint8Array {
  const json = Buffer.from(JSON.stringify(head))
  const length = Buffer.alloc(4)
  length.writeUInt32BE(json.byteLength)
  return Uint8Array.from(Buffer.concat([length, json, body]))
}

/** Decodes a value of {@link encodeEntry}; undefined for any other bytes. */
export function decodeEntry<H extends object>(
  bytes: Uint8Array,
): { readonly head: H; readonly body: Uint8Array } | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (buffer.byteLength < 4) return undefined
  const end = 4 + buffer.readUInt32BE(0)
  if (end > buffer.byteLength) return undefined
  const head = safely(() => JSON.parse(buffer.toString('utf8', 4, end)) as unknown, undefined)
  // The body is copied, so that a step that changes it does not change the stored value.
  return isObject(head) ? { head: head as H, body: Uint8Array.from(buffer.subarray(end)) } : undefined
}
