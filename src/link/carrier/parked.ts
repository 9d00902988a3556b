import { randomUUID } from 'node:crypto'
import { type FileHandle, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const READ_BYTES = 65_536

/** Bytes of a message in a temporary file, because its reader is slow. They are read in the order in which they were written. */
export class Parked {
  readonly #path = join(tmpdir(), `piko-link-${randomUUID()}`)
  #file: FileHandle | undefined
  #written = 0
  #read = 0
  #queued = 0
  /** The last write. The next write begins after it. */
  #last: Promise<void> = Promise.resolve()

  /** How many bytes have not been read yet, including those that are still being written. */
  get length(): number {
    return this.#queued - this.#read
  }

  /** Appends bytes. Resolves when they are in the file. */
  write(bytes: Buffer): Promise<void> {
    this.#queued += bytes.length
    this.#last = this.#append(this.#last, bytes)
    return this.#last
  }

  async #append(before: Promise<void>, bytes: Buffer): Promise<void> {
    await before
    this.#file ??= await openUnlinked(this.#path)
    for (let from = 0; from < bytes.length;) {
      const { bytesWritten } = await this.#file.write(bytes, from, bytes.length - from, this.#written)
      from += bytesWritten
      this.#written += bytesWritten
    }
  }

  /** Returns the next bytes, at most 64 KB. Only allowed if `length` is not 0. */
  async read(): Promise<Buffer> {
    if (this.#written === this.#read) await this.#last
    const wanted = Math.min(READ_BYTES, this.#written - this.#read)
    const { bytesRead, buffer } = await (this.#file as FileHandle).read(
      Buffer.allocUnsafe(wanted),
      0,
      wanted,
      this.#read,
    )
    this.#read += bytesRead
    return buffer.subarray(0, bytesRead)
  }

  /** Removes the file. */
  async close(): Promise<void> {
    await Promise.allSettled([this.#last])
    await this.#file?.close()
    await rm(this.#path, { force: true })
  }
}

/** Opens a file and removes its name immediately, so that no file remains if the process is killed. */
async function openUnlinked(path: string): Promise<FileHandle> {
  const file = await open(path, 'wx+', 0o600)
  // Windows can't remove an open file, so there `close` removes it.
  if (process.platform !== 'win32') await rm(path, { force: true })
  return file
}
