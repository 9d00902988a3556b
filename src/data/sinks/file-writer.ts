import { once } from 'node:events'
import { type FileHandle, open } from 'node:fs/promises'
import type { Transform } from 'node:stream'
import { createGzip, createZstdCompress } from 'node:zlib'

export type Compression = 'none' | 'gzip' | 'zstd'

/**
 * A file that is written in pieces, and compressed if requested. Only bytes that are not written yet are in memory.
 *
 * open → `write()` … → `close()` or `abandon()`.
 */
export class FileWriter {
  readonly path: string
  readonly #handle: FileHandle
  readonly #compressor: Transform | undefined
  /** Resolves when all compressed bytes are in the file. */
  readonly #copied: Promise<void>

  private constructor(path: string, handle: FileHandle, compression: Compression) {
    this.path = path
    this.#handle = handle
    this.#compressor = compression === 'none' ? undefined : compression === 'gzip' ? createGzip() : createZstdCompress()
    this.#copied = this.#compressor ? this.#copy(this.#compressor) : Promise.resolve()
    this.#copied.catch(() => {}) // The next call reports the error.
  }

  static async open(path: string, compression: Compression): Promise<FileWriter> {
    return new FileWriter(path, await open(path, 'wx'), compression)
  }

  /** Resolves when more may be written. */
  async write(chunk: string | Uint8Array): Promise<void> {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
    if (!this.#compressor) return this.#append(bytes)
    if (this.#compressor.destroyed) await this.#copied
    if (!this.#compressor.write(bytes)) await Promise.race([once(this.#compressor, 'drain'), this.#copied])
  }

  /** Writes the remaining bytes, and waits until the file would survive a power failure. */
  async close(): Promise<void> {
    try {
      this.#compressor?.end()
      await this.#copied
      await this.#handle.sync()
    } finally {
      await this.#handle.close()
    }
  }

  /** Closes the file without writing the remaining bytes. Never rejects. */
  async abandon(): Promise<void> {
    this.#compressor?.destroy()
    await this.#copied.catch(() => {})
    await this.#handle.close().catch(() => {})
  }

  async #copy(compressor: Transform): Promise<void> {
    for await (const piece of compressor) await this.#append(piece as Uint8Array)
  }

  async #append(bytes: Uint8Array): Promise<void> {
    for (let from = 0; from < bytes.byteLength;) {
      from += (await this.#handle.write(bytes, from)).bytesWritten
    }
  }
}
