import { on, Sink, type SinkBatch, type SinkEnv, type SinkScope, sqlTable } from 'piko'
import { z } from 'zod'

/** A row of the table. A row that does not match fails the run and is never written. */
export const Day = z.object({
  day: z.iso.date(),
  precipitation: z.number().min(0),
  tempMax: z.number(),
  tempMin: z.number(),
  wind: z.number().min(0),
  weather: z.string().min(1).max(20),
})
export type Day = z.infer<typeof Day>

// Types that MySQL and SQLite both understand.
const DDL = `
  CREATE TABLE IF NOT EXISTS weather_day (
    window_start DATETIME(3) NOT NULL,
    fence BIGINT NOT NULL,
    day DATE NOT NULL,
    precipitation DECIMAL(6, 1) NOT NULL,
    temp_max DECIMAL(6, 1) NOT NULL,
    temp_min DECIMAL(6, 1) NOT NULL,
    wind DECIMAL(6, 1) NOT NULL,
    weather VARCHAR(20) NOT NULL,
    PRIMARY KEY (window_start, fence, day)
  )`

const table = sqlTable<Day>({
  name: 'weather_day',
  columns: {
    day: 'day',
    precipitation: 'precipitation',
    tempMax: 'temp_max',
    tempMin: 'temp_min',
    wind: 'wind',
    weather: 'weather',
  },
  fenceColumn: 'fence',
})

/** Replaces the content of a window with the run's rows, so a run can be repeated at any time. */
export class WeatherSink extends Sink {
  override async open({ sql }: SinkEnv): Promise<void> {
    await sql.exec(DDL)
  }

  @on(Day)
  async days(rows: Day[], batch: SinkBatch): Promise<void> {
    await table.replace(batch, rows)
  }

  override async clear(scope: SinkScope): Promise<void> {
    await table.clear(scope)
  }
}
