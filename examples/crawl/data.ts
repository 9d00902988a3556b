import { readFileSync } from 'node:fs'

/** What the site knows of a movie. */
export interface SiteMovie {
  readonly id: number
  readonly title: string
  readonly director: string
  readonly gross: number | undefined
  readonly imdb: number
  readonly votes: number
}

export interface SiteCapital {
  readonly state: string
  readonly city: string
  readonly lat: number
  readonly lon: number
}

/** A message of the feed: tickets that were sold for a movie. */
export interface SiteTicket {
  readonly id: number
  readonly movie: number
  readonly seats: number
  readonly price: number
}

/** The content of the site, spread over days. */
export interface SiteData {
  readonly movies: readonly SiteMovie[]
  readonly capitals: readonly SiteCapital[]
}

/** The first of the days. */
export const FIRST_DAY = '2026-03-01'
export const DAYS = 10
/** Messages of the ticket feed on each day. */
export const TICKETS = 100

const DAY_MS = 86_400_000

/** The names of the days: `2026-03-01` … */
export const DAY_NAMES: readonly string[] = Array.from({ length: DAYS }, (_, day) =>
  new Date(Date.parse(FIRST_DAY) + day * DAY_MS).toISOString().slice(0, 10),
)

/** The part of a list that belongs to a day. */
export function ofDay<T>(list: readonly T[], day: string): readonly T[] {
  const number = DAY_NAMES.indexOf(day)
  return number === -1 ? [] : list.filter((_, index) => index % DAYS === number)
}

/** Whether the other host has ratings of a movie. */
export function hasRating({ id }: SiteMovie): boolean {
  return id % 2 === 0
}

/** The messages of a day's feed, made by a formula, in their order. None if there is no such day. */
export function ticketsOf({ movies }: SiteData, day: string): readonly SiteTicket[] {
  const number = DAY_NAMES.indexOf(day)
  if (number === -1) return []
  return Array.from({ length: TICKETS }, (_, index) => {
    const id = number * TICKETS + index
    return { id, movie: (id * 7919) % movies.length, seats: 1 + (id % 4), price: 8 + (id % 9) / 2 }
  })
}

/** @param most of the movies. Default: `CINEMA_MOVIES`, or all 3,201 */
export function readSiteData(most = Number(process.env['CINEMA_MOVIES'] ?? Infinity)): SiteData {
  const movies = readJson('movies.json')
    .slice(0, most)
    .map((movie, id) => ({
      id,
      title: textOf(movie['Title'], 'Untitled'),
      director: textOf(movie['Director'], 'unknown'),
      gross: typeof movie['US Gross'] === 'number' ? movie['US Gross'] : undefined,
      imdb: Number(movie['IMDB Rating'] ?? 0),
      votes: Number(movie['IMDB Votes'] ?? 0),
    }))
  const capitals = readJson('us-state-capitals.json').map((capital) => ({
    state: textOf(capital['state'], ''),
    city: textOf(capital['city'], ''),
    lat: Number(capital['lat']),
    lon: Number(capital['lon']),
  }))
  return { movies, capitals }
}

/** Some titles are numbers. */
function textOf(value: unknown, otherwise: string): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : otherwise
}

function readJson(name: string): readonly Readonly<Record<string, unknown>>[] {
  const file = new URL(`../data/${name}`, import.meta.resolve('vega-datasets'))
  return JSON.parse(readFileSync(file, 'utf8')) as Readonly<Record<string, unknown>>[]
}
