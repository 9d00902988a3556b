import type { ItemStore } from '../../store/items/item-store.ts'
import { TERMINAL_STATES } from '../../run/run.ts'
import type { ItemRunInfo } from '../../store/items/item-runs.ts'

const FRESH_MS = 1_000

interface Known {
  readonly info: ItemRunInfo | undefined
  readonly at: number
}

/** The runs whose items this node has, at most a second old. */
export class ItemRuns {
  readonly #store: Pick<ItemStore, 'infos'>
  readonly #monotonic: () => number
  readonly #known = new Map<number, Known>()

  constructor(store: Pick<ItemStore, 'infos'>, monotonic: () => number) {
    this.#store = store
    this.#monotonic = monotonic
  }

  /** Reads these runs, unless they are known. */
  async load(fences: Iterable<number>): Promise<void> {
    const oldest = this.#monotonic() - FRESH_MS
    // A stopped run may have been opened again by a replay.
    const isFresh = (fence: number): boolean =>
      (this.#known.get(fence)?.at ?? -Infinity) >= oldest && !this.isStopped(fence)
    const missing = [...new Set(fences)].filter((fence) => !isFresh(fence))
    if (missing.length === 0) return
    const at = this.#monotonic()
    const infos = new Map((await this.#store.infos(missing)).map((info) => [info.fence, info]))
    for (const fence of missing) this.#known.set(fence, { info: infos.get(fence), at })
  }

  /** The run of these items; undefined if it does not exist any more. */
  get(fence: number): ItemRunInfo | undefined {
    return this.#known.get(fence)?.info
  }

  /** Whether the run has ended or is being cancelled, so its items must not run. */
  isStopped(fence: number): boolean {
    const info = this.get(fence)
    return !info || info.isCancelled || TERMINAL_STATES.has(info.state)
  }

  /** Forgets all other runs. */
  keep(fences: ReadonlySet<number>): void {
    for (const fence of this.#known.keys()) if (!fences.has(fence)) this.#known.delete(fence)
  }
}
