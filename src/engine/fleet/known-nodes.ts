import type { Clock } from '../../clock.ts'
import type { PeerRow } from '../../store/nodes/node-store.ts'

export interface KnownNodesParts {
  /** This node's id. */
  readonly nodeId: () => string
  readonly peers: () => Promise<readonly PeerRow[]>
  readonly clock: Clock
}

/** How long, in milliseconds, a node keeps its list of the others. */
const KNOWN_MS = 5_000
/** A list without the wanted node is read again after this time. */
const MISSED_MS = 250

/** The other live nodes, read from the database when they are needed. */
export class KnownNodes {
  readonly #parts: KnownNodesParts
  #rows: readonly PeerRow[] = []
  #readAt = -Infinity
  #reading: Promise<void> | undefined

  constructor(parts: KnownNodesParts) {
    this.#parts = parts
  }

  /** The other live nodes, in no order, at most some seconds old. */
  async others(): Promise<readonly PeerRow[]> {
    const { clock, nodeId } = this.#parts
    if (clock.monotonic() - this.#readAt > KNOWN_MS) await this.#read()
    return this.#rows.filter(({ id }) => id !== nodeId())
  }

  /** The row of one node; undefined if it has ended, or can't be reached. */
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
