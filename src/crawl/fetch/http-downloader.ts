import type { LookupFunction } from 'node:net'
import { readCall } from '../../calls/call-checks.ts'
import type { TlsOptions } from '../../http-client/agents.ts'
import { aFunction, aTable, type OptionChecks } from '../../options.ts'
import { aDuration } from '../../time/duration-check.ts'
import { type Duration, durationMs } from '../../time/duration.ts'
import type { Answer, Downloader, DownloadScope } from '../downloader.ts'
import type { ReadyRequest } from '../request/request.ts'
import { HttpAgents } from './http-agents.ts'
import { HttpLoader } from './http-loader.ts'
import { LONGEST_TIMER_MS } from '../../clock.ts'

/** The options of `http()`. */
export interface HttpDownloaderOptions {
  /** The time limit for opening a connection, including TLS. Default `'10s'`. */
  readonly connectTimeout?: Duration
  /** The trusted certificates for servers, and the crawl's own client certificate. Default: those that Node trusts, and none. */
  readonly tls?: TlsOptions
  /** Resolves host names, like Node's `dns.lookup`. Default: `dns.lookup`. */
  readonly lookup?: LookupFunction
}

const FORM = {
  call: 'http',
  checks: {
    connectTimeout: aDuration(1, LONGEST_TIMER_MS),
    tls: aTable,
    lookup: aFunction,
  } satisfies OptionChecks<HttpDownloaderOptions>,
  example: "{ connectTimeout: '5s' }",
}

/**
 * A downloader for HTTP/1.1; the default downloader of a crawl. It keeps connections open for further requests to the same host.
 *
 * @throws PikoError `USAGE` naming all problems
 */
export function http(options: HttpDownloaderOptions = {}): Downloader {
  return new HttpDownloader(options)
}

class HttpDownloader implements Downloader {
  readonly name = 'http'
  readonly loader: HttpLoader

  constructor(options: HttpDownloaderOptions) {
    this.loader = openLoader(options)
  }

  download(request: ReadyRequest, scope: DownloadScope): Promise<Answer> {
    return this.loader.load(request, scope)
  }

  close(): Promise<void> {
    return this.loader.close()
  }
}

/** Creates the loader of an HTTP downloader. @throws PikoError `USAGE` naming all problems */
export function openLoader(options: HttpDownloaderOptions = {}): HttpLoader {
  const { connectTimeout = '10s', tls, lookup } = readCall<HttpDownloaderOptions>(FORM, {}, options)
  return new HttpLoader(new HttpAgents({ connectTimeoutMs: durationMs(connectTimeout), tls, lookup }))
}
