import { useState } from 'preact/hooks'
import { get, type Item, part } from '../shared/api.ts'
import { DAY_MS, dayAfter, dayOf } from '../shared/days.ts'
import { useLoad } from '../shared/load.ts'
import { now } from '../shared/live.ts'
import { Card, Empty, Instant, Shown, Table } from '../shared/parts.tsx'
import { PageButtons, usePages } from '../shared/pages.tsx'
import { query, setQuery } from '../shared/router.ts'
import { cellSign, State } from '../shared/states.tsx'
import { WindowActions } from '../actions/window-actions.tsx'
import { type Counts, countsText, WINDOW_STATES, worstOf } from '../shared/window-states.ts'

const WEEK = 7
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
/** The rows with a name: only every second one, because there is not enough space for all. */
const WEEKDAYS: readonly (readonly [row: number, name: string])[] = [
  [0, 'Mon'],
  [2, 'Wed'],
  [4, 'Fri'],
]
const MAX_WINDOWS = 200
/** If no year is chosen, all years are shown below each other. If there are more than this, only the last year is shown. */
const MAX_YEARS = 5
interface CalendarProps {
  readonly jobId: string
  /** The first and the last year with windows; undefined if the job has no windows yet. */
  readonly years: { readonly first: number; readonly last: number } | undefined
}

/** The calendar of one job, with a cell for each day. Users select days to see their windows or to run them again. */
export function Calendar({ jobId, years: known }: CalendarProps) {
  const thisYear = now.peek().getUTCFullYear()
  const { first, last } = known ?? { first: thisYear, last: thisYear }
  const day = query.value.get('day') ?? undefined
  const lastDay = query.value.get('until') ?? day
  const asked = query.value.get('year') ?? undefined
  const isAll = asked === undefined && last - first < MAX_YEARS
  const chosen = Number(asked ?? last)
  const shown = isAll ? yearsFrom(first, last) : [chosen]
  const from = new Date(Date.UTC(shown[0] ?? chosen, 0)).toISOString()
  const to = new Date(Date.UTC((shown.at(-1) ?? chosen) + 1, 0)).toISOString()
  const loaded = useLoad(`calendar ${jobId} ${from} ${to}`, (signal) =>
    get<'windows.grid'>('/windows/grid', { jobId, from, to, by: 'day' }, signal),
  )
  const choice = { first, last, chosen: isAll ? undefined : chosen }
  return (
    <Card title={`Calendar of ${isAll ? yearsText(first, last) : chosen}`} aside={<Years {...choice} />}>
      <Shown of={loaded}>
        {({ items }) => (
          <>
            {shown.map((year) => (
              <div key={year} class="calendar-year">
                {shown.length > 1 && <h3>{year}</h3>}
                <Days year={year} cells={items[0]?.cells ?? []} day={day} lastDay={lastDay} />
                {day !== undefined && lastDay !== undefined && day.startsWith(`${year}`) && (
                  <DayWindows jobId={jobId} from={day} to={dayAfter(lastDay)} />
                )}
              </div>
            ))}
            <Legend cells={items[0]?.cells ?? []} />
          </>
        )}
      </Shown>
      {day === undefined && (
        <p class="note">Days are in UTC. Choose a day to see its windows; hold Shift to choose a range.</p>
      )}
    </Card>
  )
}

function yearsFrom(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index)
}

function yearsText(first: number, last: number): string {
  return first === last ? `${first}` : `${first} to ${last}`
}

/** Buttons for the years around the chosen one, and for all years together if the page can show them. */
function Years({
  first,
  last,
  chosen,
}: {
  readonly first: number
  readonly last: number
  readonly chosen: number | undefined
}) {
  const show = (year: number | undefined): void =>
    setQuery({ year: year === undefined ? undefined : `${year}`, day: undefined, until: undefined })
  const near =
    chosen === undefined
      ? yearsFrom(first, last)
      : yearsFrom(Math.min(chosen - 1, Math.max(first, chosen - 2)), Math.max(chosen + 1, Math.min(last, chosen + 2)))
  return (
    <>
      {last > first && last - first < MAX_YEARS && (
        <button type="button" aria-pressed={chosen === undefined} onClick={() => show(undefined)}>
          All
        </button>
      )}
      {near.map((year) => (
        <button key={year} type="button" aria-pressed={year === chosen} onClick={() => show(year)}>
          {year}
        </button>
      ))}
    </>
  )
}

/** Explains the signs of the states, and shows how many windows of the shown years are in each. */
function Legend({ cells }: { readonly cells: Item<'windows.grid'>['cells'] }) {
  const count = (state: string): number => cells.reduce((sum, { counts }) => sum + ((counts as Counts)[state] ?? 0), 0)
  const shown = WINDOW_STATES.map((state) => [state, count(state)] as const).filter(([, found]) => found > 0)
  if (shown.length === 0) return null
  return (
    <ul class="calendar-legend" aria-label="States of this year">
      {shown.map(([state, found]) => (
        <li key={state}>
          <span class={`calendar-sign mark-${state}`} aria-hidden="true">
            {cellSign(state)}
          </span>{' '}
          {found} {state}
        </li>
      ))}
    </ul>
  )
}

interface DaysProps {
  readonly year: number
  readonly cells: Item<'windows.grid'>['cells']
  readonly day: string | undefined
  readonly lastDay: string | undefined
}

function Days({ year, cells, day, lastDay }: DaysProps) {
  const counts = new Map<string, Counts>(cells.map((cell) => [cell.start.slice(0, 10), cell.counts]))
  const first = Date.UTC(year, 0)
  const days = Array.from({ length: Math.round((Date.UTC(year + 1, 0) - first) / DAY_MS) }, (_, index) =>
    dayOf(first + index * DAY_MS),
  )
  // A column is a week that begins on Monday.
  const offset = (new Date(first).getUTCDay() + WEEK - 1) % WEEK
  const [focused, setFocused] = useState(day ?? [...counts.keys()][0] ?? days[0])
  const choose = (chosen: string, isRange: boolean): void => {
    if (!isRange || day === undefined) setQuery({ day: chosen, until: undefined, windows: undefined })
    else if (chosen < day) setQuery({ day: chosen, until: lastDay, windows: undefined })
    else setQuery({ until: chosen, windows: undefined })
  }
  const move = (event: KeyboardEvent): void => {
    const step = { ArrowUp: -1, ArrowDown: 1, ArrowLeft: -WEEK, ArrowRight: WEEK }[event.key]
    const next = step === undefined ? undefined : days[days.indexOf(focused ?? '') + step]
    if (next === undefined || !(event.currentTarget instanceof Element)) return
    event.preventDefault()
    setFocused(next)
    event.currentTarget.querySelector<HTMLElement>(`[data-day="${next}"]`)?.focus()
  }
  return (
    <div class="calendar" role="group" aria-label={`Days of ${year}`} onKeyDown={move}>
      {WEEKDAYS.map(([row, name]) => (
        <span key={name} class="calendar-label" aria-hidden="true" style={{ gridArea: `${row + 2} / 1` }}>
          {name}
        </span>
      ))}
      {MONTHS.map((name, month) => {
        const index = Math.round((Date.UTC(year, month) - first) / DAY_MS)
        const column = Math.floor((index + offset) / WEEK) + 2
        return (
          <span key={name} class="calendar-label" aria-hidden="true" style={{ gridArea: `1 / ${column} / 2 / span 4` }}>
            {name}
          </span>
        )
      })}
      {days.map((one, index) => {
        const state = worstOf(counts.get(one) ?? {})
        const isChosen = day !== undefined && lastDay !== undefined && one >= day && one <= lastDay
        const label = `${one}: ${countsText(counts.get(one) ?? {})}`
        return (
          <button
            key={one}
            type="button"
            data-day={one}
            class={state === undefined ? '' : `mark-${state}`}
            tabIndex={one === focused ? 0 : -1}
            aria-pressed={isChosen}
            aria-label={label}
            title={label}
            style={{ gridArea: `${((index + offset) % WEEK) + 2} / ${Math.floor((index + offset) / WEEK) + 2}` }}
            onFocus={() => setFocused(one)}
            onClick={({ shiftKey }) => choose(one, shiftKey)}
          >
            {cellSign(state)}
          </button>
        )
      })}
    </div>
  )
}

function DayWindows({
  jobId,
  from,
  to,
}: Pick<CalendarProps, 'jobId'> & { readonly from: string; readonly to: string }) {
  const range = { from: new Date(from).toISOString(), to: new Date(to).toISOString() }
  const pages = usePages('windows')
  const { cursor } = pages
  const loaded = useLoad(`windows ${jobId} ${from} ${to} ${cursor}`, (signal) =>
    get<'windows.list'>(`/jobs/${part(jobId)}/windows`, { ...range, limit: MAX_WINDOWS, cursor }, signal),
  )
  return (
    <>
      <h3>
        Windows from {from} until {to}
      </h3>
      <WindowActions range={{ jobId, ...range }} />
      <Shown of={loaded}>
        {({ items, next }) =>
          items.length === 0 ? (
            <Empty title="No window here">
              <p>A backfill creates the windows of a range that the job did not cover.</p>
            </Empty>
          ) : (
            <>
              <WindowTable windows={items} />
              <PageButtons pages={pages} next={next} of="windows" words={['Earlier', 'Later']} />
            </>
          )
        }
      </Shown>
    </>
  )
}

function WindowTable({ windows }: { readonly windows: readonly Item<'windows.list'>[] }) {
  return (
    <Table label="Windows" columns={['Window', 'State', 'Run', 'Error']}>
      {windows.map(({ start, end, state, runId, error, waitsFor }) => (
        <tr key={start}>
          <th scope="row">
            <Instant at={start} /> to <Instant at={end} />
          </th>
          <td>
            <State name={state} />
          </td>
          <td>{runId !== undefined && <a href={`/runs/${runId}`}>{runId}</a>}</td>
          <td class="wide">
            {error ??
              (waitsFor && (
                <>
                  waits for {waitsFor.jobId} at <Instant at={waitsFor.at} />
                </>
              ))}
          </td>
        </tr>
      ))}
    </Table>
  )
}
