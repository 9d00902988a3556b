import { onTestFinished } from 'vitest'
import type { Downloader, DownloadScope } from '../../../src/crawl/downloader.ts'
import { http, type HttpDownloaderOptions } from '../../../src/crawl/fetch/http-downloader.ts'
import { DEFAULT_LIMITS } from '../../../src/crawl/fetch/fetch-defaults.ts'
import type { ReadyRequest } from '../../../src/crawl/request/request.ts'
import type { FixtureGraph, FixtureSiteOptions } from '../../../src/testing/site/fixture-types.ts'
import { type FixtureSite, fixtureSite } from '../../../src/testing/site/fixture-site.ts'

/** A fixture site that ends with the test. */
export async function serve(graph: FixtureGraph, options?: FixtureSiteOptions): Promise<FixtureSite> {
  const site = await fixtureSite(graph, options)
  onTestFinished(() => site.close())
  return site
}

export function downloader(options?: HttpDownloaderOptions): Downloader {
  const made = http(options)
  onTestFinished(() => made.close?.())
  return made
}

export function requestFor(url: string, parts: Partial<ReadyRequest> = {}): ReadyRequest {
  return { url, step: 'page', method: 'GET', headers: {}, timeoutMs: 30_000, redirects: 10, accept: [], ...parts }
}

const silent = { trace() {}, debug() {}, info() {}, warn() {}, error() {} }

/** A scope in which loopback is allowed. */
export function scopeWith({
  limits,
  ...parts
}: Partial<Omit<DownloadScope, 'limits'>> & {
  readonly limits?: Partial<DownloadScope['limits']>
} = {}): DownloadScope {
  return {
    signal: new AbortController().signal,
    limits: { ...DEFAULT_LIMITS, private: true, ...limits },
    userAgent: 'acme-bot (+https://acme.test/bot)',
    session: undefined,
    proxy: undefined,
    log: silent,
    attempt: 1,
    ...parts,
  }
}
