import { readFile } from 'node:fs/promises'

interface Flight {
  readonly delay: number
  readonly distance: number
  readonly time: number
}

export interface FlightSummary {
  readonly rows: number
  readonly meanDelay: number
  /** Mean delay by hour of the day. */
  readonly byHour: readonly number[]
}

/** Parses the JSON text of all flights and returns an aggregate, since copying the rows themselves would cost time. */
export function summarise(bytes: Uint8Array): FlightSummary {
  const flights = JSON.parse(new TextDecoder().decode(bytes)) as readonly Flight[]
  const sums = new Float64Array(24)
  const counts = new Uint32Array(24)
  let total = 0
  for (const { delay, time } of flights) {
    const hour = Math.floor(time) % 24
    sums[hour] = (sums[hour] ?? 0) + delay
    counts[hour] = (counts[hour] ?? 0) + 1
    total += delay
  }
  const byHour = Array.from(sums, (sum, hour) => (counts[hour] === 0 ? 0 : sum / (counts[hour] ?? 1)))
  return { rows: flights.length, meanDelay: total / flights.length, byHour }
}

export async function summariseFile(path: string): Promise<FlightSummary> {
  return summarise(await readFile(path))
}
