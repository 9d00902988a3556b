import { createReadStream } from 'node:fs'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'

/** A received body in a temporary file. */
export interface SpooledFile extends AsyncDisposable {
  readonly path: string
  readonly bytes: number
  stream(): Readable
  /** Removes the file. */
  remove(): Promise<void>
}

export interface SpoolOptions {
  readonly max: number
  /** Creates the error for more than `max` bytes. */
  readonly tooLarge: () => Error
  /** Called with each chunk when it is written. */
  readonly written: (chunk: Buffer) => void
}

/**
 * Writes chunks to a temporary file that only the same user can read. If anything fails, the file is removed.
 *
 * @throws the error of `tooLarge`
 */
export async function spoolToFile(
  chunks: AsyncIterable<Buffer>,
  { max, tooLarge, written }: SpoolOptions,
): Promise<SpooledFile> {
  const folder = await mkdtemp(join(tmpdir(), 'piko-link-'))
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true })
  try {
    const path = join(folder, 'body')
    const file = await open(path, 'wx', 0o600)
    let bytes = 0
    try {
      for await (const chunk of chunks) {
        bytes += chunk.length
        if (bytes > max) throw tooLarge()
        for (let from = 0; from < chunk.length;) from += (await file.write(chunk, from)).bytesWritten
        written(chunk)
      }
    } finally {
      await file.close()
    }
    return { path, bytes, remove, stream: () => createReadStream(path), [Symbol.asyncDispose]: remove }
  } catch (error) {
    await remove()
    throw error
  }
}
