export const BYS = ['hour', 'day', 'week', 'month'] as const
export type By = (typeof BYS)[number]

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const WEEK_MS = 7 * DAY_MS
/** A Monday from which weeks are counted. */
const FIRST_MONDAY_MS = 4 * DAY_MS

/** Returns the start of the cell that contains an instant, in UTC. */
export function startOf(at: Date, by: By): Date {
  const ms = at.getTime()
  switch (by) {
    case 'hour':
      return new Date(ms - (ms % HOUR_MS))
    case 'day':
      return new Date(ms - (ms % DAY_MS))
    case 'week':
      return new Date(ms - ((ms - FIRST_MONDAY_MS) % WEEK_MS))
    case 'month':
      return new Date(Date.UTC(at.getUTCFullYear(), at.getUTCMonth()))
  }
}

/** Returns the start of the cell that is `steps` cells later. */
export function shifted(start: Date, by: By, steps: number): Date {
  if (by === 'month') return new Date(Date.UTC(start.getUTCFullYear(), start.getUTCMonth() + steps))
  const size = { hour: HOUR_MS, day: DAY_MS, week: WEEK_MS }[by]
  return new Date(start.getTime() + steps * size)
}

/** Returns the starts of all cells of a range. */
export function columnsOf(from: string, to: string, by: By): Date[] {
  const columns: Date[] = []
  const end = new Date(to)
  for (let start = startOf(new Date(from), by); start < end; start = shifted(start, by, 1)) columns.push(start)
  return columns
}

/** Returns the label above a column. Undefined for most columns, because there is not enough space. */
export function labelOf(start: Date, by: By): string | undefined {
  const text = start.toISOString()
  switch (by) {
    case 'hour':
      return start.getUTCHours() === 0 ? text.slice(5, 10) : undefined
    case 'day':
      return start.getUTCDate() === 1 ? text.slice(0, 7) : undefined
    case 'week':
      return start.getUTCDate() <= 7 ? text.slice(0, 7) : undefined
    case 'month':
      return start.getUTCMonth() === 0 ? text.slice(0, 4) : undefined
  }
}
