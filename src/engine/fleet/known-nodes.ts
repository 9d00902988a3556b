import type { Clock } from '../../clock.ts'
import type { PeerRow } from '../../store/nodes/node-store.ts'

export interface KnownNodesParts {
  readonly nodeId: () => string
  readonly peers: () => Promise<readonly PeerRow[]>
  readonly clock: Clock
}

/** How long a node uses its list of the other nodes before it reads the list again, in milliseconds. */
const KNOWN_MS = 5_000
/** If the wanted node is not in the list, the list is read again after this time. */
const MISSED_MS = 250

/** The other live nodes that can be notified or called; about a hundred at most. They are read from the database when needed. */
export class KnownNodes {
  readonly #parts: KnownNodesParts
  #rows: readonly PeerRow[] = []
  #readAt = -Infinity
  #reading: Promise<void> | undefined

  constructor(parts: KnownNodesParts) {
    this.#parts = parts
  }

  /** Returns the nodes in no particular order. The list may be a few seconds old. */
  async others(): Promise<readonly PeerRow[]> {
    const { clock, nodeId } = this.#parts
    if (clock.monotonic() - this.#readAt > KNOWN_MS) await this.#read()
    return this.#rows.filter(({ id }) => id !== nodeId())
  }

  /** Returns the row of one node; undefined if it is not among these nodes. */
  async find(id: string): Promise<PeerRow | undefined> {
    const inList = (): PeerRow | undefined => this.#rows.find((row) => row.id === id)
    const { clock } = this.#parts
    if (clock.monotonic() - this.#readAt > (inList() ? KNOWN_MS : MISSED_MS)) await this.#read()
    return inList()
  }

  #read(): Promise<void> {
    return (this.#reading ??= this.#readRows().finally(() => (this.#reading = undefined)))
  }

  async #readRows(): Promise<void> {
    const { clock, peers } = this.#parts
    const at = clock.monotonic()
    this.#rows = await peers()
    this.#readAt = at
  }
}
