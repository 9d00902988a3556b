import { createHash } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { propertyOf } from '../../errors-read.ts'
import type { ItemStore } from '../../store/items/item-store.ts'
import { IN_STORE, type Kept, MAX_STORED_KEPT } from '../../store/items/kept-bytes.ts'

/** Bytes that items keep for their next attempt. Small ones are in the store, others are in files named after their content. */
export class KeptBytes {
  readonly #store: Pick<ItemStore, 'storedBytes'>
  readonly #folder: string

  constructor(store: Pick<ItemStore, 'storedBytes'>, folder: string) {
    this.#store = store
    this.#folder = folder
  }

  /** @param given undefined: the kept bytes stay as they are; null: none are kept */
  async keep(given: Uint8Array | null | undefined): Promise<Kept | undefined> {
    if (given === undefined) return undefined
    if (given === null) return { ref: undefined, bytes: undefined }
    if (given.byteLength <= MAX_STORED_KEPT) return { ref: IN_STORE, bytes: given }
    const name = createHash('sha256').update(given).digest('hex')
    const folder = join(this.#folder, name.slice(0, 2))
    await mkdir(folder, { recursive: true })
    // The file is renamed only when it is complete, so no reader sees a part of it.
    const unfinished = join(folder, `${name}.${process.pid}`)
    await writeFile(unfinished, given)
    await rename(unfinished, join(folder, name))
    return { ref: name, bytes: undefined }
  }

  /** Returns the bytes; undefined if they are not here, because the file may be on another machine. */
  async read(itemId: number, ref: string | undefined): Promise<Uint8Array | undefined> {
    if (ref === undefined) return undefined
    if (ref === IN_STORE) return this.#store.storedBytes(itemId)
    if (!/^[0-9a-f]{64}$/.test(ref)) return undefined
    try {
      return new Uint8Array(await readFile(join(this.#folder, ref.slice(0, 2), ref)))
    } catch (error) {
      if (propertyOf(error, 'code') === 'ENOENT') return undefined
      throw error
    }
  }
}
