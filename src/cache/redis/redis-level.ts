import { isObject, propertyOf } from '../../errors-read.ts'
import { toError } from '../../errors.ts'
import type { CacheLevel, LevelEntry, SeenVersion } from '../../job/cached-value.ts'
import { optionalPackage } from '../../optional-package.ts'
import * as scripts from './scripts.ts'

/** The methods of a `@redis/client` client that are used here. */
interface Client {
  readonly isReady: boolean
  readonly isOpen: boolean
  on(event: 'error', listener: (error: unknown) => void): unknown
  connect(): Promise<unknown>
  close(): Promise<unknown>
  destroy(): void
  sendCommand(parts: readonly string[]): Promise<unknown>
}

type Source = string | Readonly<Record<string, unknown>>

const FIRST_PAUSE_MS = 50
const MAX_PAUSE_MS = 2_000
const SCANNED = '500'

/** The shared level of a cache in a Redis server. Each call sends one command, except `clear`. Calls fail while there is no connection. */
export class RedisLevel implements CacheLevel {
  readonly #source: Source
  readonly #prefix: string
  #client: Promise<Client> | undefined
  #connecting: Promise<unknown> | undefined
  #error: Error | undefined
  #isClosed = false

  /** @param namespace separates installations that use the same server; an empty string if only one does */
  constructor(source: Source, namespace: string) {
    this.#source = source
    this.#prefix = namespace === '' ? 'piko' : `piko-${namespace}`
  }

  async read(space: string, keys: readonly string[]): Promise<Map<string, LevelEntry>> {
    const found = new Map<string, LevelEntry>()
    if (keys.length === 0) return found
    const rows = listOf(
      await this.#run(
        scripts.READ,
        keys.map((key) => this.#entryKey(space, key)),
      ),
    )
    for (const [index, key] of keys.entries()) {
      const [version, freshMs, leftMs, data] = listOf(rows[index])
      if (version === undefined || version === null) continue
      found.set(key, {
        bytes: typeof data === 'string' ? Buffer.from(data, 'base64') : undefined,
        version: Number(version),
        freshMs: Number(freshMs),
        leftMs: Number(leftMs),
      })
    }
    return found
  }

  async versions(space: string, keys: readonly string[]): Promise<Map<string, number>> {
    const found = listOf(
      await this.#run(
        scripts.VERSIONS,
        keys.map((key) => this.#entryKey(space, key)),
      ),
    )
    return new Map(
      keys.flatMap((key, index): [string, number][] =>
        typeof found[index] === 'string' ? [[key, Number(found[index])]] : [],
      ),
    )
  }

  async write(space: string, key: string, entry: LevelEntry, seen: SeenVersion | 'any' = 'any'): Promise<boolean> {
    const { bytes, version, freshMs, leftMs } = entry
    const data = bytes ? [Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')] : []
    const values = [seen, version, wholeMs(freshMs), wholeMs(leftMs)].map(String)
    return this.#isDone(scripts.WRITE, [this.#entryKey(space, key), this.#claimKey(space, key)], [...values, ...data])
  }

  touch(space: string, key: string, { version, freshMs, leftMs }: Omit<LevelEntry, 'bytes'>): Promise<boolean> {
    return this.#isDone(
      scripts.TOUCH,
      [this.#entryKey(space, key)],
      [version, wholeMs(freshMs), wholeMs(leftMs)].map(String),
    )
  }

  claim(space: string, key: string, owner: string, forMs: number): Promise<boolean> {
    return this.#isDone(scripts.CLAIM, [this.#claimKey(space, key)], [owner, String(forMs)])
  }

  async release(space: string, key: string, owner: string): Promise<void> {
    await this.#run(scripts.RELEASE, [this.#claimKey(space, key)], [owner])
  }

  async clear(space: string, prefix: string, step: () => void = () => {}): Promise<number> {
    const pattern = `${this.#entryKey(space, prefix).replaceAll(/[*?[\]\\^-]/g, '\\$&')}*`
    let count = 0
    let cursor = '0'
    do {
      const client = await this.#ready()
      const [next, keys] = listOf(await client.sendCommand(['SCAN', cursor, 'MATCH', pattern, 'COUNT', SCANNED]))
      const found = listOf(keys).map(String)
      if (found.length > 0) count += Number(await this.#run(scripts.CLEAR, found))
      cursor = String(next)
      step()
    } while (cursor !== '0')
    return count
  }

  /**
   * Returns the key of an entry. A cache's name may contain a colon but no `|`, and a namespace neither of them. So the keys of two caches
   * never collide, even if one name begins with the other.
   */
  #entryKey(space: string, key: string): string {
    return `${this.#prefix}:cache:${space}|${key}`
  }

  #claimKey(space: string, key: string): string {
    return `${this.#prefix}:loading:${space}|${key}`
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const client = await this.#client?.catch(() => undefined)
    if (!client?.isOpen) return
    if (client.isReady) await client.close()
    else client.destroy()
  }

  async #isDone(script: string, keys: readonly string[], values: readonly string[]): Promise<boolean> {
    return Number(await this.#run(script, keys, values)) === 1
  }

  async #run(script: string, keys: readonly string[], values: readonly string[] = []): Promise<unknown> {
    const client = await this.#ready()
    return client.sendCommand(['EVAL', script, String(keys.length), ...keys, ...values])
  }

  /**
   * Returns the connected client, which reconnects automatically. The first call waits for the connection.
   *
   * @throws in later calls the last error while there is no connection
   */
  async #ready(): Promise<Client> {
    if (this.#isClosed) throw new Error('the cache is closed')
    const client = await (this.#client ??= this.#create())
    if (client.isReady) return client
    if (!this.#connecting) {
      this.#connecting = client.connect()
      this.#connecting.catch((error: unknown) => (this.#error = toError(error)))
      await this.#connecting
      return client
    }
    if (this.#error) throw this.#error
    await this.#connecting
    return client
  }

  async #create(): Promise<Client> {
    const library = await optionalPackage('@redis/client', 'redis() of piko/cache', () => import('@redis/client'))
    const settings: object = typeof this.#source === 'string' ? { url: this.#source } : this.#source
    const socket = propertyOf(settings, 'socket')
    const client = library.createClient({
      ...settings,
      // Without a connection, commands must fail immediately instead of waiting, because the cache also works without this level.
      disableOfflineQueue: true,
      socket: {
        reconnectStrategy: (retries: number) => Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(retries, 10)),
        ...(isObject(socket) ? socket : {}),
      },
    }) as unknown as Client
    // Without a listener, a lost connection would end the process.
    client.on('error', (error) => (this.#error = toError(error)))
    return client
  }
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

/** Rounds to whole milliseconds, at least 1, because Redis refuses a time to live of 0. */
function wholeMs(ms: number): number {
  return Math.max(1, Math.round(ms))
}
