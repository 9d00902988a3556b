import type { LookupFunction, Socket } from 'node:net'
import type { Agent, buildConnector, WebSocket } from 'undici'
import { within } from '../calls/timeout.ts'
import { isError, messageOf } from '../errors-read.ts'
import { isPikoError } from '../errors.ts'
import { formatMs } from '../time/duration.ts'
import type { TlsOptions } from './agents.ts'
import { TooLarge } from './read-all.ts'

/** A message of a WebSocket. */
export interface SocketMessage {
  readonly bytes: Uint8Array
  readonly isBinary: boolean
}

export interface MessageSocketOptions {
  readonly headers: Readonly<Record<string, string>>
  readonly protocols: readonly string[]
  /** The time limit for opening the connection, including the server's response to the handshake, in milliseconds. */
  readonly connectTimeoutMs: number
  /** Aborting this signal ends the opening, which then throws the signal's reason. */
  readonly signal: AbortSignal
  readonly tls: TlsOptions | undefined
  /** Resolves host names. The connection is opened to exactly the address that it returns. */
  readonly lookup: LookupFunction | undefined
  /** The maximum number of bytes of a message, after decompression. */
  readonly maxBytes: number
}

/** The error of a connection that ended without the closing handshake. */
export class SocketBroken extends Error {}

/** The maximum number of messages and bytes that are read ahead before the server has to wait. */
const MAX_AHEAD_MESSAGES = 1_000
const MAX_AHEAD_BYTES = 4_000_000

/** The TCP connection of a WebSocket, which can be paused. */
class Connection {
  current: Socket | undefined
  #isEndedThere = false

  follow(socket: Socket): void {
    this.current = socket
    const endedThere = (): void => void (this.#isEndedThere = true)
    socket.once('end', endedThere).once('error', endedThere)
  }

  /** Whether this process ended the connection, not the server or the network. */
  isEndedHere(): boolean {
    return this.current?.destroyed === true && !this.#isEndedThere
  }
}

/** The result of a wait for a message. `idle`: no message arrived in time. */
export type Received = SocketMessage | 'closed' | 'idle'

/** The messages of a WebSocket in order. If they arrive faster than they are read, the server has to wait. */
export class MessageSocket {
  readonly #socket: WebSocket
  readonly #agent: Agent
  readonly #connection: Connection
  readonly #waiting: SocketMessage[] = []
  readonly #opened: Promise<void>
  #bytes = 0
  #isPaused = false
  #end: 'closed' | Error | undefined
  #wake: () => void = () => {}

  private constructor(socket: WebSocket, agent: Agent, connection: Connection) {
    this.#socket = socket
    this.#agent = agent
    this.#connection = connection
    socket.binaryType = 'arraybuffer'
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#opened = promise
    // `open` awaits this promise and reports its error.
    promise.catch(() => {})
    socket.addEventListener('open', () => resolve())
    socket.addEventListener('message', ({ data }) => this.#received(data as string | ArrayBuffer))
    socket.addEventListener('error', (event) => this.#failed((event as { readonly error?: unknown }).error, reject))
    socket.addEventListener('close', ({ code, reason, wasClean }) => {
      this.#end ??= wasClean ? 'closed' : new SocketBroken(`the connection broke (${code}${reason && `: ${reason}`})`)
      reject(this.#end === 'closed' ? new SocketBroken('the server closed the connection') : this.#end)
      this.#wake()
    })
  }

  /**
   * Opens the connection. Loads undici.
   *
   * @throws an error of undici or of the lookup, SocketBroken, the reason of the signal
   */
  static async open(url: URL, options: MessageSocketOptions): Promise<MessageSocket> {
    const undici = await import('undici')
    const { headers, protocols, connectTimeoutMs, signal, tls, lookup, maxBytes } = options
    const connection = new Connection()
    const plain = undici.buildConnector({
      ...tls,
      ...(lookup && { lookup }),
      timeout: connectTimeoutMs,
      allowH2: false,
    })
    let refused: Error | undefined
    const connect: buildConnector.connector = (wanted, callback) =>
      plain(wanted, (error, socket) => {
        if (error) {
          refused = error
          return callback(error, null)
        }
        if (socket) connection.follow(socket)
        callback(null, socket)
      })
    const agent = new undici.Agent({ connect, allowH2: false, webSocket: { maxPayloadSize: maxBytes } })
    const socket = new undici.WebSocket(url, { dispatcher: agent, headers, protocols: [...protocols] })
    const opened = new MessageSocket(socket, agent, connection)
    try {
      // A server may accept the connection but never respond to the handshake.
      await within(() => opened.#opened, connectTimeoutMs, signal)
      return opened
    } catch (error) {
      await opened.close()
      if (isPikoError(error, 'TIMEOUT')) throw new SocketBroken(`it did not open within ${formatMs(connectTimeoutMs)}`)
      // undici's own error only says that the socket did not open, without the reason.
      throw refused ?? error
    }
  }

  send(text: string): void {
    this.#socket.send(text)
  }

  /**
   * Waits for the next message, for at most `idleMs`.
   *
   * @throws SocketBroken, the reason of the signal
   */
  async next(idleMs: number, signal: AbortSignal): Promise<Received> {
    // The listener below is not called for a signal that has already aborted.
    signal.throwIfAborted()
    const found = this.#take()
    if (found) return found
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, idleMs)
    this.#wake = resolve
    signal.addEventListener('abort', this.#wake, { once: true })
    try {
      await promise
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', this.#wake)
    }
    signal.throwIfAborted()
    return this.#take() ?? 'idle'
  }

  #take(): SocketMessage | 'closed' | undefined {
    const message = this.#waiting.shift()
    if (!message) {
      if (isError(this.#end)) throw this.#end
      return this.#end
    }
    this.#bytes -= message.bytes.byteLength
    if (this.#isPaused && this.#waiting.length < MAX_AHEAD_MESSAGES / 2 && this.#bytes < MAX_AHEAD_BYTES / 2) {
      this.#isPaused = false
      this.#connection.current?.resume()
    }
    return message
  }

  #received(data: string | ArrayBuffer): void {
    const isBinary = typeof data !== 'string'
    const bytes = isBinary ? new Uint8Array(data) : Uint8Array.from(Buffer.from(data))
    this.#waiting.push({ bytes, isBinary })
    this.#bytes += bytes.byteLength
    if (this.#waiting.length >= MAX_AHEAD_MESSAGES || this.#bytes >= MAX_AHEAD_BYTES) {
      this.#isPaused = true
      this.#connection.current?.pause()
    }
    this.#wake()
  }

  #failed(error: unknown, reject: (error: Error) => void): void {
    // undici does not report why it ended a connection. The only reason that a server can cause on purpose is a message that is too large.
    const broken = this.#connection.isEndedHere()
      ? new TooLarge('sends a message that is too large')
      : new SocketBroken(`the connection broke: ${messageOf(error)}`)
    this.#end ??= broken
    reject(broken)
    this.#wake()
  }

  /** Ends the connection in any state. */
  async close(): Promise<void> {
    this.#end ??= 'closed'
    this.#waiting.length = 0
    this.#connection.current?.resume()
    this.#socket.close()
    await this.#agent.destroy()
    this.#connection.current?.destroy()
  }
}
