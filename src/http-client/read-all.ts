import type { Readable } from 'node:stream'

/** The error of a body that is larger than its limit. */
export class TooLarge extends Error {}

/**
 * Reads a body to its end. Fails as soon as it is larger than the limit.
 *
 * @throws TooLarge, any error of the stream
 */
export async function readAll(body: Readable, maxBytes: number): Promise<Buffer> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of body as AsyncIterable<Buffer>) {
    bytes += piece.byteLength
    if (bytes > maxBytes) throw tooLarge(maxBytes)
    pieces.push(piece)
  }
  return Buffer.concat(pieces)
}

export function tooLarge(maxBytes: number): TooLarge {
  return new TooLarge(`has a body of more than ${maxBytes} bytes`)
}
