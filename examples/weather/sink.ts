import { on, Sink, type SinkBatch, type SinkEnv, type SinkScope } from 'piko'
import { z } from 'zod'

/** A row of the table; what does not fit fails the run and is never written. */
export const Day = z.object({
  day: z.iso.date(),
  precipitation: z.number().min(0),
  tempMax: z.number(),
  tempMin: z.number(),
  wind: z.number().min(0),
  weather: z.string().min(1).max(20),
})

// Types that MySQL and SQLite both understand.
const TABLE = `
  CREATE TABLE IF NOT EXISTS weather_day (
    window_start DATETIME(3) NOT NULL,
    day DATE NOT NULL,
    precipitation DECIMAL(6, 1) NOT NULL,
    temp_max DECIMAL(6, 1) NOT NULL,
    temp_min DECIMAL(6, 1) NOT NULL,
    wind DECIMAL(6, 1) NOT NULL,
    weather VARCHAR(20) NOT NULL,
    fence BIGINT NOT NULL,
    PRIMARY KEY (window_start, day)
  )`

/**
 * Replaces a window's rows in one transaction, so that a run may be repeated at any time: what an earlier run wrote has
 * a smaller fence and goes. A run that lost its window meanwhile has the smaller fence itself, deletes nothing, and
 * fails on the primary key.
 */
export class WeatherSink extends Sink {
  override async open({ sql }: SinkEnv): Promise<void> {
    await sql.exec(TABLE)
  }

  @on(Day)
  async days(rows: z.infer<typeof Day>[], { sql, window, fence, index }: SinkBatch): Promise<void> {
    const start = window?.start ?? null
    const values = rows.flatMap((row) => [
      start,
      row.day,
      row.precipitation,
      row.tempMax,
      row.tempMin,
      row.wind,
      row.weather,
      fence,
    ])
    await sql.transaction(async (trx) => {
      if (index === 0) await trx.exec('DELETE FROM weather_day WHERE window_start = ? AND fence < ?', [start, fence])
      await trx.exec(
        `INSERT INTO weather_day (window_start, day, precipitation, temp_max, temp_min, wind, weather, fence)
         VALUES ${rows.map(() => '(?, ?, ?, ?, ?, ?, ?, ?)').join(', ')}`,
        values,
      )
    })
  }

  /** A window without a row. */
  override async clear({ sql, window, fence }: SinkScope): Promise<void> {
    await sql.exec('DELETE FROM weather_day WHERE window_start = ? AND fence < ?', [window?.start ?? null, fence])
  }
}
