import { createHash, randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock } from '../../clock.ts'
import { decodeEntry, encodeEntry } from '../../http-client/cache-entry.ts'
import type { ResponseStore } from '../../http-client/http-cache.ts'
import { durationMs } from '../../time/duration.ts'

/** The maximum number of files in the folder. When it is reached, a response is stored only if it replaces a file. */
const MAX_FILES = 100_000
const MAX_BYTES = 10_000_000_000

/** After this time in milliseconds, the files of a full folder are counted again. */
const RECOUNT_MS = 600_000
/** An unfinished file older than this is deleted, because the process that wrote it has probably ended. */
const LEFT_MS = 3_600_000

/** Stores each response in a file of one folder. Removes expired files when the store is opened and when the folder is full. */
export class FileStore implements ResponseStore {
  readonly #folder: string
  readonly #mostFiles: number
  #opened: Promise<void>
  #countedAt = performance.now()
  #files = 0
  #bytes = 0

  /** @param mostFiles the maximum number of files */
  constructor(folder: string, mostFiles: number = MAX_FILES) {
    this.#folder = folder
    this.#mostFiles = mostFiles
    this.#opened = this.#count()
    // `get` and `set` throw this error. Without this line, it would also be reported as an unhandled rejection.
    this.#opened.catch(() => {})
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    await this.#opened
    const entry = await readEntry(this.#fileOf(key))
    return entry && entry.head.until > systemClock.now() ? entry.body : undefined
  }

  async set(key: string, value: Uint8Array, { ttl }: { readonly ttl: `${number}ms` }): Promise<void> {
    await this.#opened
    const file = this.#fileOf(key)
    const before = await sizeOf(file)
    if (!this.#fits(value.byteLength, before)) return
    this.#add(value.byteLength, before)
    // The file is first written under another name, because another process may read it at the same time.
    const whole = join(this.#folder, `${randomUUID()}.tmp`)
    const until = systemClock.now() + durationMs(ttl)
    await writeFile(whole, encodeEntry({ until }, value))
    // The file's modification time is the time when it expires, so expired files are found without reading them.
    await utimes(whole, until / 1_000, until / 1_000)
    await rename(whole, file)
  }

  async delete(key: string): Promise<void> {
    const file = this.#fileOf(key)
    const before = await sizeOf(file)
    await rm(file, { force: true })
    if (before === undefined) return
    this.#files -= 1
    this.#bytes -= before
  }

  /**
   * Whether there is room for a file.
   *
   * @param before the size of the file that it replaces; undefined if it replaces none
   */
  #fits(bytes: number, before: number | undefined): boolean {
    const isFull =
      (before === undefined && this.#files >= this.#mostFiles) || this.#bytes + bytes - (before ?? 0) > MAX_BYTES
    if (isFull && performance.now() - this.#countedAt > RECOUNT_MS) {
      this.#countedAt = performance.now()
      this.#opened = this.#count()
      this.#opened.catch(() => {})
    }
    return !isFull
  }

  #add(bytes: number, before: number | undefined): void {
    this.#files += before === undefined ? 1 : 0
    this.#bytes += bytes - (before ?? 0)
  }

  #fileOf(key: string): string {
    return join(this.#folder, `${createHash('sha256').update(key).digest('hex')}.response`)
  }

  /** Counts the files and their bytes. Removes expired files and old unfinished files. */
  async #count(): Promise<void> {
    await mkdir(this.#folder, { recursive: true })
    let files = 0
    let bytes = 0
    for (const name of await readdir(this.#folder)) {
      const file = join(this.#folder, name)
      // Another process may have removed the file in the meantime.
      const found = await stat(file).catch(() => undefined)
      if (!found || !/\.(?:response|tmp)$/.test(name)) continue
      const isOver = name.endsWith('.tmp')
        ? found.ctimeMs < systemClock.now() - LEFT_MS
        : found.mtimeMs <= systemClock.now()
      if (isOver) await rm(file, { force: true })
      else if (name.endsWith('.response')) {
        files += 1
        bytes += found.size
      }
    }
    this.#files = files
    this.#bytes = bytes
  }
}

async function sizeOf(file: string): Promise<number | undefined> {
  const found = await stat(file).catch(() => undefined)
  return found?.size
}

async function readEntry(file: string): Promise<{ head: { until: number }; body: Uint8Array } | undefined> {
  const bytes = await readFile(file).catch(() => undefined)
  return bytes && decodeEntry<{ until: number }>(bytes)
}
