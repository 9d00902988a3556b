import { defineCrawl, socket } from 'piko/crawl'
import { z } from 'zod'
import { DAYS, FIRST_DAY, TICKETS } from './data.ts'
import { Capital, CinemaSink, Movie, Rating, Ticket } from './sink.ts'

const DAY_MS = 86_400_000

/** Crawls a day of the cinema: its movies, their ratings on another host, the part for members, and the feed of sold tickets. */
export const cinema = defineCrawl({
  id: 'cinema',
  cron: '0 0 * * *',
  windows: {
    start: `${FIRST_DAY}T00:00:00Z`,
    end: new Date(Date.parse(FIRST_DAY) + DAYS * DAY_MS),
    catchUp: 'all',
    parallel: 4,
  },
  config: z.object({
    cinema: z.url().default(() => process.env['CINEMA_URL'] ?? 'http://127.0.0.1'),
    ratings: z.url().default(() => process.env['RATINGS_URL'] ?? 'http://127.0.0.1'),
  }),
  sinks: { cinema: CinemaSink },
  hosts: { '*': { parallel: 16 } },
  retry: { server: { limit: 5, base: '200ms' }, network: { limit: 5, base: '200ms' } },
  // The example's servers are on this machine.
  limits: { private: true },
  session: {
    size: 2,
    login: async (http, { name }) => {
      const origin = new URL(process.env['CINEMA_URL'] ?? 'http://127.0.0.1').origin
      await http.post(`${origin}/login`, { form: { name: 'ada', password: 'lovelace', session: name } })
    },
  },

  seeds: async function* ({ window, config }) {
    const day = window.start.toISOString().slice(0, 10)
    yield { url: `${config.cinema}/days/${day}`, step: 'list' }
    yield { url: `${config.cinema}/members/${day}`, step: 'members' }
    yield { url: `${config.cinema.replace(/^http/, 'ws')}/tickets/${day}`, step: 'tickets' }
  },
  steps: {
    list: {
      request: { session: false },
      parse: (page, ctx) => {
        ctx.follow(page.links('a.movie').map((url) => ({ url, step: 'movie' }) as const))
        ctx.follow(page.links('a.next').map((url) => ({ url })))
      },
    },
    movie: {
      priority: 1,
      request: { session: false },
      parse: async (page, ctx) => {
        const id = Number(new URL(page.url).pathname.split('/').at(-1))
        const gross = page.html('.gross').text()
        await ctx.sinks.cinema.write(Movie, {
          id,
          title: page.html('h1').text(),
          director: page.html('.director').text(),
          gross: gross === 'n/a' ? null : Number(gross.slice(1)),
        })
        if (id % 2 === 0) ctx.follow({ url: `${ctx.config.ratings}/ratings/${id}`, step: 'rating' })
      },
    },
    rating: {
      request: { session: false, headers: { accept: 'application/json' } },
      parse: (page, ctx) => ctx.sinks.cinema.write(Rating, page.json(Rating)),
    },
    tickets: {
      request: { session: false },
      // The feed breaks in the middle of each day. The next connection asks for the tickets after those that are stored.
      downloader: socket({
        send: (stored) => [JSON.stringify({ after: stored })],
        until: { messages: TICKETS, idle: '10s' },
      }),
      parse: (page, ctx) => ctx.sinks.cinema.write(Ticket, page.json(Ticket)),
    },
    members: async (page, ctx) => {
      const $ = page.html()
      const rows = $('tr').toArray()
      await ctx.sinks.cinema.write(
        Capital,
        rows.map((row) => {
          const [city, lat, lon] = $(row)
            .find('td')
            .toArray()
            .map((cell) => $(cell).text())
          return { state: $(row).find('th').text(), city: city ?? '', lat: Number(lat), lon: Number(lon) }
        }),
      )
    },
  },
})
