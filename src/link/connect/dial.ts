import type { Duplex } from 'node:stream'
import { anAbortSignal, aTable, aText } from '../../options.ts'
import { PikoError } from '../../errors.ts'
import { messageOf } from '../../errors-read.ts'
import { untilAborted } from '../../signals/until-aborted.ts'
import type { CarrierEvents } from '../carrier/carrier.ts'
import { Connection } from '../carrier/connection.ts'
import { Link } from '../link.ts'
import { limitsOf, linkCall, type LinkOptions } from '../link-options.ts'
import { type Address, addressText, readAddress } from './address.ts'
import { nodeIdOf } from './node-id.ts'
import type { DialTls } from './dial-tls.ts'
import { openDuplex } from './open-duplex.ts'
import { trustAdvice } from './trust.ts'

export interface DialOptions extends LinkOptions {
  /** `piko://host:port`, `piko+tls://host:port`, `piko+unix:/path`, `ws://host:port/path` or `wss://host:port/path`. */
  readonly url: string
  /** For `piko+tls` and `wss`: options of Node's `tls.connect`, such as `ca`. */
  readonly tls?: DialTls
  /** Aborting this signal ends the first attempt to connect. */
  readonly signal?: AbortSignal
}

const FIRST_DELAY_MS = 100
const LONGEST_DELAY_MS = 30_000
/** If a connection lasted at least this long, the next delay is short again. */
const GOOD_MS = 5_000

/**
 * Connects to a listener. If the connection is lost later, the link reconnects, after at most 100 ms at first, then after longer delays up
 * to 30 s. During that time new calls wait, and `link.events` emits `link.down` and `link.up`.
 *
 * @throws PikoError `USAGE` that names every wrong option; `LINK_UNREACHABLE`, `LINK_DENIED`, `LINK_VERSION`, `LINK_FULL` if the first
 * attempt fails
 * @example const link = await dial({ url: 'piko://127.0.0.1:9466' })
 */
export async function dial(given: DialOptions): Promise<Link> {
  const options = linkCall<DialOptions>(
    'dial',
    given,
    { url: aText, tls: aTable, signal: anAbortSignal },
    "{ url: 'piko://127.0.0.1:9466' }",
    ['url'],
  )
  options.signal?.throwIfAborted()
  const dialer = new Dialer(options, readAddress(options.url))
  return dialer.first()
}

/** Keeps a link connected. */
class Dialer {
  readonly #options: DialOptions
  readonly #address: Address
  readonly #link: Link
  readonly #failed = Promise.withResolvers<never>()
  #delayMs = FIRST_DELAY_MS
  #upSinceMs: number | undefined
  #isFirst = true
  #timer: NodeJS.Timeout | undefined
  #isTrying = false

  constructor(options: DialOptions, address: Address) {
    this.#options = options
    this.#address = address
    this.#link = new Link(options)
    this.#failed.promise.catch(() => {})
  }

  async first(): Promise<Link> {
    const link = this.#link
    try {
      await this.#try()
      await untilAborted(Promise.race([link.ready(), this.#failed.promise]), this.#options.signal)
    } catch (error) {
      link.destroy()
      throw this.#unreachable(error)
    }
    this.#isFirst = false
    this.#upSinceMs = performance.now()
    link.events.on('link.up', () => void (this.#upSinceMs = performance.now()))
    void link.whenClosed().then(() => clearTimeout(this.#timer))
    return link
  }

  /** Converts `LINK_LOST` and `LINK_BROKEN` to `LINK_UNREACHABLE`, with advice. Returns any other error unchanged. */
  #unreachable(error: unknown): unknown {
    if (!(error instanceof PikoError) || (error.code !== 'LINK_LOST' && error.code !== 'LINK_BROKEN')) return error
    const why = error.cause === undefined ? error.message : messageOf(error.cause)
    const advice = trustAdvice(error) ?? 'check the address, and that the other end listens'
    const message = `cannot connect to ${addressText(this.#address)}: ${why}; ${advice}`
    return new PikoError('LINK_UNREACHABLE', message, { cause: error, details: { url: this.#options.url } })
  }

  async #try(): Promise<void> {
    this.#isTrying = false
    const duplex = await openDuplex(this.#address, this.#options.tls ?? {})
    if (this.#link.state === 'closed') duplex.destroy()
    else
      this.#link.attach(
        (events) => this.#connect(duplex, events),
        (reason) => this.#lost(reason),
      )
  }

  #connect(duplex: Duplex, events: CarrierEvents): Connection {
    const { secret, nodeId } = this.#options
    return new Connection(
      {
        duplex,
        ownsChunks: this.#address.kind !== 'websocket',
        role: 'dial',
        limits: limitsOf(this.#options),
        secret,
        nodeId: nodeIdOf(nodeId),
      },
      events,
    )
  }

  #lost(reason: PikoError): void {
    if (this.#isFirst) return this.#failed.reject(reason)
    if (this.#isTrying || this.#link.state === 'closed') return
    this.#isTrying = true
    if (this.#upSinceMs !== undefined && performance.now() - this.#upSinceMs >= GOOD_MS) this.#delayMs = FIRST_DELAY_MS
    this.#upSinceMs = undefined
    const delayMs = this.#delayMs * (0.5 + Math.random() / 2)
    this.#delayMs = Math.min(LONGEST_DELAY_MS, this.#delayMs * 2)
    this.#timer = setTimeout(() => void this.#again(), delayMs)
  }

  async #again(): Promise<void> {
    if (this.#link.state === 'closed') return
    try {
      await this.#try()
    } catch (error) {
      this.#lost(new PikoError('LINK_UNREACHABLE', messageOf(error), { cause: error }))
    }
  }
}
