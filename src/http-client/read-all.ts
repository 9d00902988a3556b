import type { Readable } from 'node:stream'

/** The error for a body that is larger than its limit. */
export class TooLarge extends Error {}

/**
 * Reads a body to its end. Fails as soon as it is larger than the limit. Listens to the events of the stream, because a `for await` loop
 * would take a third of the total time of a short response.
 *
 * @returns bytes that share their memory with no other buffer
 * @throws TooLarge, any error of the stream
 */
export function readAll(body: Readable, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = []
    let bytes = 0
    const closed = (): void => reject(body.errored ?? new Error('the body ended too early'))
    body.on('data', (piece: Buffer) => {
      bytes += piece.byteLength
      if (bytes <= maxBytes) return void pieces.push(piece)
      reject(tooLarge(maxBytes))
      body.destroy()
    })
    body.once('end', () => resolve(joined(pieces, bytes)))
    body.once('error', reject)
    // After `end` or `error`, this event has no further effect.
    body.once('close', closed)
    if (body.readableEnded) resolve(joined([], 0))
    else if (body.closed) closed()
  })
}

export function tooLarge(maxBytes: number): TooLarge {
  return new TooLarge(`has a body of more than ${maxBytes} bytes`)
}

function joined(pieces: readonly Buffer[], bytes: number): Buffer {
  const whole = Buffer.from(new ArrayBuffer(bytes))
  let from = 0
  for (const piece of pieces) {
    whole.set(piece, from)
    from += piece.byteLength
  }
  return whole
}
