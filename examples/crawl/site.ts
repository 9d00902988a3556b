import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { hasRating, ofDay, readSiteData, type SiteCapital, type SiteData, type SiteMovie } from './data.ts'
import { TicketFeed } from './feed.ts'

/**
 * The example's two web servers: a cinema with a part for members and a WebSocket feed of sold tickets, and a host of ratings that often
 * fails at first.
 */
export interface Site {
  readonly cinema: string
  readonly ratings: string
  /** How many requests each server has answered, by its first folder. */
  readonly requests: ReadonlyMap<string, number>
  /** For each day, after how many tickets each connection to the feed began. */
  readonly feed: ReadonlyMap<string, readonly number[]>
  close(): Promise<void>
}

const PER_PAGE = 20
const USER = { name: 'ada', password: 'lovelace' }
const COOKIE = 'member=yes'

/** @param ports of the two servers. Default: free ones */
export async function startSite(
  data: SiteData = readSiteData(),
  ports: readonly [number, number] = [0, 0],
): Promise<Site> {
  const requests = new Map<string, number>()
  const failed = new Set<number>()
  const counted = (request: IncomingMessage): URL => {
    const url = new URL(request.url ?? '/', 'http://site.test')
    const folder = url.pathname.split('/')[1] ?? ''
    requests.set(folder, (requests.get(folder) ?? 0) + 1)
    return url
  }
  const cinema = await listen((request, response) => answerCinema(data, counted(request), request, response), ports[0])
  const ratings = await listen((request, response) => answerRating(data, failed, counted(request), response), ports[1])
  const feed = new TicketFeed(data, cinema)
  return {
    cinema: originOf(cinema),
    ratings: originOf(ratings),
    requests,
    feed: feed.asked,
    async close() {
      feed.close()
      for (const server of [cinema, ratings]) {
        const closed = once(server, 'close')
        server.close()
        server.closeAllConnections()
        await closed
      }
    },
  }
}

function answerCinema(data: SiteData, url: URL, request: IncomingMessage, response: ServerResponse): void {
  const [, folder, name = ''] = url.pathname.split('/')
  switch (folder) {
    case 'robots.txt':
      return void response.end('User-agent: *\nDisallow: /private/\n')
    case 'days':
      return html(response, listPage(ofDay(data.movies, name), name, Number(url.searchParams.get('page') ?? 1)))
    case 'movies': {
      const movie = data.movies[Number(name)]
      return movie ? html(response, moviePage(movie)) : notFound(response)
    }
    case 'login':
      return void login(request, response)
    case 'members': {
      if (request.headers.cookie !== COOKIE) return void response.writeHead(403).end('members only')
      return html(response, membersPage(ofDay(data.capitals, name)))
    }
    default:
      return notFound(response)
  }
}

/** The first request for each seventh rating answers 503. */
function answerRating(data: SiteData, failed: Set<number>, url: URL, response: ServerResponse): void {
  const [, folder, name = ''] = url.pathname.split('/')
  if (folder === 'robots.txt') return notFound(response)
  const movie = data.movies[Number(name)]
  if (!movie || !hasRating(movie)) return notFound(response)
  if (movie.id % 7 === 0 && !failed.has(movie.id)) {
    failed.add(movie.id)
    return void response.writeHead(503).end('busy')
  }
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify({ id: movie.id, imdb: movie.imdb, votes: movie.votes }))
}

async function login(request: IncomingMessage, response: ServerResponse): Promise<void> {
  let body = ''
  for await (const chunk of request) body += String(chunk)
  const form = new URLSearchParams(body)
  const isRight = form.get('name') === USER.name && form.get('password') === USER.password
  if (isRight) response.writeHead(204, { 'set-cookie': `${COOKIE}; Path=/` }).end()
  else response.writeHead(401).end('wrong name or password')
}

function listPage(movies: readonly SiteMovie[], day: string, page: number): string {
  const shown = movies.slice((page - 1) * PER_PAGE, page * PER_PAGE)
  const links = shown.map(({ id, title }) => `<li><a class="movie" href="/movies/${id}">${escaped(title)}</a></li>`)
  const next = page * PER_PAGE < movies.length ? `<a class="next" href="/days/${day}?page=${page + 1}">more</a>` : ''
  return `<ul>${links.join('')}</ul>${next}`
}

function moviePage({ title, director, gross }: SiteMovie): string {
  const cell = gross === undefined ? 'n/a' : `$${gross}`
  return `<h1>${escaped(title)}</h1><p class="director">${escaped(director)}</p><span class="gross">${cell}</span>`
}

function membersPage(capitals: readonly SiteCapital[]): string {
  const rows = capitals.map(
    ({ state, city, lat, lon }) =>
      `<tr><th>${escaped(state)}</th><td>${escaped(city)}</td><td>${lat}</td><td>${lon}</td></tr>`,
  )
  return `<table>${rows.join('')}</table>`
}

function html(response: ServerResponse, body: string): void {
  response.setHeader('content-type', 'text/html; charset=utf-8')
  response.end(`<!doctype html><title>Cinema</title><body>${body}</body>`)
}

function notFound(response: ServerResponse): void {
  response.writeHead(404).end('nothing here')
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}

async function listen(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
  port: number,
): Promise<Server> {
  const server = createServer(answer)
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return server
}

function originOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
