import { pipeline, type Readable, type Transform } from 'node:stream'
import { constants, createBrotliDecompress, createInflate, createInflateRaw, createZstdDecompress } from 'node:zlib'
import { Gunzip } from './gunzip.ts'

/** The encodings that this client accepts. */
export const ACCEPT_ENCODING = 'gzip, deflate, br, zstd'

/** The maximum number of encodings of a response. A response with more is considered an attack (CVE-2022-32206). */
const MAX_ENCODINGS = 5

/** The largest window that a server may use (RFC 9659): 8 MiB. Without this limit, a hostile server could make the decoder use 128 MiB. */
const MAX_ZSTD_WINDOW_LOG = 23

/** A `content-encoding` that can't be read. */
export class UnknownEncoding extends Error {}

/**
 * Returns the decompressed body. Destroying it also destroys the given body.
 *
 * @throws UnknownEncoding
 */
export async function decoded(body: Readable, header: string | undefined): Promise<Readable> {
  const encodings = (header ?? '')
    .toLowerCase()
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '' && name !== 'identity')
  if (encodings.length === 0) return body
  if (encodings.length > MAX_ENCODINGS) throw new UnknownEncoding(`has ${encodings.length} content encodings`)
  const first = await firstPiece(body)
  // Some servers name an encoding even for an empty body. A decoder would refuse an empty body.
  if (first === undefined) return body
  const decoders = encodings.toReversed().map((name) => decoder(name, first))
  // The callback is required, but errors reach the reader of the last stream.
  return pipeline([body, ...decoders], () => {}) as unknown as Readable
}

/** Reads the first bytes and puts them back into the stream; undefined if the body is empty. */
async function firstPiece(body: Readable): Promise<Buffer | undefined> {
  for (;;) {
    const piece = body.read() as Buffer | null
    if (piece !== null) {
      body.unshift(piece)
      return piece
    }
    if (body.readableEnded) return undefined
    if (body.errored) throw body.errored
    await changed(body)
  }
}

const CHANGES = ['readable', 'end', 'error', 'close'] as const

function changed(body: Readable): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      for (const name of CHANGES) body.off(name, done)
      resolve()
    }
    for (const name of CHANGES) body.on(name, done)
  })
}

function decoder(name: string, first: Buffer): Transform {
  switch (name) {
    case 'gzip':
    case 'x-gzip':
      return new Gunzip()
    case 'br':
      return createBrotliDecompress()
    case 'zstd':
      return createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: MAX_ZSTD_WINDOW_LOG } })
    case 'deflate':
      // Some servers leave out the zlib header, whose first byte ends with the method 8.
      return ((first[0] ?? 0) & 0x0f) === 8 ? createInflate() : createInflateRaw()
    default:
      throw new UnknownEncoding(`has the unknown content encoding ${JSON.stringify(name.slice(0, 40))}`)
  }
}
