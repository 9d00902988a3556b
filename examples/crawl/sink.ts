import { on, type RowModel, Sink, type SinkBatch, type SinkEnv, type SinkScope, type SqlTable, sqlTable } from 'piko'
import { z } from 'zod'

export const Movie = z.object({
  id: z.int(),
  title: z.string().max(200),
  director: z.string().max(100),
  gross: z.number().nullable(),
})
export const Rating = z.object({ id: z.int(), imdb: z.number(), votes: z.int() })
export const Capital = z.object({
  state: z.string().max(40),
  city: z.string().max(40),
  lat: z.number(),
  lon: z.number(),
})
export const Ticket = z.object({ id: z.int(), movie: z.int(), seats: z.int(), price: z.number() })

type Movie = z.infer<typeof Movie>
type Rating = z.infer<typeof Rating>
type Capital = z.infer<typeof Capital>
type Ticket = z.infer<typeof Ticket>

const generation = { fenceColumn: 'fence' } as const
const movies = sqlTable<Movie>({
  name: 'cinema_movie',
  model: Movie,
  key: ['id'],
  types: { title: 'VARCHAR(200) NOT NULL', director: 'VARCHAR(100) NOT NULL' },
  ...generation,
})
const ratings = sqlTable<Rating>({ name: 'cinema_rating', model: Rating, key: ['id'], ...generation })
const capitals = sqlTable<Capital>({
  name: 'cinema_capital',
  model: Capital,
  key: ['state'],
  types: { state: 'VARCHAR(40) NOT NULL', city: 'VARCHAR(40) NOT NULL' },
  ...generation,
})
const tickets = sqlTable<Ticket>({ name: 'cinema_ticket', model: Ticket, key: ['id'], ...generation })
const tables = new Map<RowModel, SqlTable<object>>([
  [Movie, movies],
  [Rating, ratings],
  [Capital, capitals],
  [Ticket, tickets],
])

/**
 * The tables of the crawl. Many pages write the rows of one day, so their rows are merged. Those of an earlier crawl of the day stay until
 * the new crawl has succeeded.
 */
export class CinemaSink extends Sink {
  override async open(env: SinkEnv): Promise<void> {
    for (const table of tables.values()) await table.open(env, { create: true })
  }

  @on(Movie)
  movies(rows: Movie[], batch: SinkBatch): Promise<void> {
    return movies.merge(batch, rows)
  }

  @on(Rating)
  ratings(rows: Rating[], batch: SinkBatch): Promise<void> {
    return ratings.merge(batch, rows)
  }

  @on(Capital)
  capitals(rows: Capital[], batch: SinkBatch): Promise<void> {
    return capitals.merge(batch, rows)
  }

  @on(Ticket)
  tickets(rows: Ticket[], batch: SinkBatch): Promise<void> {
    return tickets.merge(batch, rows)
  }

  override async clear(scope: SinkScope, model: RowModel): Promise<void> {
    await tables.get(model)?.clear(scope)
  }
}
