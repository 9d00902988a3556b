import './range-calendar.css'
import { get, type Item } from '../shared/api.ts'
import { DAY_MS, dayAfter, dayOf } from '../shared/days.ts'
import { numberText } from '../shared/format.ts'
import { useLoad } from '../shared/load.ts'
import { Shown } from '../shared/parts.tsx'
import { SIGNS } from '../shared/states.tsx'
import { type Counts, countsText, worstOf } from '../shared/window-states.ts'

const WEEK = 7
/** About four years, because the API returns at most 2,000 cells. */
const MAX_DAYS = 1_500

interface Props {
  readonly jobId: string
  /** The beginning of the range, as an instant. */
  readonly from: string
  readonly to: string
  /** How many windows will run, by UTC day. Undefined: only the states are shown. */
  readonly chosen?: ReadonlyMap<string, number>
}

/** The days of a range, in UTC, with the states of their windows. The windows that will run are drawn over them. */
export function RangeCalendar({ jobId, from, to, chosen }: Props) {
  const days = daysOf(from, to)
  const first = days[0] ?? from.slice(0, 10)
  const end = dayAfter(days.at(-1) ?? first)
  const loaded = useLoad(`range ${jobId} ${first} ${end}`, (signal) =>
    get<'windows.grid'>('/windows/grid', { jobId, from: instant(first), to: instant(end), by: 'day' }, signal),
  )
  return (
    <Shown of={loaded}>
      {({ items }) => (
        <>
          <Days days={days} cells={items[0]?.cells ?? []} chosen={chosen} />
          {Date.parse(end) < Date.parse(to) && <p class="note">Only the first {MAX_DAYS} days are painted.</p>}
        </>
      )}
    </Shown>
  )
}

interface DaysProps {
  readonly days: readonly string[]
  readonly cells: Item<'windows.grid'>['cells']
  readonly chosen: ReadonlyMap<string, number> | undefined
}

function Days({ days, cells, chosen }: DaysProps) {
  const counts = new Map<string, Counts>(cells.map((cell) => [cell.start.slice(0, 10), cell.counts]))
  const offset = (new Date(days[0] ?? 0).getUTCDay() + WEEK - 1) % WEEK
  const total = [...(chosen?.values() ?? [])].reduce((sum, count) => sum + count, 0)
  const label = chosen
    ? `Days with the windows that would run: ${numberText(total)} on ${numberText(chosen.size)} days`
    : 'Days with the states of their windows'
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Painted days">
      <div class="painted" role="img" aria-label={label}>
        {days.map((day, index) => {
          const own = counts.get(day) ?? {}
          const runs = chosen?.get(day) ?? 0
          const state = worstOf(own)
          const title = `${day}: ${countsText(own)}${runs > 0 ? `, ${numberText(runs)} would run` : ''}`
          const place = index === 0 ? { gridRowStart: offset + 1 } : {}
          return (
            <span
              key={day}
              title={title}
              style={place}
              class={classOf(state, runs, chosen !== undefined)}
              data-day={day}
            >
              {runs > 1 ? runs : runs === 1 ? '●' : state === undefined ? '' : (SIGNS[state] ?? '')}
            </span>
          )
        })}
      </div>
    </div>
  )
}

function classOf(state: string | undefined, runs: number, isPreview: boolean): string {
  if (runs > 0) return 'painted-run'
  return `${isPreview ? 'painted-other' : ''} ${state === undefined ? '' : `painted-${state}`}`
}

function daysOf(from: string, to: string): string[] {
  const first = Date.parse(from.slice(0, 10))
  const count = Math.ceil((Date.parse(to) - first) / DAY_MS)
  return Array.from({ length: Math.max(1, Math.min(count, MAX_DAYS)) }, (_, index) => dayOf(first + index * DAY_MS))
}

function instant(day: string): string {
  return `${day}T00:00:00.000Z`
}
