import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import type { FileToOpen } from '../protocol.ts'

const DECOMPRESS = { gzip: createGunzip, brotli: createBrotliDecompress, deflate: createInflate }
const BY_EXTENSION: Readonly<Record<string, keyof typeof DECOMPRESS>> = { gz: 'gzip', gzip: 'gzip', br: 'brotli' }

/** Yields the decompressed bytes of a file, and reads them on demand. */
export async function* openFile(file: FileToOpen): AsyncGenerator<Uint8Array, void, undefined> {
  const bytes = createReadStream(file.path, { highWaterMark: file.chunkBytes })
  const compression = compressionOf(file)
  if (compression === 'none') yield* bytes as AsyncIterable<Uint8Array>
  else {
    const decompress = DECOMPRESS[compression]({ chunkSize: file.chunkBytes })
    // `pipeline` destroys the last stream with an error of either stream, so the reader gets the error.
    yield* pipeline(bytes, decompress, () => {}) as AsyncIterable<Uint8Array>
  }
}

function compressionOf({ path, compression }: FileToOpen): keyof typeof DECOMPRESS | 'none' {
  if (compression !== 'auto') return compression
  return BY_EXTENSION[/\.(\w+)$/.exec(path)?.[1]?.toLowerCase() ?? ''] ?? 'none'
}
