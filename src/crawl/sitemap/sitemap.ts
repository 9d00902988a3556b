import { readCall } from '../../calls/call-checks.ts'
import { describe } from '../../errors.ts'
import { readUrl, shownUrl } from '../../http-client/url.ts'
import { aFunction, anAbortSignal, aText, flag, type OptionCheck, type OptionChecks } from '../../options.ts'
import { aDuration } from '../../time/duration-check.ts'
import { type Duration, durationMs } from '../../time/duration.ts'
import { type InstantInput, readInstant } from '../../time/instant.ts'
import { CrawlError } from '../crawl-error.ts'
import { DEFAULT_LIMITS, DEFAULT_USER_AGENT } from '../fetch/fetch-defaults.ts'
import { openLoader } from '../fetch/http-downloader.ts'
import type { LoadScope } from '../fetch/http-loader.ts'
import { MAX_URL_LENGTH } from '../request/request-checks.ts'
import { type ChangedWithin, isWithin } from './lastmod.ts'
import { sitemapEntries } from './sitemap-entries.ts'
import { LONGEST_TIMER_MS } from '../../clock.ts'

const MAX_LASTMOD = 64

/** The options of `sitemap()`. */
export interface SitemapOptions {
  /** Reads only pages that were changed at this instant or later, and pages without a `lastmod`. Default: all pages. */
  readonly since?: InstantInput
  /** Reads only pages that were changed before this instant, and pages without a `lastmod`. Default: all pages. */
  readonly until?: InstantInput
  /** The step of each request. Default: the only step, if the crawl has only one. */
  readonly step?: string
  /** Whether sitemaps may be loaded from private addresses. Default false. */
  readonly private?: boolean
  /** The `user-agent` header of the requests. Default `piko`. */
  readonly userAgent?: string
  /** The maximum time without a byte from the server. Default `'30s'`. */
  readonly timeout?: Duration
  /** Aborts the reading, which then throws the signal's reason. Default: none. */
  readonly signal?: AbortSignal
  /**
   * Called for each sitemap in an index or a robots.txt if that sitemap can't be read completely. The other sitemaps are still read.
   * Default: the error is thrown, so that no pages are missed without notice.
   */
  readonly onError?: (error: CrawlError, url: string) => void
}

/** A page of a sitemap, as a request of a crawl. */
export interface SitemapPage {
  readonly url: string
  readonly step?: string
  /** The text of `lastmod` in the sitemap; null if it is missing or longer than 64 characters. */
  readonly data: { readonly lastmod: string | null }
}

/**
 * The limits of the sitemap protocol: the size of a sitemap after decompression in bytes, and the number of sitemaps in an index. Here the
 * second limit applies to all sitemaps of a call together.
 */
const MAX_SITEMAP_BYTES = 50 * 1_024 * 1_024
const MAX_SITEMAPS = 50_000
/** How deep sitemap indexes may be nested. */
const MAX_DEPTH = 3

const anInstant: OptionCheck = (value) => {
  const reading = readInstant(value)
  return 'date' in reading ? undefined : `is ${describe(value)}; expected ${reading.expected}`
}
const aUrl: OptionCheck = (value) => {
  const reading = readUrl(value)
  return 'problem' in reading ? reading.problem : undefined
}

const FORM = {
  call: 'sitemap',
  checks: {
    since: anInstant,
    until: anInstant,
    step: aText,
    private: flag,
    userAgent: aText,
    timeout: aDuration(1, LONGEST_TIMER_MS),
    signal: anAbortSignal,
    onError: aFunction,
  } satisfies OptionChecks<SitemapOptions>,
  example: '{ since: window.start }',
}

/**
 * Yields the pages of a sitemap while it arrives. The sitemap may be XML or text, and may be compressed. It may also be a sitemap index, or
 * a robots.txt, whose `Sitemap` lines are then read. If an index shows that a sitemap was last changed before `since`, that sitemap is not
 * loaded.
 *
 * @throws PikoError `USAGE` naming all problems
 * @throws CrawlError if a sitemap can't be loaded or has more than 50 MiB, or if there are more than 50,000 sitemaps
 * @example
 * seeds: ({ window, signal }) => sitemap('https://shop.example/sitemap.xml', { since: window.start, step: 'detail', signal })
 */
export function sitemap(url: string | URL, options: SitemapOptions = {}): AsyncGenerator<SitemapPage, void> {
  const { since, until, ...checked } = readCall<SitemapOptions>(FORM, { url: [url, aUrl] }, options)
  const { step, timeout = '30s', userAgent = DEFAULT_USER_AGENT, private: isPrivate = false, onError } = checked
  const scope: LoadScope = {
    signal: checked.signal ?? new AbortController().signal,
    limits: { ...DEFAULT_LIMITS, bytes: MAX_SITEMAP_BYTES, private: isPrivate, idleMs: durationMs(timeout) },
    userAgent,
    session: undefined,
    proxy: undefined,
  }
  const within: ChangedWithin = { sinceMs: msOf(since), untilMs: msOf(until) }
  return pagesOf(new URL(url), scope, within, { step, onError })
}

function msOf(instant: InstantInput | undefined): number | undefined {
  const reading = readInstant(instant)
  return 'date' in reading ? reading.date.getTime() : undefined
}

async function* pagesOf(
  root: URL,
  scope: LoadScope,
  within: ChangedWithin,
  { step, onError }: { readonly [K in 'step' | 'onError']: SitemapOptions[K] | undefined },
): AsyncGenerator<SitemapPage, void> {
  const loader = openLoader()
  const known = new Set([root.href])
  const open = [{ url: root, depth: 0 }]
  try {
    for (let next = open.shift(); next; next = open.shift()) {
      const entries = sitemapEntries(next.url, loader, scope)
      const failed = next.depth > 0 ? onError : undefined
      for await (const { kind, loc, lastmod } of orFailed(entries, next.url, failed)) {
        // The protocol requires absolute URLs, but many sites have paths here.
        const url = URL.parse(loc, loc.startsWith('/') ? next.url.href : undefined)
        // An invalid URL is left out, and the other entries are still read.
        if (!url || !/^https?:$/.test(url.protocol) || url.href.length > MAX_URL_LENGTH) continue
        // `until` does not apply to the sitemaps of an index: a sitemap that was changed later may still contain pages that were changed
        // before.
        if (!isWithin(lastmod, kind === 'url' ? within : { ...within, untilMs: undefined })) continue
        if (kind === 'url') {
          yield { url: url.href, ...(step !== undefined && { step }), data: { lastmod: shortText(lastmod) } }
        } else if (next.depth < MAX_DEPTH && !known.has(url.href)) {
          known.add(url.href)
          if (known.size > MAX_SITEMAPS) throw tooMany(root)
          open.push({ url, depth: next.depth + 1 })
        }
      }
    }
  } finally {
    await loader.close()
  }
}

/** Yields the entries of a sitemap. If it can't be read, calls `failed` instead of throwing the error. */
async function* orFailed<T>(
  entries: AsyncGenerator<T, void>,
  url: URL,
  failed: SitemapOptions['onError'],
): AsyncGenerator<T, void> {
  try {
    yield* entries
  } catch (thrown) {
    if (!failed || !(thrown instanceof CrawlError)) throw thrown
    failed(thrown, url.href)
  }
}

/** Removes a `lastmod` that is too long: it is not a time, and would only fill the database. */
function shortText(lastmod: string | undefined): string | null {
  return lastmod === undefined || lastmod.length > MAX_LASTMOD ? null : lastmod
}

function tooMany(root: URL): CrawlError {
  return new CrawlError(`${shownUrl(root)} lists more than ${MAX_SITEMAPS} sitemaps`, { class: 'size' })
}
