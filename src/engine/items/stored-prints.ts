import type { NewItem } from '../../store/items/new-item.ts'

/** After this many new fingerprints, the older ones are dropped. So a process has at most twice this number, about 10 MB. */
const MAX_PRINTS = 50_000

/** The parts of an item that show whether it equals another one. */
type Printed = Pick<NewItem, 'fence' | 'scope' | 'print' | 'maxItems'>

/**
 * The fingerprints (hashes of the keys) of items that this process knows to be stored. Pages of a site often link to the same pages, and
 * with these fingerprints the database need not refuse the items each time. Only items that are unique within their run are included,
 * because those stay stored until the run is deleted.
 */
export class StoredPrints {
  #newer = new Map<number, Set<string>>()
  #older = new Map<number, Set<string>>()
  #size = 0

  has({ fence, scope, print }: Printed): boolean {
    return scope === fence && (isIn(this.#newer, fence, print) || isIn(this.#older, fence, print))
  }

  /** Adds the fingerprints of items that were stored, except those of a run whose limit may have left out items. */
  add(items: Iterable<Printed>): void {
    for (const { fence, scope, print, maxItems } of items) {
      if (scope !== fence || maxItems !== undefined || isIn(this.#newer, fence, print)) continue
      const prints = this.#newer.get(fence)
      if (prints) prints.add(print)
      else this.#newer.set(fence, new Set([print]))
      this.#size += 1
      if (this.#size >= MAX_PRINTS) this.#forgetOlder()
    }
  }

  /** Removes all fingerprints, because items may have been deleted while this process was suspended. */
  clear(): void {
    this.#newer = new Map()
    this.#forgetOlder()
  }

  #forgetOlder(): void {
    this.#older = this.#newer
    this.#newer = new Map()
    this.#size = 0
  }
}

function isIn(prints: ReadonlyMap<number, ReadonlySet<string>>, fence: number, print: string): boolean {
  return prints.get(fence)?.has(print) === true
}
