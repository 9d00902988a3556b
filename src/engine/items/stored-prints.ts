import type { NewItem } from '../../store/items/new-item.ts'

/** The number of new prints after which the older ones are dropped. A process has at most twice as many, about 10 MB. */
const MAX_PRINTS = 50_000

/** The part of an item that says whether it is the same as another one. */
type Printed = Pick<NewItem, 'fence' | 'scope' | 'print' | 'maxItems'>

/**
 * The prints of items that are certainly stored, as far as this process remembers. Pages of a site link to the same pages again and again,
 * and the database need not refuse these items each time. Only items that are unique within their run are remembered: those stay stored
 * until the run is deleted.
 */
export class StoredPrints {
  #newer = new Map<number, Set<string>>()
  #older = new Map<number, Set<string>>()
  #size = 0

  has({ fence, scope, print }: Printed): boolean {
    return scope === fence && (isIn(this.#newer, fence, print) || isIn(this.#older, fence, print))
  }

  /** Called after items were stored. A limit may have left out items of its run, so these are not remembered. */
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

  /** Forgets all prints, because items may have been deleted while this process was suspended. */
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
