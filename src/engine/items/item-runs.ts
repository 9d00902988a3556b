import type { ItemStore } from '../../store/items/item-store.ts'
import { TERMINAL_STATES } from '../../run/run.ts'
import type { ItemRunInfo } from '../../store/items/item-runs.ts'

const FRESH_MS = 1_000

interface Known {
  readonly info: ItemRunInfo | undefined
  readonly at: number
}

/** The runs of the items that this node holds. They are read again about once per second. */
export class ItemRuns {
  readonly #store: Pick<ItemStore, 'infos'>
  readonly #monotonic: () => number
  readonly #known = new Map<number, Known>()

  constructor(store: Pick<ItemStore, 'infos'>, monotonic: () => number) {
    this.#store = store
    this.#monotonic = monotonic
  }

  /** Reads these runs, unless they were read within the last second. */
  async load(fences: Iterable<number>): Promise<void> {
    const oldest = this.#monotonic() - FRESH_MS
    // A stopped run is read again, because a replay may have reopened it.
    const isFresh = (fence: number): boolean =>
      (this.#known.get(fence)?.at ?? -Infinity) >= oldest && !this.isStopped(fence)
    const missing = [...new Set(fences)].filter((fence) => !isFresh(fence))
    if (missing.length === 0) return
    const at = this.#monotonic()
    const infos = new Map((await this.#store.infos(missing)).map((info) => [info.fence, info]))
    for (const fence of missing) this.#known.set(fence, { info: infos.get(fence), at })
  }

  /** Returns the run of a generation; undefined if it no longer exists or was not read. */
  get(fence: number): ItemRunInfo | undefined {
    return this.#known.get(fence)?.info
  }

  /**
   * Whether the items of a run must not run, because the run has ended, is being cancelled or no longer exists. False if the run was not
   * read.
   */
  isStopped(fence: number): boolean {
    const known = this.#known.get(fence)
    if (!known) return false
    const { info } = known
    return !info || info.isCancelled || TERMINAL_STATES.has(info.state)
  }

  /** Removes all runs except those of these generations. */
  keep(fences: ReadonlySet<number>): void {
    for (const fence of this.#known.keys()) if (!fences.has(fence)) this.#known.delete(fence)
  }
}
