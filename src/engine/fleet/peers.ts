import type { Clock } from '../../clock.ts'
import { isPikoError } from '../../errors.ts'
import { dial, type DialOptions } from '../../link/connect/dial.ts'
import { trustAdvice } from '../../link/connect/trust.ts'
import type { Link } from '../../link/link.ts'
import type { PeerRow } from '../../store/nodes/node-store.ts'

export interface PeersParts {
  /** The options of every connection. */
  readonly options: Omit<DialOptions, 'url' | 'signal'>
  /** The secret for nodes without a secret in their row. */
  readonly secret: string | undefined
  /** Called with each new connection. */
  readonly onLink: (link: Link) => void
  readonly clock: Clock
}

interface Peer {
  readonly link: Link
  /** How many messages had been sent and received by the last check. */
  messages: number
  usedAt: number
}

/** A connection without messages for this long is closed. */
const IDLE_MS = 60_000
const SWEEP_MS = 15_000
/** How long to wait after a failed attempt to connect. */
const PAUSE_MS = 1_000
const CONNECT_MS = 3_000

/** The connections to other nodes. This node opens at most one to each, when it is needed. */
export class Peers {
  readonly #parts: PeersParts
  readonly #open = new Map<string, Peer>()
  /** Connections that other nodes have opened, and that they also close. */
  readonly #theirs = new Map<string, Link>()
  readonly #opening = new Map<string, Promise<Link | undefined>>()
  readonly #failedAt = new Map<string, number>()
  /** Nodes for which a warning about wrong settings was logged. */
  readonly #warned = new Set<string>()
  readonly #closing = new AbortController()
  #timer: NodeJS.Timeout | undefined

  constructor(parts: PeersParts) {
    this.#parts = parts
  }

  get count(): number {
    return this.#open.size + this.#theirs.size
  }

  /** Returns the open connection to this node, if any. */
  up(id: string): Link | undefined {
    const link = this.#open.get(id)?.link ?? this.#theirs.get(id)
    return link?.state === 'up' ? link : undefined
  }

  /**
   * Returns the connection to a node, and opens one if there is none. Undefined if the node can't be reached, or if the last attempt failed
   * a moment ago.
   */
  async reach(row: PeerRow): Promise<Link | undefined> {
    const { id, link: url } = row
    if (url === undefined || this.#closing.signal.aborted) return undefined
    const up = this.up(id)
    if (up) return up
    const failedAt = this.#failedAt.get(id) ?? -Infinity
    if (this.#parts.clock.monotonic() - failedAt < PAUSE_MS) return undefined
    const known = this.#opening.get(id)
    if (known) return known
    const opening = this.#connect(row, url).finally(() => this.#opening.delete(id))
    this.#opening.set(id, opening)
    return opening
  }

  /** Adds a connection that another node has opened. */
  adopt(link: Link): void {
    const id = link.peerId === undefined ? undefined : uuidOf(link.peerId)
    this.#parts.onLink(link)
    if (id === undefined) return
    this.#theirs.set(id, link)
    void link.whenClosed().then(() => {
      if (this.#theirs.get(id) === link) this.#theirs.delete(id)
    })
  }

  async close(): Promise<void> {
    this.#closing.abort()
    clearInterval(this.#timer)
    await Promise.all([...this.#open.values()].map(({ link }) => link.close()))
  }

  async #connect(row: PeerRow, url: string): Promise<Link | undefined> {
    const { options, secret, clock, onLink } = this.#parts
    const own = row.linkKey ?? secret
    try {
      const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(CONNECT_MS)])
      const link = await dial({ ...options, url, signal, ...(own !== undefined && { secret: own }) })
      // A lost link does not reconnect automatically; the next use opens a new one.
      link.events.once('link.down', () => link.destroy())
      const peer: Peer = { link, messages: 0, usedAt: clock.monotonic() }
      this.#open.set(row.id, peer)
      this.#failedAt.delete(row.id)
      this.#warned.delete(row.id)
      void link.whenClosed().then(() => this.#closed(row.id, peer))
      this.#timer ??= setInterval(() => this.#sweep(), SWEEP_MS).unref()
      onLink(link)
      return link
    } catch (error) {
      if (this.#failedAt.size > 1_000) this.#failedAt.clear()
      this.#failedAt.set(row.id, clock.monotonic())
      this.#logFailure(row, error)
      return undefined
    }
  }

  /**
   * Logs a failed connection. Wrong settings cause one warning per node. Any other failure is normal, for example because a node has
   * stopped, and causes no warning.
   */
  #logFailure({ id, linkKey }: PeerRow, error: unknown): void {
    const { log } = this.#parts.options
    // A wrong key from the row is normal: after a restart of the other node, the row may still have the key of its previous start.
    const isDenied = isPikoError(error) && error.code === 'LINK_DENIED' && linkKey === undefined
    const isWrong = isDenied || trustAdvice(error) !== undefined
    if (!isWrong || this.#warned.has(id)) return log?.debug({ err: error, node: id }, 'another node cannot be reached')
    if (this.#warned.size > 1_000) this.#warned.clear()
    this.#warned.add(id)
    const effect = 'until that is corrected, changes reach them as datagrams or by polls'
    log?.warn({ err: error, node: id }, `this node and another one do not trust each other; ${effect}`)
  }

  #closed(id: string, peer: Peer): void {
    if (this.#open.get(id) === peer) this.#open.delete(id)
    if (this.#open.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #sweep(): void {
    const now = this.#parts.clock.monotonic()
    for (const peer of this.#open.values()) {
      const { open, sentMessages, receivedMessages } = peer.link.stats()
      const messages = sentMessages + receivedMessages
      if (open > 0 || messages !== peer.messages) Object.assign(peer, { messages, usedAt: now })
      else if (now - peer.usedAt >= IDLE_MS) void peer.link.close()
    }
  }
}

/** Converts the id in the preface of a link, which has no dashes, to the usual form of a node's id. */
function uuidOf(hex: string): string | undefined {
  return /^[0-9a-f]{32}$/.test(hex) ? hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5') : undefined
}

/** Returns a node's id in the form that the link's preface has: without dashes. */
export function linkIdOf(nodeId: string): string {
  return nodeId.replaceAll('-', '')
}
