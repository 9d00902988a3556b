import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** How the proxy treats bytes. `'swallow'`: reads them and never passes them on, as a half-dead connection does. */
export type ProxyMode = 'pass' | 'swallow'

interface Loss {
  readonly what: 'request' | 'answer'
  readonly text: string
  /** Only on a connection that has already sent a request with this text. */
  readonly after: string
  isAfter: Socket | undefined
  readonly resolve: () => void
  client: Socket | undefined
}

/** A TCP proxy in front of a server that can fail as networks do. */
export class TcpProxy {
  readonly #server: Server
  readonly #target: { readonly host: string; readonly port: number }
  readonly #pairs = new Set<{ readonly client: Socket; readonly upstream: Socket }>()
  #delayMs = 0
  #requests: ProxyMode = 'pass'
  #answers: ProxyMode = 'pass'
  #isRefusing = false
  #loses: Loss | undefined

  /** Listens on a free port of loopback. */
  static async start(target: { host: string; port: number }): Promise<TcpProxy> {
    const proxy = new TcpProxy(target)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  private constructor(target: { host: string; port: number }) {
    this.#target = target
    this.#server = createServer((client) => this.#accept(client))
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Number of open connections. */
  get connections(): number {
    return this.#pairs.size
  }

  /** Passes everything on again, without delay, loss or refusal. Bytes that were swallowed stay lost. */
  heal(): void {
    this.#delayMs = 0
    this.#requests = 'pass'
    this.#answers = 'pass'
    this.#isRefusing = false
  }

  /** Delays all bytes from now on, both ways. */
  delay(ms: number): void {
    this.#delayMs = ms
  }

  /** Swallows the server's answers: statements are executed, but nobody gets the result. */
  swallowAnswers(): void {
    this.#answers = 'swallow'
  }

  /**
   * Cuts a connection that sends a request with the text `after` and then one with `text`, once the server has answered
   * the second. So the request is executed, but nobody gets the result. Resolves then.
   */
  loseAnswerTo(text: string, after: string): Promise<void> {
    return this.#lose('answer', text, after)
  }

  /** The same, but before the request with `text` reaches the server. */
  loseRequest(text: string, after: string): Promise<void> {
    return this.#lose('request', text, after)
  }

  #lose(what: Loss['what'], text: string, after: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#loses = { what, text, after, isAfter: undefined, resolve, client: undefined }
    return promise
  }

  /** Swallows the clients' requests. */
  swallowRequests(): void {
    this.#requests = 'swallow'
  }

  /** Resets every connection and, until `heal`, each new one. */
  cut(): void {
    this.#isRefusing = true
    this.drop()
  }

  /** Resets every connection once; new ones are accepted. */
  drop(): void {
    for (const { client, upstream } of this.#pairs) {
      client.resetAndDestroy()
      upstream.resetAndDestroy()
    }
  }

  /** Ends the clients' side of every connection cleanly; the server's side stays open. */
  halfClose(): void {
    for (const { client } of this.#pairs) client.end()
  }

  async stop(): Promise<void> {
    this.#server.close()
    this.drop()
    await once(this.#server, 'close')
  }

  #accept(client: Socket): void {
    if (this.#isRefusing) {
      client.resetAndDestroy()
      return
    }
    const upstream = connect(this.#target.port, this.#target.host)
    const pair = { client, upstream }
    this.#pairs.add(pair)
    client.on('data', (bytes: Buffer) => this.#awaitLoss(client, bytes))
    this.#pipe(client, upstream, () => (this.#isLost(client, 'request') ? 'swallow' : this.#requests))
    this.#pipe(upstream, client, () => (this.#isLost(client, 'answer') ? 'swallow' : this.#answers))
    const forget = (): void => {
      this.#pairs.delete(pair)
      client.destroy()
      upstream.destroy()
    }
    client.on('close', forget)
    upstream.on('close', forget)
  }

  #awaitLoss(client: Socket, bytes: Buffer): void {
    const loses = this.#loses
    if (!loses || loses.client) return
    const request = bytes.toString('latin1').toLowerCase()
    if (loses.isAfter === client && request.includes(loses.text.toLowerCase())) loses.client = client
    if (request.includes(loses.after.toLowerCase())) loses.isAfter = client
  }

  #isLost(client: Socket, what: Loss['what']): boolean {
    if (this.#loses?.client !== client || this.#loses.what !== what) return false
    const { resolve } = this.#loses
    this.#loses = undefined
    client.resetAndDestroy()
    resolve()
    return true
  }

  #pipe(from: Socket, to: Socket, mode: () => ProxyMode): void {
    from.setNoDelay(true)
    from.on('error', () => {}) // A 'close' event follows.
    from.on('data', (bytes: Buffer) => {
      if (mode() === 'swallow') return
      if (this.#delayMs === 0) to.write(bytes)
      else setTimeout(() => to.writable && to.write(bytes), this.#delayMs).unref()
    })
  }
}
