import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** What becomes of bytes on their way. `'swallow'`: they are read and never arrive, as on a half-dead connection. */
export type ProxyMode = 'pass' | 'swallow'

interface Loss {
  readonly what: 'request' | 'answer'
  readonly text: string
  /** Only on the connection that has sent a request with this text before. */
  readonly after: string
  isAfter: Socket | undefined
  readonly resolve: () => void
  client: Socket | undefined
}

/** A TCP proxy in front of a server, which can fail as networks do. */
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

  /** Open connections. */
  get connections(): number {
    return this.#pairs.size
  }

  /** Everything as a wire again: nothing delayed, swallowed or refused. Bytes that were swallowed stay lost. */
  heal(): void {
    this.#delayMs = 0
    this.#requests = 'pass'
    this.#answers = 'pass'
    this.#isRefusing = false
  }

  /** Holds back what comes from now on, both ways. */
  delay(ms: number): void {
    this.#delayMs = ms
  }

  /** Swallows what the server answers: statements are done, and nobody learns of it. */
  swallowAnswers(): void {
    this.#answers = 'swallow'
  }

  /**
   * Cuts the connection that sends a request with the text `after` and then one with `text`, once the server has answered
   * that: the request is done, and nobody learns of it. Resolves then.
   */
  loseAnswerTo(text: string, after: string): Promise<void> {
    return this.#lose('answer', text, after)
  }

  /** The same before the request with `text` arrives at the server. */
  loseRequest(text: string, after: string): Promise<void> {
    return this.#lose('request', text, after)
  }

  #lose(what: Loss['what'], text: string, after: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#loses = { what, text, after, isAfter: undefined, resolve, client: undefined }
    return promise
  }

  /** Swallows what the clients ask. */
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

  /** Ends the clients' side of every connection, politely; the server's side stays open. */
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
    from.on('error', () => {}) // Its 'close' follows.
    from.on('data', (bytes: Buffer) => {
      if (mode() === 'swallow') return
      if (this.#delayMs === 0) to.write(bytes)
      else setTimeout(() => to.writable && to.write(bytes), this.#delayMs).unref()
    })
  }
}
