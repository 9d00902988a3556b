/** One day, as the station reports it: millimetres, degrees Celsius, metres per second. */
export interface DayRow {
  day: string
  precipitation: number
  tempMax: number
  tempMin: number
  wind: number
  weather: string
}

const HEADER = 'date,precipitation,temp_max,temp_min,wind,weather'

/** Runs in a worker thread: see `offload` in jobs.ts. */
export function parseDays(csv: string): DayRow[] {
  const [header, ...lines] = csv.trim().split(/\r?\n/)
  if (header !== HEADER) throw new Error(`the header is ${JSON.stringify(header)}; expected ${JSON.stringify(HEADER)}`)
  return lines.map((line) => {
    const [day = '', precipitation, tempMax, tempMin, wind, weather = ''] = line.split(',')
    return {
      day,
      precipitation: Number(precipitation),
      tempMax: Number(tempMax),
      tempMin: Number(tempMin),
      wind: Number(wind),
      weather,
    }
  })
}
