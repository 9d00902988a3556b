import { useState } from 'preact/hooks'
import { get } from '../shared/api.ts'
import { useTitle } from '../shared/layout.tsx'
import { useLoad } from '../shared/load.ts'
import { now } from '../shared/live.ts'
import { Card, Empty, Instant, Page, Shown } from '../shared/parts.tsx'
import { query, setQuery } from '../shared/router.ts'
import { type Range, WindowActions } from '../shared/window-actions.tsx'
import { Legend } from './cells.tsx'
import { GridCanvas } from './grid-canvas.tsx'
import { type By, BYS, columnsOf, shifted, startOf } from './columns.ts'

const MAX_JOBS = 500
const SHOWN: Readonly<Record<By, number>> = { hour: 24 * 14, day: 120, week: 104, month: 60 }

/** Jobs by time: which windows are there, and which are not. */
export function GridPage() {
  useTitle('Grid')
  const by = BYS.find((one) => one === query.value.get('by')) ?? 'day'
  const to = query.value.get('to') ?? shifted(startOf(now.peek(), by), by, 1).toISOString()
  const from = shifted(new Date(to), by, -SHOWN[by]).toISOString()
  const search = query.value.get('job') ?? ''
  const loaded = useLoad(`grid ${by} ${to}`, (signal) =>
    get<'windows.grid'>('/windows/grid', { from, to, by, limit: MAX_JOBS }, signal),
  )
  const [range, setRange] = useState<Range>()
  const move = (steps: number): void => setQuery({ to: shifted(new Date(to), by, steps).toISOString() })
  const half = Math.floor(SHOWN[by] / 2)
  return (
    <Page title="Grid" aside={<Legend />}>
      <Card
        title="Windows"
        aside={
          <>
            <label class="search">
              Job
              <input
                type="search"
                value={search}
                onInput={({ currentTarget }) => setQuery({ job: currentTarget.value })}
              />
            </label>
            <label class="search">
              A cell is
              <select value={by} onChange={({ currentTarget }) => setQuery({ by: currentTarget.value })}>
                {BYS.map((one) => (
                  <option key={one} value={one}>
                    one {one} (UTC)
                  </option>
                ))}
              </select>
            </label>
            <button type="button" onClick={() => move(-half)}>
              Earlier
            </button>
            <button type="button" onClick={() => move(half)}>
              Later
            </button>
            <button type="button" onClick={() => setQuery({ to: undefined })}>
              Now
            </button>
          </>
        }
      >
        <Shown of={loaded}>
          {({ items }) => {
            const rows = items.filter(({ jobId }) => jobId.includes(search))
            if (items.length === 0) return <NoWindows />
            return <GridCanvas rows={rows} by={by} columns={columnsOf(from, to, by)} onSelect={setRange} />
          }}
        </Shown>
      </Card>
      {range ? (
        <Selected range={range} />
      ) : (
        <p class="note">Select cells of a job with the mouse, or with Shift and the arrow keys, to run them again.</p>
      )}
    </Page>
  )
}

function Selected({ range }: { readonly range: Range }) {
  return (
    <Card title={`Selected: ${range.jobId}`}>
      <p>
        <Instant at={range.from} /> to <Instant at={range.to} /> ·{' '}
        <a href={`/jobs/${encodeURIComponent(range.jobId)}?year=${range.from.slice(0, 4)}`}>Calendar</a>
      </p>
      <WindowActions range={range} />
    </Card>
  )
}

function NoWindows() {
  return (
    <Empty title="No job has windows in this time">
      <p>A window is an interval of data with a state of its own. Give a job windows to see it here:</p>
      <pre class="block">{`windows: { start: '2026-01-01', catchUp: 'all' }`}</pre>
    </Empty>
  )
}
