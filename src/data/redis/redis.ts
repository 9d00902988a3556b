import { wrongCall } from '../../call-options.ts'
import { aDuration } from '../../time/duration-check.ts'
import { within } from '../../calls/timeout.ts'
import { describe, PikoError } from '../../errors.ts'
import { isObject, messageOf, propertyOf, safely } from '../../errors-read.ts'
import { optionalPackage } from '../../optional-package.ts'
import { aText, type OptionChecks, readOptions } from '../../options.ts'
import { defineResource } from '../../resource/define-resource.ts'
import type { ResourceClass } from '../../resource/resource.ts'
import { redactText } from '../../run/redact.ts'
import { type Duration, durationMs, formatMs } from '../../time/duration.ts'

export interface RedisOptions {
  /** The name for messages and metrics. Default: `redis`, with the host of a URL. */
  readonly name?: string
  /** How long the first use waits for a server that can't be reached. Default `'30s'`. */
  readonly wait?: Duration
}

/**
 * The commands that this type declares. The client itself has all commands of Redis: for their types, write `redis<RedisClientType>(url)`
 * with the type from `@redis/client`.
 */
export interface RedisCommands {
  get(key: string): Promise<string | null>
  set(key: string, value: string | number): Promise<unknown>
  del(keys: string | string[]): Promise<number>
  incrBy(key: string, by: number): Promise<number>
  expire(key: string, seconds: number): Promise<unknown>
  hGetAll(key: string): Promise<Record<string, string>>
  hSet(key: string, values: Record<string, string | number>): Promise<number>
  /** Sends any command: `sendCommand(['LPUSH', 'list', 'value'])`. */
  sendCommand(parts: readonly string[]): Promise<unknown>
}

/** The part of a client of `@redis/client` that Piko itself uses. */
interface Client {
  readonly isOpen: boolean
  readonly isReady: boolean
  on(event: 'error', listener: (error: unknown) => void): unknown
  connect(): Promise<unknown>
  ping(): Promise<unknown>
  close(): Promise<unknown>
  destroy(): void
  withAbortSignal(signal: AbortSignal): unknown
}

/** The options of `createClient` of `@redis/client`, such as `{ url, database, socket }`. */
export type RedisClientSettings = Readonly<Record<string, unknown>> & { readonly sendCommand?: undefined }

const CHECKS: OptionChecks<RedisOptions> = { name: aText, wait: aDuration(1) }
const DEFAULT_WAIT: Duration = '30s'
const MAX_PING_MS = 5_000
/** The maximum pause between two attempts to connect. */
const MAX_PAUSE_MS = 2_000
const FIRST_PAUSE_MS = 50

/**
 * A Redis server as a resource. Runs share one connection, whose commands are pipelined. The commands of a run end with the run. While the
 * server can't be reached, commands wait. Needs the package `@redis/client`.
 *
 * @param source a URL such as `redis://user:password@host:6379`, the options of `createClient`, or your own client, which stays open if it
 * is open already
 * @throws PikoError `USAGE` naming all problems. Without the package, each run fails with `PACKAGE_MISSING`
 * @example
 * const cache = redis('redis://localhost')
 * const sync = defineJob({ id: 'sync', resources: { cache } }, async ({ resources: { cache } }) => {
 *   await cache.set('last', 'now')
 * })
 */
export function redis<C extends object = RedisCommands>(
  source: string | RedisClientSettings,
  options?: RedisOptions,
): ResourceClass<C>
export function redis<C extends object>(source: C, options?: RedisOptions): ResourceClass<C>
export function redis(source: unknown, options: RedisOptions = {}): ResourceClass<object> {
  const { name, wait = DEFAULT_WAIT } = checked(source, options)
  const given = isClient(source) ? source : undefined
  return defineResource({
    name: name ?? nameOf(source),
    open: () => connected(source, given, durationMs(wait)),
    async *acquire(ctx, connection) {
      yield connection.client.withAbortSignal(ctx.signal) as object
    },
    check: (connection) => connection.check(),
    close: (connection) => connection.close(),
  })
}

/** Opens a client and its connection. @throws PikoError `RESOURCE_FAILED` if there is no connection in time */
async function connected(source: unknown, given: Client | undefined, waitMs: number): Promise<Connection> {
  const client = given ?? (await createClient(source as string | object))
  const connection = new Connection(client, given?.isOpen === true)
  try {
    await connection.ready(waitMs)
    return connection
  } catch (error) {
    await connection.close()
    throw error
  }
}

/** A client with its connection. */
class Connection {
  readonly client: Client
  readonly #isForeign: boolean
  #lastError: unknown

  /** @param isForeign whether other code opened the client and will close it */
  constructor(client: Client, isForeign: boolean) {
    this.client = client
    this.#isForeign = isForeign
    // Without a listener, a lost connection would end the process. The client reconnects automatically.
    client.on('error', (error) => (this.#lastError = error))
  }

  /** Waits for the connection. @throws PikoError `RESOURCE_FAILED` if there is no connection in time */
  async ready(waitMs: number): Promise<void> {
    if (this.client.isOpen) return
    const connecting = this.client.connect()
    connecting.catch((error: unknown) => (this.#lastError = error))
    try {
      await within(() => connecting, waitMs, undefined)
    } catch (error) {
      throw this.#failed(`no connection within ${formatMs(waitMs)}`, error)
    }
  }

  async check(): Promise<void> {
    if (!this.client.isReady) throw this.#failed('not connected', this.#lastError)
    await within(() => this.client.ping(), MAX_PING_MS, undefined)
  }

  async close(): Promise<void> {
    if (this.#isForeign || !this.client.isOpen) return
    if (this.client.isReady) await this.client.close()
    else this.client.destroy()
  }

  #failed(what: string, cause: unknown): PikoError {
    const why = this.#lastError ?? cause
    const text = why === undefined ? what : `${what}: ${redactText(messageOf(why))}`
    return new PikoError('RESOURCE_FAILED', `redis: ${text}`, { cause: why })
  }
}

async function createClient(source: string | object): Promise<Client> {
  const library = await optionalPackage('@redis/client', 'redis()', () => import('@redis/client'))
  const settings: object = typeof source === 'string' ? { url: source } : source
  const socket = propertyOf(settings, 'socket')
  const client: unknown = library.createClient({
    ...settings,
    socket: {
      reconnectStrategy: (retries: number) => Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(retries, 10)),
      ...(isObject(socket) ? socket : {}),
    },
  })
  if (isClient(client)) return client
  throw new PikoError('RESOURCE_FAILED', 'redis: createClient of @redis/client did not return a client')
}

function isClient(source: unknown): source is Client {
  return isObject(source) && typeof propertyOf(source, 'sendCommand') === 'function'
}

function checked(source: unknown, given: RedisOptions): RedisOptions {
  const { options, problems } = readOptions<RedisOptions>(given, CHECKS, "{ wait: '30s' }")
  const all = [...sourceProblems(source), ...problems]
  if (all.length > 0) throw wrongCall('redis', all)
  return options
}

function sourceProblems(source: unknown): string[] {
  if (isObject(source) && !Array.isArray(source)) return []
  const url = typeof source === 'string' ? safely(() => new URL(source), undefined) : undefined
  if (url?.protocol === 'redis:' || url?.protocol === 'rediss:') return []
  // The text is not shown, because it may be a password that was given by mistake.
  const what = typeof source === 'string' ? 'the URL is not a Redis URL' : `the server is ${describe(source)}`
  return [`${what}; expected redis://user:password@host:6379, rediss://…, options or a client`]
}

function nameOf(source: unknown): string {
  return typeof source === 'string' ? `redis ${new URL(source).hostname}` : 'redis'
}
