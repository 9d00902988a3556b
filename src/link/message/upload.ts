import { Readable } from 'node:stream'
import type { Body } from './body.ts'

/** The bytes of an upload, and the file to remove after the handler has ended. */
export interface Upload {
  readonly stream: () => Readable
  readonly remove: () => Promise<void>
}

/**
 * Prepares the bytes of an upload for its handler.
 *
 * @param spool where to collect all bytes before the handler is called; undefined: the handler reads while bytes arrive
 */
export async function uploadOf(body: Body, spool: 'memory' | 'file' | number | undefined): Promise<Upload> {
  if (spool === undefined) return streamed(body)
  if (spool === 'memory') return inMemory(await body.bytes())
  const spooled = await body.spooled(spool === 'file' ? 0 : spool)
  return spooled instanceof Uint8Array
    ? inMemory(spooled)
    : { stream: () => spooled.stream(), remove: () => spooled.remove() }
}

function streamed(body: Body): Upload {
  let stream: Readable | undefined
  return {
    stream: () => (stream ??= body.stream()),
    remove: async () => {
      stream?.destroy()
    },
  }
}

function inMemory(bytes: Uint8Array): Upload {
  return { stream: () => Readable.from(pieces(bytes), { objectMode: false }), remove: () => Promise.resolve() }
}

function* pieces(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536)
}
