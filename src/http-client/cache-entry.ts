import { isObject, safely } from '../errors-read.ts'

/** A head as JSON and a body as one value: the length of the head, the head, the body. */
export function encodeEntry(head: object, body: Uint8Array): Uint8Array {
  const json = Buffer.from(JSON.stringify(head))
  const length = Buffer.alloc(4)
  length.writeUInt32BE(json.byteLength)
  return Uint8Array.from(Buffer.concat([length, json, body]))
}

/** The parts of a value; undefined if it is none. */
export function decodeEntry<H extends object>(
  bytes: Uint8Array,
): { readonly head: H; readonly body: Uint8Array } | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (buffer.byteLength < 4) return undefined
  const end = 4 + buffer.readUInt32BE(0)
  if (end > buffer.byteLength) return undefined
  const head = safely(() => JSON.parse(buffer.toString('utf8', 4, end)) as unknown, undefined)
  // A copy: what is stored must not change with what a step does.
  return isObject(head) ? { head: head as H, body: Uint8Array.from(buffer.subarray(end)) } : undefined
}
