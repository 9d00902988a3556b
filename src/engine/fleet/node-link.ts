import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { messageOf } from '../../errors-read.ts'
import { PikoError, toError } from '../../errors.ts'
import { isLoopback } from '../../access/loopback.ts'
import type { DialTls } from '../../link/connect/dial-tls.ts'
import type { LinkServer } from '../../link/connect/listen.ts'
import type { Link } from '../../link/link.ts'
import type { Routes } from '../../link/routes/define-routes.ts'
import { type FleetNodes, offerFleet } from '../../offload/fleet/fleet.ts'
import type { Settings } from '../../settings/settings.ts'
import type { StopReason } from '../../service/lifecycle-parts.ts'
import { Service } from '../../service/service.ts'
import type { PeerRow } from '../../store/nodes/node-store.ts'
import type { Clock } from '../../clock.ts'
import { LOOPBACK, outsideAddress } from '../node/outside-address.ts'
import type { Hint } from './hint.ts'
import type { KnownNodes } from './known-nodes.ts'
import type { Peers } from './peers.ts'

export interface NodeLinkParts {
  readonly nodeId: () => string
  readonly known: KnownNodes
  readonly settings: Settings['link']
  /** Whether this process executes runs. Otherwise it accepts no connections. */
  readonly listens: boolean
  readonly onHint: (hint: Hint) => void
  /** The routes that other nodes may call. Loaded with the first connection. */
  readonly routes: () => Promise<readonly Routes[]>
  /** Creates the object through which `offload` calls other nodes. */
  readonly fleet: (link: Pick<NodeLink, 'to' | 'reachable'>) => FleetNodes
  readonly clock: Clock
}

/** How long a stop waits for hints that are being sent. */
const LAST_HINTS_MS = 1_000
/** The name of the link event that carries hints. */
const HINT_EVENT = 'piko.hint'
const MAX_PENDING = 1_000

/**
 * The connections to the other nodes of the fleet. The address of a node is in its row. A connection is opened when it is needed, and
 * closed after a minute without use.
 *
 * No result depends on these connections, because the database also contains everything that a hint says. Without them, a node sees a
 * change up to one poll later.
 */
export class NodeLink extends Service {
  readonly #parts: NodeLinkParts
  #server: LinkServer | undefined
  #url: string | undefined
  /** The secret in the row of this node. Undefined if the settings contain one. */
  readonly #key: string | undefined
  #routes: readonly Routes[] = []
  #peers: Promise<Peers> | undefined
  #opened: Peers | undefined
  readonly #pending = new Set<Promise<void>>()

  constructor(parts: NodeLinkParts) {
    super({ name: 'node-link' })
    this.#parts = parts
    this.#key = parts.settings.secret === '' ? randomBytes(24).toString('base64url') : undefined
  }

  /** The URL for other nodes; undefined if this node accepts no connections. */
  get url(): string | undefined {
    return this.#url
  }

  /** The secret for other nodes; undefined if it is in the settings. */
  get key(): string | undefined {
    return this.#url === undefined ? undefined : this.#key
  }

  /**
   * Sends a hint. If no connection is open, opens one in the background first.
   *
   * @returns whether a connection was already open
   */
  tell(row: PeerRow, hint: Hint): boolean {
    if (!this.isRunning || !this.#canReach(row)) return false
    const link = this.#opened?.up(row.id)
    if (link) void this.#send(link, hint)
    else if (this.#pending.size <= MAX_PENDING) this.#keep(this.#tellOne(row, hint))
    return link !== undefined
  }

  /** Sends a hint to some nodes, or to all others. Opens connections if necessary. Returns immediately and never fails. */
  tellAll(hint: Hint, nodeIds?: readonly string[]): void {
    if (!this.isRunning || this.#isOff || this.#pending.size > MAX_PENDING) return
    this.#keep(this.#tellAll(hint, nodeIds))
  }

  /** Returns a connection to a node; undefined if it can't be reached. */
  async to(nodeId: string): Promise<Link | undefined> {
    if (!this.isRunning || this.#isOff) return undefined
    const row = await this.#parts.known.find(nodeId)
    return row && this.#canReach(row) ? this.#reach(row) : undefined
  }

  /** Returns the other nodes that can be reached. */
  async reachable(): Promise<PeerRow[]> {
    if (!this.isRunning || this.#isOff) return []
    return (await this.#parts.known.others()).filter((row) => this.#canReach(row))
  }

  protected override async onStart(): Promise<void> {
    const { listens, fleet } = this.#parts
    if (this.#isOff) return
    this.defer(offerFleet(fleet(this)))
    if (!listens) return
    try {
      await this.#listen()
    } catch (error) {
      this.#url = undefined
      if (error instanceof PikoError && error.code === 'SETTINGS_INVALID') throw error
      this.log.warn(
        { err: toError(error) },
        'other nodes cannot connect to this node; this node finds their changes by polling',
      )
    }
  }

  protected override async onStop(why: StopReason): Promise<void> {
    if (why === 'stop') await this.#lastHints()
    this.#url = undefined
    const peers = this.#opened
    this.#peers = undefined
    this.#opened = undefined
    await Promise.all([peers?.close(), this.#server?.isRunning ? this.#server.stop() : undefined])
  }

  get #isOff(): boolean {
    return this.#parts.settings.listen === 'off'
  }

  /** Whether this node can reach another one. A loopback address works only on the same machine. */
  #canReach({ link, host }: PeerRow): boolean {
    if (this.#isOff || link === undefined) return false
    return host === hostname() || !isLoopback(bare(URL.parse(link)?.hostname ?? ''))
  }

  async #listen(): Promise<void> {
    const { settings, nodeId } = this.#parts
    const [peers, { listen }, { linkIdOf }] = await Promise.all([
      this.#loaded(),
      import('../../link/connect/listen.ts'),
      import('./peers.ts'),
    ])
    const { host, port } = addressOf(settings.listen)
    const tls = this.#tls
    this.#assertSafe(host)
    this.#server ??= listen({
      ...{ host, port, log: this.log, nodeId: linkIdOf(nodeId()) },
      secret: this.#key ?? settings.secret,
      routes: this.#routes,
      ...(tls && { tls }),
      onConnection: (link) => peers.adopt(link),
    })
    await this.#server.start()
    this.#url = this.#server.url?.replace(/\/\/(0\.0\.0\.0|\[::\]):/, `//${outsideAddress()}:`)
  }

  /**
   * Refuses an address that other machines can reach but the settings do not protect.
   *
   * @throws PikoError `SETTINGS_INVALID`
   */
  #assertSafe(host: string): void {
    const { listen, secret, tlsCert } = this.#parts.settings
    if (isLoopback(host) || (secret !== '' && tlsCert !== '')) return
    throw new PikoError(
      'SETTINGS_INVALID',
      `[link] listen is "${listen}", which other machines reach; set [link] secret, tls_key and tls_cert too, or leave listen at "auto"`,
      { details: { listen } },
    )
  }

  get #tls(): { readonly key: Buffer; readonly cert: Buffer } | undefined {
    const { tlsKey, tlsCert } = this.#parts.settings
    return tlsKey === '' || tlsCert === ''
      ? undefined
      : { key: read('tls_key', tlsKey), cert: read('tls_cert', tlsCert) }
  }

  #loaded(): Promise<Peers> {
    return (this.#peers ??= this.#load())
  }

  async #load(): Promise<Peers> {
    const { settings, clock, nodeId, routes, onHint } = this.#parts
    const [{ Peers, linkIdOf }, { HINT }] = await Promise.all([import('./peers.ts'), import('./hint.ts')])
    this.#routes = await routes()
    const tls: DialTls = settings.tlsCa === '' ? {} : { ca: read('tls_ca', settings.tlsCa) }
    const peers = new Peers({
      options: { routes: this.#routes, tls, nodeId: linkIdOf(nodeId()), log: this.log },
      secret: settings.secret === '' ? undefined : settings.secret,
      onLink: (link) => {
        link.events.on(HINT_EVENT, (payload) => {
          const hint = HINT.safeParse(payload)
          if (hint.success) onHint(hint.data)
        })
      },
      clock,
    })
    this.#opened = peers
    return peers
  }

  async #reach(row: PeerRow): Promise<Link | undefined> {
    return (await this.#loaded()).reach(row)
  }

  async #tellAll(hint: Hint, nodeIds: readonly string[] | undefined): Promise<void> {
    const { known, nodeId } = this.#parts
    const others = nodeIds?.filter((id) => id !== nodeId())
    const rows = others ? await Promise.all(others.map((id) => known.find(id))) : await known.others()
    await Promise.all(rows.flatMap((row) => (row ? [this.#tellOne(row, hint)] : [])))
  }

  async #tellOne(row: PeerRow, hint: Hint): Promise<void> {
    const link = this.#canReach(row) ? await this.#reach(row) : undefined
    if (link) await this.#send(link, hint)
  }

  #send(link: Link, hint: Hint): Promise<unknown> {
    const sent = link.emit(HINT_EVENT, hint, { level: 0 })
    this.#keep(sent)
    return sent
  }

  /**
   * Remembers a hint that is being sent, until it is sent or has failed. A failure is only logged: the other node finds the change at its
   * next poll.
   */
  #keep(work: Promise<unknown>): void {
    const kept: Promise<void> = work
      .then(() => {})
      .catch((error: unknown) =>
        this.log.debug({ reason: messageOf(error) }, 'a notification did not reach another node'),
      )
      .finally(() => this.#pending.delete(kept))
    this.#pending.add(kept)
  }

  async #lastHints(): Promise<void> {
    if (this.#pending.size === 0) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, LAST_HINTS_MS)
    await Promise.race([promise, Promise.allSettled([...this.#pending])])
    clearTimeout(timer)
  }
}

function addressOf(listen: string): { readonly host: string; readonly port: number } {
  if (listen === 'auto') return { host: LOOPBACK, port: 0 }
  const colon = listen.lastIndexOf(':')
  return { host: bare(listen.slice(0, colon)), port: Number(listen.slice(colon + 1)) }
}

/** Returns an IPv6 address without its brackets. */
function bare(host: string): string {
  return host.replace(/^\[|\]$/g, '')
}

function read(setting: string, path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw new PikoError('SETTINGS_INVALID', `[link] ${setting} ${path} can't be read: ${messageOf(cause)}`, {
      cause: toError(cause),
      details: { path },
    })
  }
}
