import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { hostname, networkInterfaces } from 'node:os'
import { toError } from '../../errors.ts'
import type { Settings } from '../../settings/settings.ts'
import { Service } from '../../service/service.ts'
import type { DoorbellRow } from '../../store/nodes/node-store.ts'
import type { Clock } from '../../clock.ts'

export interface DoorbellParts {
  /** This node's id. */
  readonly nodeId: () => string
  /** Live nodes that can be notified. */
  readonly nodes: () => Promise<readonly DoorbellRow[]>
  /** Called when another node reports new work in the queue. */
  readonly onRing: () => void
  /** Called when another node reports a new version of a shared value. */
  readonly onShared: (topic: string, version: number) => void
  readonly clock: Clock
  /** Whether this process executes runs, and so can be notified. */
  readonly listens: boolean
  readonly doorbell: Settings['piko']['doorbell']
  /** Whether every process of the store is on this machine. */
  readonly isLocal: boolean
}

const LOOPBACK = '127.0.0.1'
/** The number of nodes to notify, because one of them may have no free slot. */
const RUNG = 2
/** How long, in milliseconds, a node keeps its list of live nodes to notify. */
const KNOWN_MS = 5_000
const GREETING = 'piko '
/** The separator between the id of the receiving node and the version and topic of a shared value. */
const SHARED = ' shared '
const MAX_TOPICS = 1_000

/**
 * Notifies other nodes immediately of work in the queue. It sends one UDP datagram to each of two nodes, whose addresses are in their rows.
 * The datagram contains only the id of the receiving node, which then queries the queue without waiting for its next poll. In the same way
 * it notifies all nodes of a new version of a shared value: the datagram has the topic and the number, but not the value.
 *
 * Nothing relies on datagrams: if one is lost, or the network blocks them, work starts up to `[piko] poll_interval` later.
 */
export class Doorbell extends Service {
  readonly #parts: DoorbellParts
  #socket: Socket | undefined
  #address: string | undefined
  /** The port stays the same across a restart, because the node's row contains it. */
  #port = 0
  #known: readonly DoorbellRow[] = []
  #knownAt = -Infinity
  #isRinging = false
  /** The newest versions of shared values that other nodes have not been notified of. */
  readonly #versions = new Map<string, number>()
  #isTelling = false

  constructor(parts: DoorbellParts) {
    super({ name: 'doorbell' })
    this.#parts = parts
  }

  /** The address for notifications, `host:port`; undefined if there is none. */
  get address(): string | undefined {
    return this.#address
  }

  /** Notifies other nodes. Returns immediately, and never fails. */
  ring(): void {
    if (this.#isRinging || !this.isRunning || this.#parts.doorbell === 'off') return
    this.#isRinging = true
    void this.#ring()
      // Without a notification, the poll finds the work.
      .catch((error: unknown) => this.log.debug({ err: error }, 'other nodes could not be notified of new runs'))
      .finally(() => (this.#isRinging = false))
  }

  /** Notifies other nodes of a version of a shared value. Returns immediately, and never fails. */
  tell(topic: string, version: number): void {
    if (!this.isRunning || this.#parts.doorbell === 'off' || this.#versions.size >= MAX_TOPICS) return
    this.#versions.set(topic, version)
    if (this.#isTelling) return
    this.#isTelling = true
    void this.#tell()
      // Without a notification, the poll finds the version.
      .catch((error: unknown) => this.log.debug({ err: error }, 'other nodes could not be notified of new runs'))
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
    socket.on('message', (message) => this.#hear(message.toString('latin1')))
    const listening = once(socket, 'listening')
    socket.bind({ address: given?.host ?? (isLocal ? LOOPBACK : '0.0.0.0'), port: given?.port ?? this.#port })
    await listening
    this.#port = socket.address().port
    this.#address = `${given?.host ?? (isLocal ? LOOPBACK : outsideAddress())}:${this.#port}`
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
    // Ignored: an unreachable address is like a lost datagram.
    socket.on('error', () => {})
    this.#socket = socket
    return socket
  }

  async #ring(): Promise<void> {
    const others = await this.#others()
    const first = Math.floor(Math.random() * others.length)
    for (const other of [...others.slice(first), ...others.slice(0, first)].slice(0, RUNG)) this.#send(other, '')
  }

  async #tell(): Promise<void> {
    const others = await this.#others()
    this.#isTelling = false
    // Includes the versions that were published in the meantime.
    const versions = [...this.#versions]
    this.#versions.clear()
    for (const [topic, version] of versions)
      for (const other of others) this.#send(other, `${SHARED}${version} ${topic}`)
  }

  /** The other live nodes. */
  async #others(): Promise<readonly DoorbellRow[]> {
    const { clock, nodes, nodeId } = this.#parts
    if (clock.monotonic() - this.#knownAt > KNOWN_MS) {
      this.#known = await nodes()
      this.#knownAt = clock.monotonic()
    }
    return this.#known.filter(({ id }) => id !== nodeId())
  }

  #send({ id, host, doorbell }: DoorbellRow, what: string): void {
    const to = addressOf(doorbell)
    const socket = this.#socket ?? this.#open()
    socket.send(GREETING + id + what, to.port, host === hostname() ? LOOPBACK : to.host, () => {})
  }
}

function addressOf(text: string): { host: string; port: number } {
  const colon = text.lastIndexOf(':')
  return { host: text.slice(0, colon), port: Number(text.slice(colon + 1)) }
}

/** The first address at which other machines may reach this one. */
function outsideAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
  return all.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? LOOPBACK
}
