// A site whose pages of 2 KB each link to three others. It answers immediately, and prints its port.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { linksOf } from '../items/graph.ts'

const PAGE_BYTES = 2_048
const { pages } = JSON.parse(process.argv[2] ?? '{}') as { pages: number }
const seen = new Uint8Array(pages)
let requests = 0

const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  const n = Number(/^\/page\/(\d+)$/.exec(request.url ?? '')?.[1] ?? NaN)
  if (!(n < pages)) return void response.writeHead(404).end()
  seen[n] = 1
  requests += 1
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'content-length': PAGE_BYTES }).end(pageOf(n))
})
process.stdin.setEncoding('utf8').on('data', () => {
  process.stdout.write(`counts ${requests} ${seen.reduce((sum, one) => sum + one, 0)}\n`)
})
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`port ${(server.address() as AddressInfo).port}\n`)
  process.stdout.write('ready\n')
})

function pageOf(n: number): string {
  const links = linksOf(n, pages).map((next) => `<li><a href="/page/${next}">page ${next}</a></li>`)
  const head = `<!doctype html><html><head><title>Page ${n}</title></head><body><h1>Page ${n}</h1><ul>${links.join('')}</ul>`
  const paragraph = '<p class="text">Some words of a page that nobody reads, with <b>tags</b>.</p>'
  const room = PAGE_BYTES - head.length - '</body></html>'.length
  const text = paragraph.repeat(Math.floor(room / paragraph.length))
  return `${head}${text}${' '.repeat(room - text.length)}</body></html>`
}
