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

export interface HttpDownloaderOptions {
  /** Longest time to open a connection, TLS included. Default `'10s'`. */
  readonly connectTimeout?: Duration
  /** Certificates of the servers and of the crawl. */
  readonly tls?: TlsOptions
  /** Resolves the names of hosts instead of the system: `dns.lookup` of Node, or a function like it. */
  readonly lookup?: LookupFunction
}

const FORM = {
  call: 'http',
  checks: {
    connectTimeout: aDuration(1, 2 ** 31 - 1),
    tls: aTable,
    lookup: aFunction,
  } satisfies OptionChecks<HttpDownloaderOptions>,
  example: "{ connectTimeout: '5s' }",
}

/**
 * The downloader of a crawl that names none: HTTP/1.1, with connections that are kept for the next request to their host.
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

/** @throws PikoError `USAGE` naming all problems */
export function openLoader(options: HttpDownloaderOptions = {}): HttpLoader {
  const { connectTimeout = '10s', tls, lookup } = readCall<HttpDownloaderOptions>(FORM, {}, options)
  return new HttpLoader(new HttpAgents({ connectTimeoutMs: durationMs(connectTimeout), tls, lookup }))
}
