import { readdir, readFile } from 'node:fs/promises'
import { extname, join, relative, sep } from 'node:path'
import { promisify } from 'node:util'
import { fileURLToPath } from 'node:url'
import { constants, gzip } from 'node:zlib'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

/** The folder of the built dashboard; `npm run build` creates it. */
const BUILT = fileURLToPath(new URL('../../dist/dashboard', import.meta.url))

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/** Content security policy: the page may load files only from this server, and text can never become HTML or a script. */
const POLICY = [
  "default-src 'none'",
  ...["script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self'"],
  ...["base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"],
  ...["require-trusted-types-for 'script'", "trusted-types 'none'"],
].join('; ')

const HEADERS = {
  'content-security-policy': POLICY,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
}

const IMMUTABLE = 'public, max-age=31536000, immutable'
const PAGE = 'index.html'
/** First parts of paths that programs use. An unknown path below them gets a 404 and not the page. */
const NOT_PAGES = new Set(['api', 'assets', 'healthz', 'readyz', 'metrics', 'graph'])

const MISSING = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Piko</title>
<h1>The dashboard is not built</h1>
<p>This process runs from its sources. Run <code>npm run build:dashboard</code> in the folder of the package, then load this page again.</p>
<p>The API at <a href="/api/v1/openapi.json">/api/v1</a> works without it.</p></html>`

interface ServedFile {
  readonly type: string
  readonly bytes: Buffer
  readonly gzipped: Buffer
}

/** Serves the dashboard at `/`. Clients can request only files of the build, because file names are looked up in a map. */
export function dashboardRoutes(server: FastifyInstance, folder: string = BUILT): void {
  let files: Promise<ReadonlyMap<string, ServedFile>> | undefined
  // The files are read on first use, because most processes never serve the page. A folder without the page is read again the next time,
  // because it may be built later.
  const read = async (): Promise<ReadonlyMap<string, ServedFile>> => {
    const found = await (files ??= readFiles(folder))
    if (!found.has(PAGE)) files = undefined
    return found
  }
  server.get<{ Params: { file: string } }>('/assets/:file', async (request, reply) => {
    const file = (await read()).get(`assets/${request.params.file}`)
    return file ? sendFile(request, reply, file, IMMUTABLE) : reply.callNotFound()
  })
  server.get('/*', async (request, reply) => {
    if (!isPage(request)) return reply.callNotFound()
    const page = (await read()).get(PAGE)
    if (page) return sendFile(request, reply, page, 'no-cache')
    return reply
      .code(503)
      .headers(HEADERS)
      .type(TYPES['.html'] ?? '')
      .send(MISSING)
  })
}

/** Whether a browser asks for a page. A program that requests an unknown path expects a 404. */
function isPage({ url, headers }: FastifyRequest): boolean {
  const [path = ''] = url.split('?')
  const [, first = ''] = path.split('/')
  return !NOT_PAGES.has(first) && (path === '/' || (headers.accept ?? '').includes('text/html'))
}

function sendFile(request: FastifyRequest, reply: FastifyReply, file: ServedFile, caching: string): FastifyReply {
  const takesGzip = /\bgzip\b/.test(request.headers['accept-encoding'] ?? '')
  void reply.headers({ ...HEADERS, 'cache-control': caching, vary: 'accept-encoding' }).type(file.type)
  return takesGzip ? reply.header('content-encoding', 'gzip').send(file.gzipped) : reply.send(file.bytes)
}

async function readFiles(folder: string): Promise<ReadonlyMap<string, ServedFile>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  const files = new Map<string, ServedFile>()
  for (const entry of entries) {
    const type = TYPES[extname(entry.name)]
    if (!entry.isFile() || type === undefined) continue
    const path = join(entry.parentPath, entry.name)
    const bytes = await readFile(path)
    const gzipped = await promisify(gzip)(bytes, { level: constants.Z_BEST_COMPRESSION })
    files.set(relative(folder, path).split(sep).join('/'), { type, bytes, gzipped })
  }
  return files
}
