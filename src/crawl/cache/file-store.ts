import { createHash, randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock } from '../../clock.ts'
import { decodeEntry, encodeEntry } from '../../http-client/cache-entry.ts'
import type { ResponseStore } from '../../http-client/http-cache.ts'
import { durationMs } from '../../time/duration.ts'

/** Most files and bytes of a folder. Further responses are not kept. */
const MAX_FILES = 100_000
const MAX_BYTES = 10_000_000_000

/** A folder that is full is looked through again after this time. */
const RECOUNT_MS = 600_000
/** A file that nobody has finished for this long was left by a crash. */
const LEFT_MS = 3_600_000

/** Responses in a folder, one file each. Files whose time is over are removed when the store is opened, and when the folder is full. */
export class FileStore implements ResponseStore {
  readonly #folder: string
  readonly #mostFiles: number
  #opened: Promise<void>
  #countedAt = performance.now()
  #files = 0
  #bytes = 0

  /** @param mostFiles further responses are not kept */
  constructor(folder: string, mostFiles: number = MAX_FILES) {
    this.#folder = folder
    this.#mostFiles = mostFiles
    this.#opened = this.#count()
    // Whoever reads or writes gets the error.
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
    // Another process may read the file at the same time.
    const whole = join(this.#folder, `${randomUUID()}.tmp`)
    const until = systemClock.now() + durationMs(ttl)
    await writeFile(whole, encodeEntry({ until }, value))
    // So the time of a file is known without reading it.
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

  /** @param before the size of the file that is replaced */
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

  /** Counts the files, and removes those that nobody needs. */
  async #count(): Promise<void> {
    await mkdir(this.#folder, { recursive: true })
    let files = 0
    let bytes = 0
    for (const name of await readdir(this.#folder)) {
      const file = join(this.#folder, name)
      // Another process may remove it meanwhile.
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
