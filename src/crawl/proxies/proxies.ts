import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { within } from '../../calls/timeout.ts'
import { systemClock } from '../../clock.ts'
import { headline, propertyOf } from '../../errors-read.ts'
import { redactText } from '../../run/redact.ts'
import { untilAborted } from '../../signals/until-aborted.ts'
import { durationMs } from '../../time/duration.ts'
import { CrawlError, type FailureClass } from '../crawl-error.ts'
import type { FetchFleet } from '../fetcher.ts'
import type { NamedProxy } from '../sessions/sessions.ts'
import { chosen, NEW_SCORE, type ProxyScore, scored } from './proxy-score.ts'
import { borrowedPool, isProxyUrl, MAX_PROXIES, PROXY_OPTIONS, type ProxyPool } from './proxy-spec.ts'

const GROUP = 'proxy'
const DEFAULT_REFRESH = '5m'
const DEFAULT_ERRORS = 3
const DEFAULT_BAN = '10m'
const MAX_HOSTS = 1_000
/** After this many requests through a proxy, a process uses its own score for it instead of the shared one. */
const OWN_REQUESTS = 5
/** After this many blocked requests in a row, a host gets the proxies of the next tier. */
const BLOCKED_TO_RISE = 3
/** After this many successful requests in a row, a host gets the proxies of the previous tier again. */
const DONE_TO_FALL = 50
/** The time limit for one call to the provider. */
const PROVIDER_MS = 30_000
/** How long to wait after a call to the provider that failed or returned no proxies. */
const FAILED_PAUSE_MS = 5_000

/** Failure classes that the proxy may have caused. */
const FAILED: ReadonlySet<string> = new Set<FailureClass>(['network', 'blocked', 'throttled', 'server'])
/** Failure classes for which a proxy is banned: after several in a row at a host, it is not used for this host for some time. */
const BANNING: ReadonlySet<string> = new Set<FailureClass>(['network', 'blocked', 'throttled'])
/** Outcomes that show nothing about the proxy, because no request was sent or the response was no longer needed. */
const UNSENT: ReadonlySet<string> = new Set<FailureClass | 'skipped'>(['robots', 'address', 'skipped'])
/** Failure classes for which either the host or the proxy may be responsible. */
const UNCLEAR: ReadonlySet<string> = new Set<FailureClass>(['network', 'server'])
/**
 * The host is blamed instead of the proxies if this many proxies have failed at it in a row although each of them has worked before. It is
 * also blamed if `ANY_WITNESSES` proxies of any kind have failed in a row.
 */
const PROVEN_WITNESSES = 3
const ANY_WITNESSES = 20

interface Known extends NamedProxy {
  readonly tier: number
}

/** The recent results of the proxies at one host. */
interface Host {
  readonly failures: Map<string, number>
  readonly bannedUntil: Map<string, number>
  /** The proxies that have failed with class `network` or `server` since a request to the host last ended otherwise. */
  readonly witnesses: Set<string>
  /** The proxies whose last request was blocked. */
  readonly blocked: Set<string>
  tier: number
  blockedInARow: number
  doneInARow: number
}

/** Chooses proxies by their recent results. All nodes share the scores; bans for a host belong to one process. */
export class Proxies {
  #pool: ProxyPool = {}
  /** The pool's list of proxies as JSON, to notice when the list changes. */
  #listed = ''
  /** The options of the value that was borrowed last. */
  #given: readonly unknown[] | undefined
  #banMs = 0
  readonly #hosts = new LRUCache<string, Host>({ max: MAX_HOSTS })
  readonly #scores = new Map<string, ProxyScore>()
  #known: readonly Known[] = []
  #askAt = -Infinity
  #loading: Promise<void> | undefined
  #failure: CrawlError | undefined

  constructor(pool: ProxyPool) {
    this.use(pool)
  }

  /** Uses the proxies of this pool from now on. Keeps the results of proxies that are in both pools. */
  use(pool: ProxyPool): void {
    if (pool === this.#pool) return
    this.#pool = pool
    this.#banMs = durationMs(pool.ban?.time ?? DEFAULT_BAN)
    const tiers = pool.tiers ?? (pool.urls && [pool.urls])
    const listed = JSON.stringify(tiers ?? [])
    if (listed === this.#listed) return
    this.#listed = listed
    this.#known = knownOf(tiers ?? [])
  }

  /**
   * Uses the proxies that a page has borrowed. They are read again only if one of their options has changed.
   *
   * @throws CrawlError of class `setup`
   */
  borrow(value: unknown): void {
    const given = PROXY_OPTIONS.map((name) => propertyOf(value, name))
    if (this.#given !== undefined && given.every((one, index) => one === this.#given?.[index])) return
    this.use(borrowedPool(value))
    this.#given = given
  }

  /** Returns the names of the proxies whose last request to a host was blocked. */
  blockedAt(host: string): ReadonlySet<string> {
    return this.#hostOf(host).blocked
  }

  /**
   * Chooses a proxy for a request.
   *
   * @param host the host of the request's URL
   * @param name the name of the session's proxy, which is used if the pool still has it; undefined for any proxy
   * @param except names of proxies to use only if there is no other
   * @throws CrawlError of class `network` if the pool is empty, or the reason of the signal
   */
  async pick(
    host: string,
    name: string | undefined,
    fleet: FetchFleet,
    signal: AbortSignal,
    except: ReadonlySet<string> = new Set(),
  ): Promise<NamedProxy> {
    await this.#refreshed(signal)
    const sticky = name === undefined ? undefined : this.#known.find((one) => one.name === name)
    if (sticky) return sticky
    const shared = await fleet.scores(GROUP)
    const score = (one: Known): ProxyScore => {
      const own = this.#scores.get(one.name)
      if (own && own.requests >= OWN_REQUESTS) return own
      const other = shared.get(one.name)
      return other ? { ...other, requests: other.ok + other.failed } : (own ?? NEW_SCORE)
    }
    const all = this.#candidates(host)
    const others = all.filter((one) => !except.has(one.name))
    const found = chosen(others.length > 0 ? others : all, score, Math.random())
    if (found) return found
    throw this.#failure ?? new CrawlError('the crawl has no proxy', { class: 'network' })
  }

  /**
   * Counts how a request through a proxy ended.
   *
   * @returns whether the outcome counts for the host. If either the host or the proxy may be responsible, it counts only after enough
   *   proxies, or all that are left, have failed at the host
   */
  report(
    host: string,
    { name }: NamedProxy,
    outcome: 'done' | 'skipped' | FailureClass,
    ms: number,
    fleet: FetchFleet,
  ): boolean {
    if (UNSENT.has(outcome)) return false
    const isOk = !FAILED.has(outcome)
    this.#scores.set(name, scored(this.#scores.get(name) ?? NEW_SCORE, isOk, ms))
    fleet.score(GROUP, name, { ok: isOk, ms })
    const at = this.#hostOf(host)
    const failures = BANNING.has(outcome) ? (at.failures.get(name) ?? 0) + 1 : 0
    at.failures.set(name, failures)
    if (failures >= (this.#pool.ban?.errors ?? DEFAULT_ERRORS)) {
      at.failures.delete(name)
      at.bannedUntil.set(name, systemClock.now() + this.#banMs)
    }
    if (outcome === 'blocked') at.blocked.add(name)
    else at.blocked.delete(name)
    this.#moveTier(at, outcome)
    if (!UNCLEAR.has(outcome)) {
      at.witnesses.clear()
      return true
    }
    if (at.witnesses.size < ANY_WITNESSES) at.witnesses.add(name)
    if (at.witnesses.size >= ANY_WITNESSES) return true
    const proven = [...at.witnesses].filter((one) => this.#scores.get(one)?.ms !== undefined)
    return proven.length >= PROVEN_WITNESSES || this.#candidates(host).every((one) => at.witnesses.has(one.name))
  }

  /** Changes the tier of proxies for a host: up after several blocked requests in a row, down after many successful ones. */
  #moveTier(at: Host, outcome: string): void {
    const highest = (this.#pool.tiers?.length ?? 1) - 1
    at.blockedInARow = outcome === 'blocked' ? at.blockedInARow + 1 : 0
    at.doneInARow = outcome === 'done' ? at.doneInARow + 1 : 0
    if (at.blockedInARow >= BLOCKED_TO_RISE && at.tier < highest)
      Object.assign(at, { tier: at.tier + 1, blockedInARow: 0 })
    if (at.doneInARow >= DONE_TO_FALL && at.tier > 0) Object.assign(at, { tier: at.tier - 1, doneInARow: 0 })
  }

  /** Returns the proxies of a host's tier that are not banned for it. If all are banned, returns the one whose ban ends first. */
  #candidates(host: string): readonly Known[] {
    const { tier, bannedUntil } = this.#hostOf(host)
    const ofTier = this.#known.filter((one) => one.tier === tier)
    const now = systemClock.now()
    const until = ({ name }: Known): number => bannedUntil.get(name) ?? 0
    const free = ofTier.filter((one) => until(one) <= now)
    return free.length > 0 ? free : ofTier.toSorted((a, b) => until(a) - until(b)).slice(0, 1)
  }

  #hostOf(host: string): Host {
    const known = this.#hosts.get(host)
    if (known) return known
    const made: Host = {
      ...{ failures: new Map(), bannedUntil: new Map(), witnesses: new Set(), blocked: new Set() },
      ...{ tier: 0, blockedInARow: 0, doneInARow: 0 },
    }
    this.#hosts.set(host, made)
    return made
  }

  /** Calls the provider if the last call is older than `refresh`. Concurrent requests share one call. */
  async #refreshed(signal: AbortSignal): Promise<void> {
    if (!this.#pool.provider || performance.now() < this.#askAt) return
    this.#loading ??= this.#load(this.#pool).finally(() => (this.#loading = undefined))
    // If there are already proxies, requests use them until the new call has returned, so only the first call must be awaited.
    if (this.#known.length === 0) await untilAborted(this.#loading, signal)
  }

  /** Calls the provider. An item's signal does not abort this call, because other items also wait for it. */
  async #load(pool: ProxyPool): Promise<void> {
    this.#failure = undefined
    let urls: readonly string[] = []
    try {
      const given: unknown = await within((signal) => pool.provider?.(signal) ?? [], PROVIDER_MS, undefined)
      urls = Array.isArray(given) ? given.filter(isProxyUrl).slice(0, MAX_PROXIES) : []
    } catch (thrown) {
      // The provider's error message is redacted, because it may contain a password.
      const problem = `the proxies' provider failed: ${redactText(headline(thrown))}`
      this.#failure = new CrawlError(problem, { class: 'network' })
    }
    if (urls.length > 0) this.#known = knownOf([urls])
    const pauseMs = urls.length > 0 ? durationMs(pool.refresh ?? DEFAULT_REFRESH) : FAILED_PAUSE_MS
    this.#askAt = performance.now() + pauseMs
  }
}

function knownOf(tiers: readonly (readonly string[])[]): Known[] {
  return tiers.flatMap((urls, tier) =>
    [...new Set(urls)].map((url) => ({ name: nameOf(url), tier, proxy: { url, label: new URL(url).host } })),
  )
}

/** Returns the name under which a proxy is stored: a hash, because its URL may contain a password. */
function nameOf(url: string): string {
  return createHash('sha256').update(url).digest('hex').slice(0, 32)
}
