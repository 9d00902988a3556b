import { pipeline, Readable } from 'node:stream'
import { Gunzip } from '../../http-client/gunzip.ts'
import { isPikoError } from '../../errors.ts'
import { messageOf } from '../../errors-read.ts'
import { shownUrl } from '../../http-client/url.ts'
import { CrawlError } from '../crawl-error.ts'
import type { HttpLoader, LoadScope } from '../fetch/http-loader.ts'
import type { ReadyRequest } from '../request/request.ts'
import { RobotsRules } from '../robots/robots-rules.ts'
import { type Located, SitemapScanner } from './sitemap-scanner.ts'

/** How much of a robots.txt is read, in characters. A crawler need not read more (RFC 9309). */
const MAX_ROBOTS_CHARS = 500 * 1_024
/** Longer lines are ignored, because a request's URL can't be that long. */
const MAX_LINE = 10_000

/**
 * Yields the entries of a sitemap while it arrives. The entries of a robots.txt are its `Sitemap` lines.
 *
 * @throws CrawlError, or the reason of the signal
 */
export async function* sitemapEntries(url: URL, loader: HttpLoader, scope: LoadScope): AsyncGenerator<Located, void> {
  const text = textOf(unzipped(loader.pieces(requestFor(url, scope), scope), url, scope.limits.bytes))
  if (!url.pathname.endsWith('/robots.txt')) return yield* entriesIn(text)
  let whole = ''
  for await (const piece of text) {
    whole += piece
    if (whole.length >= MAX_ROBOTS_CHARS) break
  }
  for (const loc of new RobotsRules(url.origin, whole.slice(0, MAX_ROBOTS_CHARS), scope.userAgent).sitemaps)
    yield { kind: 'sitemap', loc, lastmod: undefined }
}

function requestFor(url: URL, { limits }: LoadScope): ReadyRequest {
  return {
    url: url.href,
    step: '',
    method: 'GET',
    headers: { accept: 'application/xml,text/xml,text/plain,*/*;q=0.8' },
    timeoutMs: limits.idleMs,
    redirects: 10,
    accept: [],
  }
}

/** Decompresses a sitemap if it is a gzip file. The loader decompresses only what the response's headers declare. */
async function* unzipped(
  pieces: AsyncGenerator<Buffer, void>,
  url: URL,
  maxBytes: number,
): AsyncGenerator<Buffer, void> {
  let beginning: Buffer = Buffer.alloc(0)
  // gzip is recognised by its first two bytes, and the first piece may have only one.
  while (beginning.byteLength < 2) {
    const next = await pieces.next()
    if (next.done === true) break
    beginning = Buffer.concat([beginning, next.value])
  }
  const all = following(beginning, pieces)
  if (beginning[0] !== 0x1f || beginning[1] !== 0x8b) return yield* all
  const source = Readable.from(all, { objectMode: false })
  const plain = pipeline(source, new Gunzip(), () => {})
  let bytes = 0
  try {
    for await (const piece of plain as AsyncIterable<Buffer>) {
      bytes += piece.byteLength
      if (bytes > maxBytes)
        throw new CrawlError(`${shownUrl(url)} has more than ${maxBytes} bytes after decompression`, { class: 'size' })
      yield piece
    }
  } catch (thrown) {
    if (isPikoError(thrown)) throw thrown
    throw new CrawlError(`${shownUrl(url)} can't be decompressed: ${messageOf(thrown)}`, {
      class: 'client',
      cause: thrown,
    })
  }
}

async function* following<T>(first: T, rest: AsyncGenerator<T, void>): AsyncGenerator<T, void> {
  yield first
  yield* rest
}

async function* textOf(pieces: AsyncIterable<Buffer>): AsyncGenerator<string, void> {
  const decoder = new TextDecoder()
  for await (const piece of pieces) yield decoder.decode(piece, { stream: true })
  yield decoder.decode()
}

async function* entriesIn(pieces: AsyncIterable<string>): AsyncGenerator<Located, void> {
  let scanner: SitemapScanner | LineScanner | undefined
  for await (const piece of pieces) {
    const text = scanner ? piece : piece.trimStart()
    if (text === '') continue
    // The first character shows whether the sitemap is XML or plain text with one URL per line.
    scanner ??= text.startsWith('<') ? new SitemapScanner() : new LineScanner()
    yield* scanner.write(text)
  }
  if (scanner instanceof LineScanner) yield* scanner.write('\n')
}

/** Reads a sitemap in text format: one URL per line. */
class LineScanner {
  #rest = '';

  *write(piece: string): Generator<Located, void> {
    const lines = (this.#rest + piece).split(/\r\n|\r|\n/)
    // An unfinished line is truncated. Otherwise it would grow with each piece, and be searched again each time.
    this.#rest = (lines.pop() ?? '').slice(0, MAX_LINE)
    for (const line of lines)
      if (line.length < MAX_LINE && URL.canParse(line.trim()))
        yield { kind: 'url', loc: line.trim(), lastmod: undefined }
  }
}
