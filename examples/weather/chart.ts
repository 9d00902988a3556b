import type { Piko } from 'piko'

export interface MonthlyMean {
  /** The month, from 1 to 12. */
  readonly month: number
  /** Mean of each day's (max + min) / 2, degrees Celsius, over all years. */
  readonly mean: number
}

export async function monthlyMeans(app: Piko): Promise<MonthlyMean[]> {
  const rows = await app.sql.query<{ month: string; mean: number | string }>(
    `SELECT SUBSTR(CAST(day AS CHAR(10)), 6, 2) AS month, AVG((temp_max + temp_min) / 2) AS mean
     FROM weather_day GROUP BY month ORDER BY month`,
  )
  return rows.map(({ month, mean }) => ({ month: Number(month), mean: Number(mean) }))
}

const NAMES = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const WIDTH = 40

/** One line per month: name, bar from 0 °C, degrees. */
export function chart(means: readonly MonthlyMean[], paint: (bar: string, mean: number) => string): string {
  const warmest = Math.max(1, ...means.map(({ mean }) => mean))
  return means
    .map(({ month, mean }) => {
      const bar = '█'.repeat(Math.max(0, Math.round((mean / warmest) * WIDTH)))
      return `  ${NAMES[month - 1] ?? month}  ${paint(bar.padEnd(WIDTH), mean)}  ${mean.toFixed(1).padStart(4)} °C`
    })
    .join('\n')
}
