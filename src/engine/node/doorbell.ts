import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { hostname } from 'node:os'
import { toError } from '../../errors.ts'
import type { Settings } from '../../settings/settings.ts'
import { Service } from '../../service/service.ts'
import type { PeerRow } from '../../store/nodes/node-store.ts'
import type { Hint } from '../fleet/hint.ts'
import type { KnownNodes } from '../fleet/known-nodes.ts'
import { LOOPBACK, outsideAddress } from './outside-address.ts'

export interface DoorbellParts {
  readonly nodeId: () => string
  readonly known: Pick<KnownNodes, 'others'>
  /** Sends a hint over an open link. Returns false if there is none; then a datagram is sent. */
  readonly overLink: (row: PeerRow, hint: Hint) => boolean
  /** Called when another node reports new work in the queue. */
  readonly onRing: () => void
  /** Called when another node reports a new version of a shared value or a config. */
  readonly onShared: (topic: string, version: number) => void
  /** Whether links are possible. */
  readonly hasLinks: boolean
  /** Whether this process executes runs. Otherwise it needs no notifications. */
  readonly listens: boolean
  readonly doorbell: Settings['piko']['doorbell']
  /** Whether every process of the store is on this machine. */
  readonly isLocal: boolean
}

/** How many nodes to notify. There are several, because one may have no free slot. */
const RUNG = 2
const GREETING = 'piko '
/** Separates the id of the receiving node from the version and topic of a value. */
const SHARED = ' shared '
const MAX_TOPICS = 1_000

/**
 * Tells other nodes immediately about new work in the queue. It notifies two nodes: one on the same machine by a UDP datagram to the
 * address in the other node's row, another one over a link if one is open, otherwise by a datagram. A datagram needs no connection, so the
 * first message arrives sooner.
 *
 * A datagram about work contains only the id of the receiving node. That node then reads the queue without waiting for its next poll. In
 * the same way, it notifies all nodes of a new version of a shared value or a config. That datagram contains the topic and the version
 * number, but not the value.
 *
 * Nothing relies on datagrams: if one is lost, or the network blocks them, work starts up to `[piko] poll_interval` later.
 */
export class Doorbell extends Service {
  readonly #parts: DoorbellParts
  #socket: Socket | undefined
  #address: string | undefined
  /** The port does not change when the service restarts, because the node's row contains it. */
  #port = 0
  #isRinging = false
  /** The newest versions of values that have not been sent to other nodes yet. */
  readonly #versions = new Map<string, number>()
  #isTelling = false

  constructor(parts: DoorbellParts) {
    super({ name: 'doorbell' })
    this.#parts = parts
  }

  /** The address for datagrams, `host:port`; undefined if there is none. */
  get address(): string | undefined {
    return this.#address
  }

  /** Tells other nodes about work. Returns immediately and never fails. */
  ring(): void {
    if (this.#isRinging || !this.isRunning || this.#isOff) return
    this.#isRinging = true
    void this.#ring()
      // Without a notification, the poll finds the work.
      .catch((error: unknown) => this.log.debug({ err: error }, 'other nodes could not be notified of new runs'))
      .finally(() => (this.#isRinging = false))
  }

  /** Tells other nodes about a version of a shared value or a config. Returns immediately and never fails. */
  tell(topic: string, version: number): void {
    if (!this.isRunning || this.#isOff || this.#versions.size >= MAX_TOPICS) return
    this.#versions.set(topic, version)
    if (this.#isTelling) return
    this.#isTelling = true
    void this.#tell()
      // Without a notification, the poll finds the version.
      .catch((error: unknown) => this.log.debug({ err: error }, 'other nodes could not be notified of a new version'))
      .finally(() => (this.#isTelling = false))
  }

  protected override async onStart(): Promise<void> {
    const { listens, doorbell } = this.#parts
    if (!listens || doorbell === 'off') return
    try {
      await this.#listen()
    } catch (error) {
      this.#address = undefined
      this.log.warn(
        { err: toError(error) },
        `this node can't be notified of new runs at ${doorbell}; it finds them by polling`,
      )
    }
  }

  protected override onStop(): void {
    this.#address = undefined
    this.#socket?.close()
    this.#socket = undefined
  }

  async #listen(): Promise<void> {
    const { doorbell, isLocal } = this.#parts
    const given = doorbell === 'auto' ? undefined : addressOf(doorbell)
    const socket = this.#open()
    socket.on('message', (message) => this.#hear(message.toString()))
    const listening = once(socket, 'listening')
    socket.bind({ address: given?.host ?? (isLocal ? LOOPBACK : '0.0.0.0'), port: given?.port ?? this.#port })
    await listening
    this.#port = socket.address().port
    this.#address = `${given?.host ?? (isLocal ? LOOPBACK : outsideAddress())}:${this.#port}`
  }

  get #isOff(): boolean {
    return this.#parts.doorbell === 'off' && !this.#parts.hasLinks
  }

  #hear(message: string): void {
    const { nodeId, onRing, onShared } = this.#parts
    const greeting = GREETING + nodeId()
    if (message === greeting) return onRing()
    if (!message.startsWith(greeting + SHARED)) return
    const [version, topic] = message.slice(greeting.length + SHARED.length).split(' ')
    if (topic !== undefined && Number.isSafeInteger(Number(version))) onShared(topic, Number(version))
  }

  /** Opens a socket that does not keep the process alive. */
  #open(): Socket {
    const socket = createSocket('udp4')
    socket.unref()
    // The error is ignored: an unreachable address has the same effect as a lost datagram.
    socket.on('error', () => {})
    this.#socket = socket
    return socket
  }

  async #ring(): Promise<void> {
    const others = await this.#others()
    const first = Math.floor(Math.random() * others.length)
    for (const other of [...others.slice(first), ...others.slice(0, first)].slice(0, RUNG))
      this.#send(other, { kind: 'work' }, '')
  }

  async #tell(): Promise<void> {
    const others = await this.#others()
    this.#isTelling = false
    // This also includes versions that were published since the call.
    const versions = [...this.#versions]
    this.#versions.clear()
    for (const [topic, version] of versions)
      for (const other of others) this.#send(other, { kind: 'shared', topic, version }, `${SHARED}${version} ${topic}`)
  }

  #others(): Promise<readonly PeerRow[]> {
    return this.#parts.known.others()
  }

  #send(row: PeerRow, hint: Hint, what: string): void {
    const { id, host, doorbell } = row
    const to = doorbell === undefined || this.#parts.doorbell === 'off' ? undefined : addressOf(doorbell)
    const isHere = host === hostname()
    // Within a machine, a datagram is not lost on the way, and costs less than a message over a link.
    const isBest = to !== undefined && isHere && hint.kind === 'work'
    if (!isBest && this.#parts.overLink(row, hint)) return
    if (to) (this.#socket ?? this.#open()).send(GREETING + id + what, to.port, isHere ? LOOPBACK : to.host, () => {})
  }
}

function addressOf(text: string): { host: string; port: number } {
  const colon = text.lastIndexOf(':')
  return { host: text.slice(0, colon), port: Number(text.slice(colon + 1)) }
}
