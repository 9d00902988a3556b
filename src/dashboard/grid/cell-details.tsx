import { useEffect, useState } from 'preact/hooks'
import { get, part } from '../shared/api.ts'
import { durationText, instantIn } from '../shared/format.ts'
import { useLoad } from '../shared/load.ts'
import { runMs } from '../shared/sparkline.tsx'
import { type Counts, countsText } from '../shared/window-states.ts'
import { type By, shifted } from './columns.ts'
import type { GridRow } from './order.ts'

/** Details are loaded only after the pointer has rested for this long, in milliseconds. */
const REST_MS = 150
const MAX_NAMED = 3

/** The details of a cell: its start in UTC and in the job's zone, and its windows with their attempts and durations. */
export function CellDetails({
  row: { jobId, zone = 'UTC' },
  start,
  by,
  counts,
}: {
  readonly row: GridRow
  readonly start: Date
  readonly by: By
  readonly counts: Counts
}) {
  const utc = start.toISOString().slice(0, 16).replace('T', ' ')
  return (
    <p id="grid-cell" class="note" role="status">
      {`${jobId} · ${by} from ${utc}`} <span>UTC</span>
      {zone !== 'UTC' && <span>{` (${instantIn(start, zone)} ${zone})`}</span>}
      {` · ${countsText(counts)}`}
      <Windows jobId={jobId} start={start} end={shifted(start, by, 1)} isAny={Object.keys(counts).length > 0} />
    </p>
  )
}

function Windows({
  jobId,
  start,
  end,
  isAny,
}: {
  readonly jobId: string
  readonly start: Date
  readonly end: Date
  readonly isAny: boolean
}) {
  const asked = `${jobId} ${start.toISOString()} ${end.toISOString()}`
  const [rested, setRested] = useState<string>()
  useEffect(() => {
    const timer = setTimeout(() => setRested(asked), REST_MS)
    return () => clearTimeout(timer)
  }, [asked])
  const { data } = useLoad(isAny && rested === asked ? `cell ${asked}` : undefined, async (signal) => {
    const range = { from: start.toISOString(), to: end.toISOString(), limit: MAX_NAMED + 1 }
    const { items } = await get<'windows.list'>(`/jobs/${part(jobId)}/windows`, range, signal)
    if (items.length > MAX_NAMED) return undefined
    return Promise.all(
      items.map(async (window) => ({
        window,
        run: window.runId === undefined ? undefined : await get<'runs.show'>(`/runs/${window.runId}`, {}, signal),
      })),
    )
  })
  return (
    <>
      {data?.map(({ window: { start: from, state, attempt, error }, run }) => {
        const ms = run && runMs(run)
        const tries = attempt === undefined ? '' : `, ${attempt} ${attempt === 1 ? 'attempt' : 'attempts'}`
        return (
          <span key={from} class="cell-window">
            {` · ${state}${tries}${ms === undefined ? '' : `, took ${durationText(ms)}`} `}
            {run && <a href={`/runs/${run.id}`}>run {run.id}</a>}
            {error !== undefined && ` ${error.slice(0, 200)}`}
          </span>
        )
      })}
    </>
  )
}
