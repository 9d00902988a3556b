import { readFileSync } from 'node:fs'

/** The real input: 1,461 days of weather in Seattle, from the package `vega-datasets`. */
export interface WeatherFile {
  readonly header: string
  /** Each day's line, by its date as `2012-01-01`. */
  readonly lines: ReadonlyMap<string, string>
}

export function readWeatherFile(): WeatherFile {
  // The package exports only its entry file; the data is next to it.
  const file = new URL('../data/seattle-weather.csv', import.meta.resolve('vega-datasets'))
  const [header = '', ...lines] = readFileSync(file, 'utf8').trim().split(/\r?\n/)
  return { header, lines: new Map(lines.map((line) => [line.slice(0, 10), line])) }
}
