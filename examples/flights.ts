import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

interface Flight {
  readonly delay: number
  readonly distance: number
}

/** 200,000 flights as 10 MB of JSON, from the package `vega-datasets`. */
export const FILE = fileURLToPath(new URL('../data/flights-200k.json', import.meta.resolve('vega-datasets')))

/** Reads and parses a file of flights. Blocks the thread that it runs in. */
export function summarise(file: string): { flights: number; meanDelayMinutes: number } {
  const flights = JSON.parse(readFileSync(file, 'utf8')) as Flight[]
  const total = flights.reduce((sum, { delay }) => sum + delay, 0)
  return { flights: flights.length, meanDelayMinutes: Math.round((total / flights.length) * 10) / 10 }
}
