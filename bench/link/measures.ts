import { createHash } from 'node:crypto'
import packageJson from 'piko/package.json' with { type: 'json' }
import type { About } from '../harness/system.ts'

export const ABOUT: About = {
  versions: { package: packageJson.version, node: process.version },
  settings: {},
}
export const BULK_BYTES = 268_435_456
export const PIECE = Buffer.alloc(65_536, 7)
/** Calls in progress at the same time. */
const AT_ONCE = 50

/** The SHA-256 of the bulk. */
export function bulkHash(): string {
  const hash = createHash('sha256')
  for (let sent = 0; sent < BULK_BYTES; sent += PIECE.length) hash.update(PIECE)
  return hash.digest('hex')
}

/** The bulk as a stream. */
export function* bulk(bytes = BULK_BYTES): Generator<Buffer> {
  for (let sent = 0; sent < bytes; sent += PIECE.length) yield PIECE
}

/** Calls per second. */
export async function callsPerSecond(count: number, call: (index: number) => Promise<unknown>): Promise<number> {
  // Both ends are compiled before the time counts.
  await callAll(count, call)
  const from = performance.now()
  await callAll(count, call)
  return (count * 1_000) / (performance.now() - from)
}

async function callAll(count: number, call: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) await call(index)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
}

/** Megabytes per second. */
export async function bulkSpeed(send: () => Promise<void>): Promise<number> {
  await send()
  const from = performance.now()
  await send()
  return BULK_BYTES / 1_000 / (performance.now() - from)
}
