import { createHash, randomUUID } from 'node:crypto'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { propertyOf } from '../../errors-read.ts'
import type { ItemStore } from '../../store/items/item-store.ts'
import { IN_STORE, type Kept, MAX_STORED_KEPT } from '../../store/items/kept-bytes.ts'

/** The name of a file: the item and a hash of the bytes. Earlier versions named it after the bytes alone. */
const FILE = /^(?:(\d{1,19})-[0-9a-f]{32}|[0-9a-f]{64})$/

/** Bytes that items keep for their next attempt: small ones in the store, others as files named after the item and their content. */
export class KeptBytes {
  readonly #store: Pick<ItemStore, 'storedBytes'>
  readonly #folder: string

  constructor(store: Pick<ItemStore, 'storedBytes'>, folder: string) {
    this.#store = store
    this.#folder = folder
  }

  /** Stores bytes for the next attempt. @param given undefined: keeps the earlier bytes; null: keeps none */
  async keep(itemId: number, given: Uint8Array | null | undefined): Promise<Kept | undefined> {
    if (given === undefined) return undefined
    if (given === null) return { ref: undefined, bytes: undefined }
    if (given.byteLength <= MAX_STORED_KEPT) return { ref: IN_STORE, bytes: given }
    const name = `${itemId}-${createHash('sha256').update(given).digest('hex').slice(0, 32)}`
    const file = this.#fileOf(name)
    await mkdir(dirname(file), { recursive: true })
    // The file is renamed only when it is complete, so no reader sees a part of it. Its first name is random, because another node may hold
    // the same item by mistake.
    const unfinished = `${file}.${randomUUID()}`
    await writeFile(unfinished, given)
    await rename(unfinished, file)
    return { ref: name, bytes: undefined }
  }

  /** Deletes a file that its item no longer needs. A file on another machine is not deleted. */
  async drop(ref: string | undefined): Promise<void> {
    if (ref === undefined || FILE.exec(ref)?.[1] === undefined) return
    await rm(this.#fileOf(ref), { force: true })
  }

  #fileOf(name: string): string {
    const hash = name.slice(name.indexOf('-') + 1)
    return join(this.#folder, hash.slice(0, 2), name)
  }

  /** Returns the bytes; undefined if they are not here, because the file may be on another machine. */
  async read(itemId: number, ref: string | undefined): Promise<Uint8Array | undefined> {
    if (ref === undefined) return undefined
    if (ref === IN_STORE) return this.#store.storedBytes(itemId)
    if (!FILE.test(ref)) return undefined
    try {
      return new Uint8Array(await readFile(this.#fileOf(ref)))
    } catch (error) {
      if (propertyOf(error, 'code') === 'ENOENT') return undefined
      throw error
    }
  }
}
