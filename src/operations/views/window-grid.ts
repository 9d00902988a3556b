import { describe, PikoError } from '../../errors.ts'
import type { WindowState } from '../../ledger/window-state.ts'
import type { GridCount } from '../../store/windows/window-grid.ts'
import { type InstantInput, instantOf } from '../../time/instant.ts'

export const GRID_UNITS = ['hour', 'day', 'week', 'month'] as const

export type GridUnit = (typeof GRID_UNITS)[number]

/** Which windows a grid shows. */
export interface GridFilter {
  /** The start of the grid, rounded down to the beginning of its hour, day, week (Monday) or month in UTC. */
  readonly from: InstantInput
  readonly to: InstantInput
  /** The length of a cell. Default `'day'`. */
  readonly by?: GridUnit
  /** The jobs to show. Default: all jobs with windows. */
  readonly jobIds?: readonly string[]
  /** The maximum number of jobs. Default 50. */
  readonly limit?: number
  /** Selects only jobs whose ids come after this one, such as the `next` of the previous page. */
  readonly after?: string
}

/** The windows of one job that start within one cell. Cells without windows are left out. */
export interface GridCell {
  readonly start: Date
  readonly counts: Readonly<Partial<Record<WindowState, number>>>
}

export interface WindowGrid {
  readonly by: GridUnit
  readonly from: Date
  readonly to: Date
  readonly rows: readonly { readonly jobId: string; readonly cells: readonly GridCell[] }[]
  /** The value to pass as `after` for the next page; undefined on the last page. */
  readonly next: string | undefined
}

const MAX_CELLS = 2_000
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const WEEKDAYS = 7
const UNIT_MS: Readonly<Record<GridUnit, number>> = {
  hour: HOUR_MS,
  day: DAY_MS,
  week: WEEKDAYS * DAY_MS,
  month: 28 * DAY_MS,
}

/**
 * Returns the bounds of a grid.
 *
 * @throws PikoError `USAGE`
 */
export function gridRange({ from, to, by = 'day' }: GridFilter): { from: Date; to: Date; by: GridUnit } {
  const first = cellOf(instantOf('from of app.windows.grid', from), by)
  const end = instantOf('to of app.windows.grid', to)
  const cells = (end.getTime() - first.getTime()) / UNIT_MS[by]
  if (cells > 0 && cells <= MAX_CELLS) return { from: first, to: end, by }
  const problem = cells > 0 ? `has ${Math.ceil(cells)} cells; expected at most ${MAX_CELLS}` : 'is empty'
  throw new PikoError(
    'USAGE',
    `app.windows.grid: the range from ${describe(from)} to ${describe(to)} by ${by} ${problem}`,
    { details: { from: first.toISOString(), to: end.toISOString(), by } },
  )
}

/** Returns the starts of all cells of a grid, in order. Pure. */
export function cellStarts({ from, to, by }: { from: Date; to: Date; by: GridUnit }): Date[] {
  const starts: Date[] = []
  for (let start = from; start < to; start = nextCell(start, by)) starts.push(start)
  return starts
}

function nextCell(start: Date, by: GridUnit): Date {
  if (by === 'month') return new Date(Date.UTC(start.getUTCFullYear(), start.getUTCMonth() + 1))
  return new Date(start.getTime() + UNIT_MS[by])
}

/** Returns the cells of one job, oldest first. Pure. */
export function cellsOf(counts: readonly GridCount[], by: GridUnit): GridCell[] {
  const cells = new Map<number, Partial<Record<WindowState, number>>>()
  for (const { start: at, state, count } of counts) {
    const start = cellOf(at, by).getTime()
    const cell = cells.get(start) ?? {}
    cell[state] = (cell[state] ?? 0) + count
    cells.set(start, cell)
  }
  return [...cells]
    .sort(([one], [other]) => one - other)
    .map(([start, found]) => ({ start: new Date(start), counts: found }))
}

/** Returns the start of the cell that contains an instant. */
function cellOf(at: Date, by: GridUnit): Date {
  if (by === 'hour') return new Date(at.getTime() - (at.getTime() % HOUR_MS))
  const day = Date.UTC(at.getUTCFullYear(), at.getUTCMonth(), by === 'month' ? 1 : at.getUTCDate())
  const sinceMonday = by === 'week' ? (at.getUTCDay() + WEEKDAYS - 1) % WEEKDAYS : 0
  return new Date(day - sinceMonday * DAY_MS)
}
