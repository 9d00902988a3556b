import { createHash, randomUUID } from 'node:crypto'
import type { Dir } from 'node:fs'
import { mkdir, opendir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { propertyOf } from '../../errors-read.ts'
import type { Clock } from '../../clock.ts'
import type { ItemStore } from '../../store/items/item-store.ts'
import { IN_STORE, type Kept, MAX_STORED_KEPT } from '../../store/items/kept-bytes.ts'

/** `<item>-<hash>-<database>`, such as `2031-9b1c…-0f3a…`. */
const NAME = /^(\d{1,16})-([0-9a-f]{32})-([0-9a-f]{12})$/
/** Files that one step of a clean-up looks at, and how old one must be: its item may not be stored yet. */
const STEP = 500
const MIN_AGE_MS = 86_400_000
/** How often the folder is cleaned up. */
const EVERY_MS = 86_400_000
/** A file that a process has left unfinished when it ended. */
const UNFINISHED = /^\d{1,16}-[0-9a-f]{32}-[0-9a-f]{12}\.[0-9a-f-]{36}\.tmp$/

export interface KeptBytesParts {
  readonly store: Pick<ItemStore, 'storedBytes' | 'unnamedKept'>
  readonly folder: string
  /** Tells the files of several databases apart, which may share a folder. */
  readonly database: () => Promise<string>
  readonly clock: Clock
}

/** Bytes that items keep for their next attempt: small ones in the store, others as files. */
export class KeptBytes {
  readonly #parts: KeptBytesParts
  #database: Promise<string> | undefined
  /** The clean-up under way, and when the next one begins. */
  #files: AsyncIterator<string | undefined> | undefined
  #nextAt = 0

  constructor(parts: KeptBytesParts) {
    this.#parts = parts
  }

  /** Stores bytes for the next attempt. @param given undefined: keeps the earlier bytes; null: keeps none */
  async keep(itemId: number, given: Uint8Array | null | undefined): Promise<Kept | undefined> {
    if (given === undefined) return undefined
    if (given === null) return { ref: undefined, bytes: undefined }
    if (given.byteLength <= MAX_STORED_KEPT) return { ref: IN_STORE, bytes: given }
    const hash = createHash('sha256').update(given).digest('hex').slice(0, 32)
    const name = `${itemId}-${hash}-${await this.#databaseId()}`
    const path = this.#pathOf(name)
    await mkdir(dirname(path), { recursive: true })
    // Renamed when it is whole, so no reader sees a part of it.
    const unfinished = `${path}.${randomUUID()}.tmp`
    await writeFile(unfinished, given)
    await rename(unfinished, path)
    return { ref: name, bytes: undefined }
  }

  /** Removes a file that its item needs no more. One of another machine stays there until that machine cleans up. */
  async drop(ref: string | undefined): Promise<void> {
    if (ref !== undefined && NAME.test(ref)) await rm(this.#pathOf(ref), { force: true })
  }

  /** Returns the bytes; undefined if they are not here, because the file may be on another machine. */
  async read(itemId: number, ref: string | undefined): Promise<Uint8Array | undefined> {
    if (ref === undefined) return undefined
    if (ref === IN_STORE) return this.#parts.store.storedBytes(itemId)
    if (!NAME.test(ref)) return undefined
    return orGone(async () => new Uint8Array(await readFile(this.#pathOf(ref))))
  }

  /**
   * Deletes some files that no item names any more: of items that are done or deleted, or that have kept others since. Once a day it begins
   * anew. Looks only at files of this database that are older than a day.
   *
   * @returns whether more may be left
   */
  async forgetSome(): Promise<boolean> {
    const { clock } = this.#parts
    if (!this.#files) {
      if (clock.monotonic() < this.#nextAt) return false
      this.#nextAt = clock.monotonic() + EVERY_MS
      this.#files = this.#oldFiles()
    }
    const files = this.#files
    // After a failure it begins anew, a day later.
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
    // Another node may have deleted it already.
    for (const path of gone) await rm(path, { force: true })
  }

  /** Each file that is older than a day; undefined for each other entry. */
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

/** The paths in a folder, which may not exist. */
async function* entriesOf(folder: string): AsyncGenerator<string, void, undefined> {
  const opened = await orGone<Dir>(() => opendir(folder))
  if (!opened) return
  for await (const entry of opened) yield join(folder, entry.name)
}

/** Undefined for what does not exist, or is no folder. */
async function orGone<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read()
  } catch (error) {
    const code = propertyOf(error, 'code')
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw error
  }
}
