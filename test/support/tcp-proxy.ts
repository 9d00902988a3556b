import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** What becomes of bytes on their way. `'swallow'`: they are read and never arrive, as on a half-dead connection. */
export type ProxyMode = 'pass' | 'swallow'

/** A TCP proxy in front of a server, which can fail as networks do. */
export class TcpProxy {
  readonly #server: Server
  readonly #target: { readonly host: string; readonly port: number }
  readonly #pairs = new Set<{ readonly client: Socket; readonly upstream: Socket }>()
  #delayMs = 0
  #requests: ProxyMode = 'pass'
  #answers: ProxyMode = 'pass'
  #isRefusing = false
  #loses: { readonly text: string; readonly resolve: () => void; client: Socket | undefined } | undefined

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
   * Cuts the connection on which a request that holds `text` comes next, once the server has answered: the request is done,
   * and nobody learns of it. Resolves then.
   */
  loseAnswerTo(text: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#loses = { text: text.toLowerCase(), resolve, client: undefined }
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
    this.#pipe(client, upstream, () => this.#requests)
    this.#pipe(upstream, client, () => (this.#isLost(client) ? 'swallow' : this.#answers))
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
    if (loses && !loses.client && bytes.toString('latin1').toLowerCase().includes(loses.text)) loses.client = client
  }

  #isLost(client: Socket): boolean {
    if (this.#loses?.client !== client) return false
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
