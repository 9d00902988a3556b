import { useEffect, useMemo, useState } from 'preact/hooks'
import { get, type Item } from '../shared/api.ts'
import { EntryField } from '../shared/entry-field.tsx'
import { useTitle } from '../shared/layout.tsx'
import { useLoad } from '../shared/load.ts'
import { now } from '../shared/live.ts'
import { Card, Empty, Instant, Page, Shown } from '../shared/parts.tsx'
import { query, setQuery } from '../shared/router.ts'
import { zoneOf } from '../shared/schedule.ts'
import type { Range } from '../actions/of-windows.ts'
import { WindowActions } from '../actions/window-actions.tsx'
import { InZoneOf } from '../shared/zones.tsx'
import { Legend } from './cells.tsx'
import { type By, BYS, columnsOf, shifted, startOf } from './columns.ts'
import { GridCanvas } from './grid-canvas.tsx'
import { upstreamFirst } from './order.ts'

type Job = Item<'jobs.list'>

const PAGE = 500
const MAX_COLUMNS = 10_000
/** The number of columns if no job has a `windows.start`. */
const USUAL_COLUMNS = 400
const SETTLED_MS = 200

/** The windows of all jobs over time, with upstream jobs above their downstream jobs. Shows which windows exist and which are missing. */
export function GridPage() {
  useTitle('Grid')
  const search = query.value.get('job') ?? ''
  const loaded = useLoad('grid jobs', allWithWindows)
  return (
    <Page title="Grid" aside={<Legend />}>
      <Shown of={loaded}>
        {(jobs) => (jobs.length === 0 ? <NoWindows /> : <Grid jobs={jobs.filter(({ id }) => id.includes(search))} />)}
      </Shown>
    </Page>
  )
}

async function allWithWindows(signal: AbortSignal): Promise<Job[]> {
  const jobs: Job[] = []
  let cursor: string | undefined
  do {
    const { items, next } = await get<'jobs.list'>('/jobs', { limit: PAGE, cursor, hasWindows: true }, signal)
    jobs.push(...items)
    cursor = next
  } while (cursor !== undefined)
  return jobs
}

function Grid({ jobs }: { readonly jobs: readonly Job[] }) {
  const by = BYS.find((one) => one === query.value.get('by')) ?? 'day'
  const last = query.value.get('to') ?? undefined
  const key = jobs.map(({ id, dependsOn }) => `${id} ${dependsOn.join(' ')}`).join('\n')
  const rows = useMemo(
    () => upstreamFirst(jobs.map(({ id, dependsOn, schedule }) => ({ id, dependsOn, zone: zoneOf(schedule) }))),
    [key],
  )
  const columns = useMemo(() => columnsFor(jobs, by, last), [key, by, last])
  const [range, setRange] = useState(rangeInAddress)
  useEffect(() => {
    // While a selection is dragged, the address does not change, because browsers limit how often it may change.
    const timer = setTimeout(() => setQuery({ row: range?.jobId, from: range?.from, until: range?.to }), SETTLED_MS)
    return () => clearTimeout(timer)
  }, [range?.jobId, range?.from, range?.to])
  return (
    <>
      <Card title="Windows" aside={<Tools by={by} />}>
        {rows.length === 0 ? (
          <Empty title="No job matches">
            <button type="button" onClick={() => setQuery({ job: '' })}>
              Show all jobs
            </button>
          </Empty>
        ) : (
          <GridCanvas rows={rows} by={by} columns={columns} selected={range} onSelect={setRange} />
        )}
      </Card>
      {range ? (
        <Selected range={range} />
      ) : (
        <p class="note">Select cells of a job with the mouse, or with Shift and the arrow keys, to run them again.</p>
      )}
    </>
  )
}

/** Returns the selection that the page's address contains. */
function rangeInAddress(): Range | undefined {
  const [jobId, from, to] = ['row', 'from', 'until'].map((name) => query.peek().get(name) ?? undefined)
  return jobId === undefined || from === undefined || to === undefined ? undefined : { jobId, from, to }
}

/** Returns the columns from the first window of the jobs to `last` (default: the current time). At least 31, at most the newest 10,000. */
function columnsFor(jobs: readonly Job[], by: By, last: string | undefined): Date[] {
  const to = last === undefined ? shifted(startOf(now.peek(), by), by, 1) : new Date(last)
  const starts = jobs.map(({ windows }) => startIn(windows)).filter((start) => start !== undefined)
  const least = shifted(to, by, -MAX_COLUMNS).getTime()
  const first = starts.length === 0 ? shifted(to, by, -USUAL_COLUMNS).getTime() : Math.min(...starts)
  const from = Math.min(Math.max(least, first), shifted(to, by, -31).getTime())
  return columnsOf(new Date(from).toISOString(), to.toISOString(), by)
}

function startIn(windows: unknown): number | undefined {
  if (typeof windows !== 'object' || windows === null || !('start' in windows)) return undefined
  const ms = Date.parse(String(windows.start))
  return Number.isNaN(ms) ? undefined : ms
}

function Tools({ by }: { readonly by: By }) {
  const zoom = BYS.indexOf(by)
  const zoomTo = (index: number): void => setQuery({ by: BYS[index], at: undefined })
  return (
    <>
      <label class="search">
        Job
        <input
          type="search"
          value={query.value.get('job') ?? ''}
          onInput={({ currentTarget }) => setQuery({ job: currentTarget.value })}
        />
      </label>
      <label class="search">
        A cell is
        <select
          value={by}
          onChange={({ currentTarget }) => zoomTo(BYS.findIndex((one) => one === currentTarget.value))}
        >
          {BYS.map((one) => (
            <option key={one} value={one}>
              one {one} (UTC)
            </option>
          ))}
        </select>
      </label>
      <button type="button" aria-label="Zoom in" disabled={zoom <= 0} onClick={() => zoomTo(zoom - 1)}>
        +
      </button>
      <button type="button" aria-label="Zoom out" disabled={zoom >= BYS.length - 1} onClick={() => zoomTo(zoom + 1)}>
        −
      </button>
      <label class="search">
        Until
        <EntryField
          type="date"
          value={query.value.get('to')?.slice(0, 10) ?? ''}
          onEntered={(day) => setQuery({ to: day === '' ? undefined : `${day}T00:00:00.000Z`, at: undefined })}
        />
      </label>
    </>
  )
}

function Selected({ range }: { readonly range: Range }) {
  return (
    <Card title={`Selected: ${range.jobId}`}>
      <p>
        <InZoneOf job={range.jobId}>
          <Instant at={range.from} /> to <Instant at={range.to} />
        </InZoneOf>{' '}
        · <a href={`/jobs/${encodeURIComponent(range.jobId)}?year=${range.from.slice(0, 4)}`}>Calendar</a>
      </p>
      <WindowActions range={range} />
    </Card>
  )
}

function NoWindows() {
  return (
    <Empty title="No job has windows">
      <p>A window is an interval of data with a state of its own. Give a job windows to see it here:</p>
      <pre class="block">{`windows: { start: '2026-01-01', catchUp: 'all' }`}</pre>
    </Empty>
  )
}
