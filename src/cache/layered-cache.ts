// Long because it has all calls of a cache: short methods that use the other files of this folder.
import { readCall } from '../calls/call-checks.ts'
import { within } from '../calls/timeout.ts'
import type { Clock } from '../clock.ts'
import { describe, PikoError } from '../errors.ts'
import { headline } from '../errors-read.ts'
import type {
  Cache,
  CacheClear,
  CacheEntry,
  CacheFetch,
  CacheIncrement,
  CacheLevel,
  CacheLoader,
  CacheReach,
  CacheSet,
  CacheStats,
  LevelEntry,
  SeenVersion,
} from '../job/cached-value.ts'
import { MAX_VALUE_BYTES } from '../json/json.ts'
import { aFunction, anAbortSignal, aText, expecting, flag, type OptionCheck, wholeNumber } from '../options.ts'
import { type Duration, durationMs, MAX_STORED_MS } from '../time/duration.ts'
import { aDuration } from '../time/duration-check.ts'
import type { CacheCodec } from './codec.ts'
import { FleetClaim } from './fleet-claim.ts'
import { Flight } from './flight.ts'
import { type Guard, Guards } from './guards.ts'
import { KeyTurns } from './key-turns.ts'
import { type Kept, Memory } from './memory.ts'
import { Negatives } from './negatives.ts'
import { WatchedLevel } from './watched-level.ts'

export interface LayeredCacheParts<V> {
  readonly name: string
  readonly codec: CacheCodec<V>
  readonly ttlMs: number
  readonly staleMs: number
  readonly negativeMs: number
  readonly loadTimeoutMs: number
  readonly isFleet: boolean
  readonly l1: { readonly max: number; readonly maxBytes: number; readonly ttlMs: number }
  readonly level: CacheLevel | undefined
  readonly clock: Clock
  readonly observer?: Pick<CacheReach, 'degraded' | 'recovered' | 'changed'>
}

/** What the shared level has for a key. */
interface Found<V> {
  readonly kept: Kept<V> | undefined
  /** The version that a write must replace; undefined if the level does not respond. */
  readonly seen: SeenVersion | undefined
}

const MAX_KEY = 512
const MAX_KEYS = 10_000
/** The maximum number of reads of a key that changes during each read. */
const MAX_LOOKS = 3
/** The pause after a failed refresh. */
const REFRESH_PAUSE_MS = 1_000
/** The record of a deletion is kept for this time plus the time limit of a load. */
const DELETED_MS = 60_000
const MAX_TRIES = 50
const LONGEST_PAUSE_MS = 200

const aTtl: OptionCheck = aDuration(1, MAX_STORED_MS)
const FETCH = { call: 'cache.fetch', checks: { ttl: aTtl, signal: anAbortSignal }, example: "{ ttl: '1h' }" }
const SET = {
  call: 'cache.set',
  checks: { ttl: aTtl, ifAbsent: flag, ifVersion: wholeNumber(0) },
  example: "{ ttl: '1h' }",
}
const INCREMENT = { call: 'cache.increment', checks: { ttl: aTtl }, example: "{ ttl: '1h' }" }
const CLEAR = { call: 'cache.clear', checks: { prefix: aText }, example: "{ prefix: 'eu:' }" }
const NO_OPTIONS = { checks: {}, example: '{}' }
const aNumber = expecting('a finite number', (value) => Number.isFinite(value))
const aList = expecting(
  `a list of at most ${MAX_KEYS} keys`,
  (value) => Array.isArray(value) && value.length <= MAX_KEYS,
)

/** A cache with a part in this process and an optional level that all nodes share. */
export class LayeredCache<V> implements Cache<V> {
  readonly name: string
  readonly #parts: LayeredCacheParts<V>
  readonly #memory: Memory<V>
  readonly #negatives: Negatives
  readonly #level: WatchedLevel | undefined
  readonly #flights = new Map<string, Flight<V>>()
  readonly #guards = new Guards()
  readonly #turns = new KeyTurns()
  readonly #stopped = new AbortController()
  readonly #counts = { l1Hits: 0, l2Hits: 0, stale: 0, misses: 0, loads: 0, failures: 0, refused: 0 }

  constructor(parts: LayeredCacheParts<V>) {
    const { name, level, clock, observer, l1 } = parts
    this.name = name
    this.#parts = parts
    this.#memory = new Memory(l1)
    this.#negatives = new Negatives(l1.max, parts.negativeMs)
    this.#level =
      level &&
      new WatchedLevel({
        ...{ name, level, clock },
        degraded: (error) => observer?.degraded(name, error),
        recovered: (outageMs) => observer?.recovered(name, outageMs),
      })
  }

  async fetch(key: string, load: CacheLoader<V>, options: CacheFetch = {}): Promise<V> {
    const { ttl, signal } = readCall<CacheFetch>(FETCH, { load: [load, aFunction] }, options)
    this.#assertOpen(key)
    signal?.throwIfAborted()
    const now = this.#parts.clock.monotonic()
    const error = this.#negatives.get(key, now)
    if (error) throw error
    const ttlMs = this.#ttlMs(ttl)
    const kept = this.#usable(key, now)
    if (kept) {
      if (kept.freshUntil > now) this.#counts.l1Hits += 1
      else {
        this.#counts.stale += 1
        if (kept.refreshAt <= now && !this.#flights.has(key)) this.#begin(key, load, ttlMs).intoBackground()
      }
      return kept.value
    }
    return (this.#flights.get(key) ?? this.#begin(key, load, ttlMs)).wait(signal)
  }

  async get(key: string): Promise<V | undefined> {
    return (await this.#entry(key))?.value
  }

  async entry(key: string): Promise<CacheEntry<V> | undefined> {
    const kept = await this.#entry(key)
    const now = this.#parts.clock.monotonic()
    return (
      kept && {
        value: kept.value,
        version: kept.version,
        isStale: kept.freshUntil <= now,
        leftMs: kept.goneUntil - now,
      }
    )
  }

  async getMany(keys: readonly string[]): Promise<Map<string, V>> {
    readCall({ call: 'cache.getMany', ...NO_OPTIONS }, { keys: [keys, aList] }, {})
    for (const key of keys) this.#assertOpen(key)
    const now = this.#parts.clock.monotonic()
    const found = new Map<string, Kept<V>>()
    for (const key of keys) {
      const kept = this.#usable(key, now)
      if (kept) found.set(key, kept)
    }
    this.#counts.l1Hits += found.size
    const others = [...new Set(keys)].filter((key) => !found.has(key))
    for (const [key, { kept }] of await this.#lookAll(others)) if (kept) found.set(key, kept)
    const entries = keys.flatMap((key): [string, V][] => {
      const kept = found.get(key)
      return kept ? [[key, kept.value]] : []
    })
    return new Map(entries)
  }

  async set(key: string, value: V, options: CacheSet = {}): Promise<number | undefined> {
    const { ttl, ...condition } = readCall<CacheSet>(SET, {}, options)
    this.#assertOpen(key)
    const bytes = this.#encoded(key, value)
    if (bytes.byteLength > MAX_VALUE_BYTES) throw tooLarge(this.name, key, bytes.byteLength)
    const ttlMs = this.#ttlMs(ttl)
    return this.#turns.take(key, async () => {
      const times = { freshMs: ttlMs, leftMs: ttlMs + this.#parts.staleMs }
      if (condition.ifAbsent !== true && condition.ifVersion === undefined) return this.#replace(key, bytes, times)
      for (let tries = 1; ; tries++) {
        const entry = await this.#current(key)
        if (!holds(condition, entry)) return undefined
        const version = await this.#write(key, bytes, times, entry?.version ?? 'none')
        // An expired entry may be deleted between the read and the write. The key is then still absent, so the write is tried again.
        if (version !== undefined || isLive(entry) || tries === MAX_LOOKS) return version
      }
    })
  }

  async delete(key: string): Promise<boolean> {
    this.#assertOpen(key)
    return this.#turns.take(key, async () => {
      if (!this.#level) {
        const isKnown = this.#usable(key, this.#parts.clock.monotonic()) !== undefined
        this.#forget(key)
        return isKnown
      }
      const entry = await this.#current(key)
      // Loads that began earlier must not store the values that they have read. So the record of the deletion is kept until they have
      // ended.
      const gone = {
        bytes: undefined,
        version: newVersion(),
        freshMs: 0,
        leftMs: this.#parts.loadTimeoutMs + DELETED_MS,
      }
      await this.#changing(key, (level) => level.write(this.name, key, gone))
      return isLive(entry)
    })
  }

  async increment(key: string, by = 1, options: CacheIncrement = {}): Promise<number> {
    const { ttl } = readCall<CacheIncrement>(INCREMENT, { by: [by, aNumber] }, options)
    this.#assertOpen(key)
    const ttlMs = this.#ttlMs(ttl)
    const fresh = { freshMs: ttlMs, leftMs: ttlMs + this.#parts.staleMs }
    return this.#turns.take(key, async () => {
      for (let tries = 1; tries <= MAX_TRIES; tries++) {
        const entry = await this.#current(key)
        const live = isLive(entry) ? entry : undefined
        const next = this.#numberOf(key, live) + by
        const bytes = this.#encoded(key, next as V)
        const times = live ? { freshMs: live.freshMs, leftMs: live.leftMs } : fresh
        if ((await this.#write(key, bytes, times, entry?.version ?? 'none')) !== undefined) return next
        await this.#pause(tries)
      }
      throw this.#contended(key)
    })
  }

  async expire(key: string, ttl: Duration): Promise<boolean> {
    readCall({ call: 'cache.expire', ...NO_OPTIONS }, { ttl: [ttl, aTtl] }, {})
    this.#assertOpen(key)
    const freshMs = this.#ttlMs(ttl)
    const times = { freshMs, leftMs: freshMs + this.#parts.staleMs }
    return this.#turns.take(key, async () => {
      const entry = await this.#current(key)
      if (!isLive(entry)) return false
      if (this.#level)
        return this.#changing(key, (level) => level.touch(this.name, key, { version: entry.version, ...times }))
      return (await this.#write(key, entry.bytes, times)) !== undefined
    })
  }

  async clear(options: CacheClear = {}): Promise<number> {
    const { prefix = '' } = readCall<CacheClear>(CLEAR, {}, options)
    this.#assertOpen('any')
    const count = this.#forgetAll(prefix)
    if (!this.#level) return count
    try {
      return await this.#level.needed((level, step) => level.clear(this.name, prefix, step))
    } finally {
      this.#forgetAll(prefix)
      this.#parts.observer?.changed?.(this.name, undefined)
    }
  }

  forget(keys: readonly string[] | undefined): void {
    if (!this.#level) return
    if (keys === undefined) this.#forgetAll('')
    else for (const key of keys) this.#forget(key)
  }

  stats(): CacheStats {
    const { size, bytes } = this.#memory
    const isDegraded = this.#level?.isDegraded ?? false
    return { name: this.name, ...this.#counts, l1Size: size, l1Bytes: bytes, isDegraded }
  }

  async close(): Promise<void> {
    if (this.#stopped.signal.aborted) return
    this.#stopped.abort(new PikoError('STOPPED', `cache "${this.name}" is closed`))
    await this.#parts.level?.close()
  }

  // Methods that load values.

  #begin(key: string, load: CacheLoader<V>, ttlMs: number): Flight<V> {
    const over = (): void => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key)
    }
    const flight = new Flight<V>(this.#stopped.signal, over)
    this.#flights.set(key, flight)
    const guard = this.#guards.begin(key)
    void flight.run(
      () => this.#fly(flight, guard, key, load, ttlMs),
      () => {
        over()
        this.#guards.end(key, guard)
      },
    )
    return flight
  }

  async #fly(flight: Flight<V>, guard: Guard, key: string, load: CacheLoader<V>, ttlMs: number): Promise<V> {
    const lookedAt = this.#parts.clock.monotonic()
    const found = await this.#look(key, guard)
    const kept = this.#answered(flight, found)
    if (kept) return kept.value
    this.#counts.misses += 1
    if (!this.#parts.isFleet || found.seen === undefined || !this.#level)
      return this.#load(flight, guard, { key, load, ttlMs, lookedAt, seen: found.seen })
    const claim = new FleetClaim(this.#level, { cache: this.name, key, clock: this.#parts.clock })
    try {
      for (;;) {
        const answer = await claim.take(flight.signal)
        const lookedAgainAt = this.#parts.clock.monotonic()
        const again = await this.#look(key, guard)
        const now = this.#answered(flight, again)
        if (now) return now.value
        // Another node is already loading the value, and the callers of this load already have the stale value.
        if (answer === 'busy' && again.kept && flight.isBackground) return again.kept.value
        if (answer !== 'busy')
          return await this.#load(flight, guard, { key, load, ttlMs, lookedAt: lookedAgainAt, seen: again.seen })
        await claim.pause(flight.signal)
      }
    } finally {
      await claim.end()
    }
  }

  /**
   * Returns a fresh value if there is one, so that no load is needed. If there is a stale value, the waiting callers receive it and the
   * load continues.
   */
  #answered(flight: Flight<V>, { kept }: Found<V>): Kept<V> | undefined {
    if (!kept) return undefined
    const isFresh = kept.freshUntil > this.#parts.clock.monotonic()
    if (!flight.isBackground) this.#counts[isFresh ? 'l2Hits' : 'stale'] += 1
    if (isFresh) return kept
    flight.answer(kept.value)
    return undefined
  }

  async #load(flight: Flight<V>, guard: Guard, { key, load, ttlMs, lookedAt, seen }: Loading<V>): Promise<V> {
    const bytes = await this.#loaded(flight, key, load)
    const value = this.#parts.codec.decode(bytes)
    if (bytes.byteLength > MAX_VALUE_BYTES) {
      this.#counts.refused += 1
      return value
    }
    const times = { freshMs: ttlMs, leftMs: ttlMs + this.#parts.staleMs }
    const version = newVersion()
    const sentAt = this.#parts.clock.monotonic()
    // This process may have been suspended for so long that the key was deleted and even the record of the deletion has expired. Storing
    // the value would undo the deletion.
    if (this.#level && sentAt - lookedAt > this.#parts.loadTimeoutMs + DELETED_MS / 2) return value
    if (this.#level && seen !== undefined && !guard.isOvertaken) {
      const written = await this.#level.tried((level) =>
        level.write(this.name, key, { bytes, version, ...times }, seen),
      )
      // Another writer has changed or deleted the key in the meantime, so this value must not be kept.
      if (written?.value === false) return value
    }
    if (!guard.isOvertaken) this.#memory.set(key, this.#kept(value, bytes.byteLength, { version, ...times }, sentAt))
    return value
  }

  async #loaded(flight: Flight<V>, key: string, load: CacheLoader<V>): Promise<Uint8Array> {
    flight.signal.throwIfAborted()
    this.#counts.loads += 1
    try {
      const value = await within((signal) => load(signal), this.#parts.loadTimeoutMs, flight.signal)
      return this.#encoded(key, value)
    } catch (thrown) {
      this.#counts.failures += 1
      const now = this.#parts.clock.monotonic()
      const kept = this.#memory.get(key)
      if (kept) kept.refreshAt = now + REFRESH_PAUSE_MS
      else if (!flight.signal.aborted) this.#negatives.add(key, thrown, now)
      throw thrown
    }
  }

  // Methods for the shared level.

  async #entry(key: string): Promise<Kept<V> | undefined> {
    this.#assertOpen(key)
    const kept = this.#usable(key, this.#parts.clock.monotonic())
    if (kept) this.#counts.l1Hits += 1
    return kept ?? (await this.#lookAll([key])).get(key)?.kept
  }

  async #look(key: string, guard: Guard): Promise<Found<V>> {
    const found = await this.#lookUnder(new Map([[key, guard]]))
    return found.get(key) ?? { kept: undefined, seen: this.#level ? undefined : 'none' }
  }

  async #lookAll(keys: readonly string[]): Promise<ReadonlyMap<string, Found<V>>> {
    const guards = new Map(keys.map((key) => [key, this.#guards.begin(key)]))
    try {
      const found = await this.#lookUnder(guards)
      for (const { kept } of found.values()) this.#counts[kept ? 'l2Hits' : 'misses'] += 1
      return found
    } finally {
      for (const [key, guard] of guards) this.#guards.end(key, guard)
    }
  }

  /**
   * Reads keys from the shared level, and keeps the values whose keys did not change during the read. If the level stops responding,
   * returns only what it has read before.
   */
  async #lookUnder(guards: ReadonlyMap<string, Guard>): Promise<ReadonlyMap<string, Found<V>>> {
    const all = new Map<string, Found<V>>()
    let keys = [...guards.keys()]
    for (let looks = 1; keys.length > 0 && looks <= MAX_LOOKS; looks++) {
      const sentAt = this.#parts.clock.monotonic()
      const read = await this.#level?.tried((level, step) => level.read(this.name, keys, step))
      if (!read) return all
      for (const key of keys) all.set(key, this.#foundIn(read.value.get(key), sentAt))
      keys = keys.filter((key) => all.get(key)?.kept)
      if (keys.length === 0) return all
      // A value that was deleted or replaced after the read must not be kept.
      const asked = keys
      const still = await this.#level?.tried((level) => level.versions(this.name, asked))
      if (!still) return all
      keys = keys.filter((key) => {
        const kept = all.get(key)?.kept
        if (!kept || guards.get(key)?.isOvertaken || still.value.get(key) !== kept.version) return true
        this.#memory.set(key, kept)
        return false
      })
    }
    return all
  }

  #foundIn(entry: LevelEntry | undefined, sentAt: number): Found<V> {
    if (!entry) return { kept: undefined, seen: 'none' }
    const { version } = entry
    if (!isLive(entry)) return { kept: undefined, seen: version }
    try {
      return {
        kept: this.#kept(this.#parts.codec.decode(entry.bytes), entry.bytes.byteLength, entry, sentAt),
        seen: version,
      }
    } catch {
      // Another version of the code has stored the value in another form, so it must be loaded again.
      this.#counts.refused += 1
      return { kept: undefined, seen: version }
    }
  }

  /**
   * Returns the stored entry. With a shared level, its value may have expired or been deleted.
   *
   * @throws PikoError `CACHE_UNAVAILABLE`
   */
  async #current(key: string): Promise<LevelEntry | undefined> {
    if (this.#level) return (await this.#level.needed((level) => level.read(this.name, [key]))).get(key)
    const now = this.#parts.clock.monotonic()
    const kept = this.#usable(key, now)
    if (!kept) return undefined
    const { version, freshUntil, goneUntil } = kept
    return { bytes: this.#encoded(key, kept.value), version, freshMs: freshUntil - now, leftMs: goneUntil - now }
  }

  /**
   * Replaces any value. Nevertheless the write names the version that it replaces, because a database may execute the write late. It must
   * not undo a newer change.
   */
  async #replace(key: string, bytes: Uint8Array, times: Times): Promise<number | undefined> {
    const level = this.#level
    if (!level) return this.#write(key, bytes, times)
    let refused: SeenVersion | undefined
    for (let tries = 1; tries <= MAX_TRIES; tries++) {
      const seen = (await level.needed((asked) => asked.versions(this.name, [key]))).get(key) ?? 'none'
      // The stored version has not changed, so the level has refused the value because of its size.
      if (seen === refused) return undefined
      const version = await this.#write(key, bytes, times, seen)
      if (version !== undefined) return version
      refused = seen
      await this.#pause(tries)
    }
    throw this.#contended(key)
  }

  #pause(tries: number): Promise<void> {
    return this.#parts.clock.sleep(Math.min(LONGEST_PAUSE_MS, 2 ** tries) * Math.random(), this.#stopped.signal)
  }

  #contended(key: string): PikoError {
    return new PikoError(
      'CACHE_UNAVAILABLE',
      `cache "${this.name}": ${describe(key)} can't be changed, because other callers changed it during each of ${MAX_TRIES} tries; repeat the call`,
      { details: { cache: this.name, key } },
    )
  }

  /**
   * Writes a value here and in the shared level.
   * @returns its version; undefined if the shared level refuses the value, for example because another version than `seen` is stored
   */
  async #write(key: string, bytes: Uint8Array, times: Times, seen?: SeenVersion): Promise<number | undefined> {
    const version = newVersion()
    const value = this.#parts.codec.decode(bytes)
    const sentAt = this.#parts.clock.monotonic()
    const isWritten = await this.#changing(key, (level) =>
      level.write(this.name, key, { bytes, version, ...times }, seen),
    )
    if (!isWritten) return undefined
    this.#memory.set(key, this.#kept(value, bytes.byteLength, { version, ...times }, sentAt))
    return version
  }

  /** Changes a key in the shared level. Makes sure that no reader of this process keeps an earlier value. */
  async #changing(key: string, change: (level: CacheLevel) => Promise<boolean>): Promise<boolean> {
    this.#forget(key)
    try {
      return this.#level ? await this.#level.needed(change) : true
    } finally {
      this.#forget(key)
      if (this.#level) this.#parts.observer?.changed?.(this.name, key)
    }
  }

  #forget(key: string): void {
    this.#memory.delete(key)
    this.#negatives.delete(key)
    this.#guards.overtake(key)
    // Later requests must not join a load that began before this change.
    this.#flights.delete(key)
  }

  #forgetAll(prefix: string): number {
    const count = this.#memory.clear(prefix, this.#parts.clock.monotonic())
    this.#negatives.clear(prefix)
    this.#guards.overtakeAll(prefix)
    for (const key of this.#flights.keys()) if (key.startsWith(prefix)) this.#flights.delete(key)
    return count
  }

  // Methods for values.

  #usable(key: string, now: number): Kept<V> | undefined {
    const kept = this.#memory.get(key)
    return kept && kept.goneUntil > now && (!this.#level || this.#level.isDegraded || kept.checkAt > now)
      ? kept
      : undefined
  }

  #kept(value: V, bytes: number, { version, freshMs, leftMs }: Omit<LevelEntry, 'bytes'>, at: number): Kept<V> {
    const { ttlMs } = this.#parts.l1
    return {
      value,
      version,
      bytes,
      freshUntil: at + freshMs,
      goneUntil: at + leftMs,
      checkAt: at + ttlMs,
      refreshAt: 0,
    }
  }

  #numberOf(key: string, entry: LiveEntry | undefined): number {
    if (!entry) return 0
    const value: unknown = this.#parts.codec.decode(entry.bytes)
    if (typeof value === 'number') return value
    throw this.#invalid(`${describe(key)} is ${describe(value)}; only a number can be incremented`)
  }

  #encoded(key: string, value: V): Uint8Array {
    try {
      return this.#parts.codec.encode(value)
    } catch (thrown) {
      throw this.#invalid(`the value of ${describe(key)} can't be stored: ${headline(thrown)}`, thrown)
    }
  }

  #ttlMs(ttl: Duration | undefined): number {
    return ttl === undefined ? this.#parts.ttlMs : durationMs(ttl)
  }

  #assertOpen(key: unknown): void {
    this.#stopped.signal.throwIfAborted()
    if (typeof key === 'string' && key !== '' && key.length <= MAX_KEY && key.isWellFormed()) return
    throw this.#invalid(
      `a key is ${describe(key)}; expected a string of 1 to ${MAX_KEY} characters without lone surrogates`,
    )
  }

  #invalid(problem: string, cause?: unknown): PikoError {
    return new PikoError('CACHE_INVALID', `cache "${this.name}": ${problem}`, {
      ...(cause !== undefined && { cause }),
      details: { cache: this.name },
    })
  }
}

/** The load of a key, and the version that the shared level had before the load. */
interface Loading<V> {
  readonly key: string
  readonly load: CacheLoader<V>
  readonly ttlMs: number
  readonly lookedAt: number
  readonly seen: SeenVersion | undefined
}

type Times = Pick<LevelEntry, 'freshMs' | 'leftMs'>
type LiveEntry = LevelEntry & { readonly bytes: Uint8Array }

function isLive(entry: LevelEntry | undefined): entry is LiveEntry {
  return entry?.bytes !== undefined && entry.leftMs > 0
}

function holds({ ifAbsent, ifVersion }: CacheSet, entry: LevelEntry | undefined): boolean {
  const live = isLive(entry) ? entry : undefined
  return !(ifAbsent === true && live) && (ifVersion === undefined || live?.version === ifVersion)
}

function tooLarge(cache: string, key: string, size: number): PikoError {
  return new PikoError(
    'CACHE_INVALID',
    `cache "${cache}": the value of ${describe(key)} has ${size} bytes; at most ${MAX_VALUE_BYTES} are kept: store it elsewhere and cache its location`,
    { details: { cache, key, bytes: size } },
  )
}

/** Returns a version that no other writer chooses. So a reader notices if a value was deleted and then written again. */
function newVersion(): number {
  const [high = 0, low = 0] = crypto.getRandomValues(new Uint32Array(2))
  return (high % 2 ** 21) * 2 ** 32 + low + 1
}
