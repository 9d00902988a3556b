import { createHash, randomUUID } from 'node:crypto'
import type { Dir } from 'node:fs'
import { mkdir, opendir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { propertyOf } from '../../errors-read.ts'
import type { Clock } from '../../clock.ts'
import type { ItemStore } from '../../store/items/item-store.ts'
import { IN_STORE, type Kept, MAX_STORED_KEPT } from '../../store/items/kept-bytes.ts'

/** The name of a file: `<item>-<hash>-<database>`, such as `2031-9b1c…-0f3a…`. */
const NAME = /^(\d{1,16})-([0-9a-f]{32})-([0-9a-f]{12})$/
/** The maximum number of files that one step of a clean-up checks. */
const STEP = 500
/** Newer files are not deleted, because their items may not be stored yet. */
const MIN_AGE_MS = 86_400_000
/** How often the folder is cleaned up. */
const EVERY_MS = 86_400_000
/** The name of a file that is not completely written, because its process ended. */
const UNFINISHED = /^\d{1,16}-[0-9a-f]{32}-[0-9a-f]{12}\.[0-9a-f-]{36}\.tmp$/

export interface KeptBytesParts {
  readonly store: Pick<ItemStore, 'storedBytes' | 'unnamedKept'>
  readonly folder: string
  /** Returns the id of the database, because several databases may use the same folder. */
  readonly database: () => Promise<string>
  readonly clock: Clock
}

/** Stores the bytes that items keep for their next attempt: small ones in the database, larger ones in files. */
export class KeptBytes {
  readonly #parts: KeptBytesParts
  #database: Promise<string> | undefined
  /** The files that the current clean-up has not checked yet; undefined between two clean-ups. */
  #files: AsyncIterator<string | undefined> | undefined
  #nextAt = 0

  constructor(parts: KeptBytesParts) {
    this.#parts = parts
  }

  /**
   * Stores bytes for the next attempt.
   *
   * @param bytes undefined: keeps the earlier bytes; null: keeps none
   */
  async keep(itemId: number, bytes: Uint8Array | (() => Uint8Array) | null | undefined): Promise<Kept | undefined> {
    const given = typeof bytes === 'function' ? bytes() : bytes
    if (given === undefined) return undefined
    if (given === null) return { ref: undefined, bytes: undefined }
    if (given.byteLength <= MAX_STORED_KEPT) return { ref: IN_STORE, bytes: given }
    const hash = createHash('sha256').update(given).digest('hex').slice(0, 32)
    const name = `${itemId}-${hash}-${await this.#databaseId()}`
    const path = this.#pathOf(name)
    await mkdir(dirname(path), { recursive: true })
    // The file gets its real name when it is complete. So no reader sees only a part of it.
    const unfinished = `${path}.${randomUUID()}.tmp`
    await writeFile(unfinished, given)
    await rename(unfinished, path)
    return { ref: name, bytes: undefined }
  }

  /** Removes a file that its item no longer needs. A file on another machine stays until that machine cleans up. */
  async drop(ref: string | undefined): Promise<void> {
    if (ref !== undefined && NAME.test(ref)) await rm(this.#pathOf(ref), { force: true })
  }

  /** Returns the bytes. Undefined if they are not on this machine: the file may be on another one. */
  async read(itemId: number, ref: string | undefined): Promise<Uint8Array | undefined> {
    if (ref === undefined) return undefined
    if (ref === IN_STORE) return this.#parts.store.storedBytes(itemId)
    if (!NAME.test(ref)) return undefined
    return orGone(async () => new Uint8Array(await readFile(this.#pathOf(ref))))
  }

  /**
   * Continues the daily clean-up. It deletes files older than a day: unfinished ones, and those of this database that no item needs any
   * more, because the item is done or deleted, or has kept other bytes since.
   *
   * @returns whether there are more files to check
   */
  async forgetSome(): Promise<boolean> {
    const { clock } = this.#parts
    if (!this.#files) {
      if (clock.monotonic() < this.#nextAt) return false
      this.#nextAt = clock.monotonic() + EVERY_MS
      this.#files = this.#oldFiles()
    }
    const files = this.#files
    // If this step fails, the clean-up ends. The next one begins a day later.
    this.#files = undefined
    const paths: string[] = []
    let isMore = true
    for (let looked = 0; isMore && looked < STEP; looked++) {
      const next = await files.next()
      if (next.done) isMore = false
      else if (next.value !== undefined) paths.push(next.value)
    }
    await this.#forget(paths)
    if (isMore) this.#files = files
    return isMore
  }

  async #forget(paths: readonly string[]): Promise<void> {
    if (paths.length === 0) return
    const database = await this.#databaseId()
    const named = new Map<number, string[]>()
    const gone = paths.filter((path) => UNFINISHED.test(basename(path)))
    const byName = new Map(paths.map((path) => [basename(path), path]))
    for (const name of byName.keys()) {
      const [, item, , of] = NAME.exec(name) ?? []
      if (of !== database) continue
      const id = Number(item)
      named.set(id, [...(named.get(id) ?? []), name])
    }
    for (const name of await this.#parts.store.unnamedKept(named)) gone.push(byName.get(name) ?? this.#pathOf(name))
    // Another node may already have deleted the file.
    for (const path of gone) await rm(path, { force: true })
  }

  /** Yields the path of each file older than a day, and undefined for every other entry of the folder. */
  async *#oldFiles(): AsyncGenerator<string | undefined, void, undefined> {
    const { folder, clock } = this.#parts
    for await (const outer of entriesOf(folder)) {
      for await (const path of entriesOf(outer)) {
        const found = await orGone(() => stat(path))
        yield found?.isFile() && found.mtimeMs < clock.now() - MIN_AGE_MS ? path : undefined
      }
    }
  }

  #pathOf(name: string): string {
    const [, , hash = ''] = NAME.exec(name) ?? []
    return join(this.#parts.folder, hash.slice(0, 2), name)
  }

  #databaseId(): Promise<string> {
    const known = this.#database ?? this.#parts.database()
    this.#database = known
    known.catch(() => (this.#database = undefined))
    return known
  }
}

/** Yields the paths in a folder. Yields nothing if the folder does not exist. */
async function* entriesOf(folder: string): AsyncGenerator<string, void, undefined> {
  const opened = await orGone<Dir>(() => opendir(folder))
  if (!opened) return
  for await (const entry of opened) yield join(folder, entry.name)
}

/** Calls a function that reads a file or folder. Returns undefined if the file or folder does not exist, or is not a folder. */
async function orGone<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read()
  } catch (error) {
    const code = propertyOf(error, 'code')
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw error
  }
}
