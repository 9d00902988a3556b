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

/** Responses in a folder, one file each. Files whose time is over are removed when the store is opened. */
export class FileStore implements ResponseStore {
  readonly #folder: string
  readonly #opened: Promise<void>
  #files = 0
  #bytes = 0

  constructor(folder: string) {
    this.#folder = folder
    this.#opened = this.#open()
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    await this.#opened
    const entry = await readEntry(this.#fileOf(key))
    return entry && entry.head.until > systemClock.now() ? entry.body : undefined
  }

  async set(key: string, value: Uint8Array, { ttl }: { readonly ttl: `${number}ms` }): Promise<void> {
    await this.#opened
    if (this.#files >= MAX_FILES || this.#bytes + value.byteLength > MAX_BYTES) return
    this.#files += 1
    this.#bytes += value.byteLength
    // Another process may read the file at the same time.
    const whole = join(this.#folder, `${randomUUID()}.tmp`)
    const until = systemClock.now() + durationMs(ttl)
    await writeFile(whole, encodeEntry({ until }, value))
    // So the time of a file is known without reading it.
    await utimes(whole, until / 1_000, until / 1_000)
    await rename(whole, this.#fileOf(key))
  }

  async delete(key: string): Promise<void> {
    await rm(this.#fileOf(key), { force: true })
  }

  #fileOf(key: string): string {
    return join(this.#folder, `${createHash('sha256').update(key).digest('hex')}.response`)
  }

  async #open(): Promise<void> {
    await mkdir(this.#folder, { recursive: true })
    for (const name of await readdir(this.#folder)) {
      const file = join(this.#folder, name)
      if (!name.endsWith('.response')) continue
      const { mtimeMs, size } = await stat(file)
      if (mtimeMs <= systemClock.now()) {
        await rm(file, { force: true })
        continue
      }
      this.#files += 1
      this.#bytes += size
    }
  }
}

async function readEntry(file: string): Promise<{ head: { until: number }; body: Uint8Array } | undefined> {
  const bytes = await readFile(file).catch(() => undefined)
  return bytes && decodeEntry<{ until: number }>(bytes)
}
