import { type ContextOf, defineResource, job, jobSpec, offload } from 'piko'
import { Pool } from 'undici'
import { Day, WeatherSink } from './sink.ts'

/** The station's address. main.ts starts a station and sets this, unless it is already set. */
export const STATION_VARIABLE = 'WEATHER_STATION_URL'

/** One HTTP client with 20 connections for the whole process; runs queue here for a connection. */
const Station = defineResource({
  name: 'station',
  size: 20,
  open: () => new Pool(process.env[STATION_VARIABLE] ?? '', { connections: 20 }),
  acquire: async function* (_ctx, pool) {
    yield pool
  },
  close: (pool) => pool.close(),
})

const parsing = offload<typeof import('./parse.ts')>(new URL('./parse.ts', import.meta.url))

export const weather = jobSpec({
  id: 'weather',
  description: 'One day of weather from the station into the table weather_day',
  cron: '0 0 * * *',
  timezone: 'UTC',
  windows: { start: '2012-01-01T00:00:00Z', end: '2016-01-01T00:00:00Z', catchUp: 'all', parallel: 20 },
  resources: { station: Station },
  sinks: { weather: WeatherSink },
  retry: { limit: 3, base: '200ms' },
  timeout: '30s',
})

export class WeatherJobs {
  @job(weather)
  async fetchDay(ctx: ContextOf<typeof weather>): Promise<{ readonly rows: readonly Day[] }> {
    const path = `/days/${ctx.window.start.toISOString().slice(0, 10)}`
    const answer = await ctx.resources.station.request({ method: 'GET', path, signal: ctx.signal })
    const text = await answer.body.text()
    if (answer.statusCode !== 200) throw new Error(`GET ${path} answered ${answer.statusCode}: ${text.trim()}`)
    const rows = await parsing.parseDays(text)
    ctx.log.info(`GET ${path} answered ${answer.statusCode} with ${rows.length} row`)
    await ctx.sinks.weather.write(Day, rows)
    // The output of the run, which the dashboard shows.
    return { rows }
  }
}
