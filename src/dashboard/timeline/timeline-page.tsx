import { useRef } from 'preact/hooks'
import { type Answer, get } from '../shared/api.ts'
import { EntryField } from '../shared/entry-field.tsx'
import { useTitle } from '../shared/layout.tsx'
import { now } from '../shared/live.ts'
import { useLoad } from '../shared/load.ts'
import { Card, Empty, Instant, Page, Shown } from '../shared/parts.tsx'
import { query, setQuery } from '../shared/router.ts'
import { InZoneOf } from '../shared/zones.tsx'
import { ROWS_BY, rowsOf } from './rows.ts'
import { nextSpan, SPANS } from './scale.ts'
import { TimelineCanvas } from './timeline-canvas.tsx'

const HOUR_MS = 3_600_000
const MAX_RUNS = 3_000
/** The share of the range that lies in the future while the page follows the present. */
const AHEAD = 0.03

/** Runs as bars over time, by job or by node. If the address has no end, the page follows the present. */
export function TimelinePage() {
  useTitle('Timeline')
  const by = ROWS_BY.find((one) => one === query.value.get('by')) ?? 'job'
  const spanMs = Number(query.value.get('span') ?? HOUR_MS) || HOUR_MS
  const fixed = Date.parse(query.value.get('to') ?? '')
  const isLive = Number.isNaN(fixed)
  const jobId = query.value.get('jobId') ?? ''
  const at = now.value.getTime()
  const to = isLive ? at + spanMs * AHEAD : fixed
  const from = to - spanMs
  const loaded = useLoad(`timeline ${spanMs} ${isLive ? 'live' : fixed} ${jobId}`, (signal) =>
    get<'runs.timeline'>(
      '/runs/timeline',
      { from: new Date(from).toISOString(), to: new Date(to).toISOString(), jobId, limit: MAX_RUNS },
      signal,
    ),
  )
  // While another range loads, the previous bars stay visible. They are still correct where the ranges overlap.
  const before = useRef<Answer<'runs.timeline'> | undefined>(undefined)
  if (loaded.data) before.current = loaded.data
  const shown = { ...loaded, data: loaded.data ?? before.current }
  const go = (end: number, span = spanMs): void => {
    const isNow = end >= at && end - span * AHEAD * 2 <= at
    setQuery({ to: isNow ? undefined : new Date(end).toISOString(), span: span === HOUR_MS ? undefined : `${span}` })
  }
  const zoom = (direction: 1 | -1, around: number): void => {
    const span = nextSpan(spanMs, -direction)
    go(from + spanMs * around + span * (1 - around), span)
  }
  return (
    <Page title="Timeline" aside={<Key />}>
      <Card
        title={isLive ? 'Runs until now' : 'Runs'}
        aside={
          <>
            <label class="search">
              Job
              <EntryField
                type="search"
                value={jobId}
                placeholder="all jobs"
                onEntered={(entered) => setQuery({ jobId: entered })}
              />
            </label>
            <label class="search">
              A row is a
              <select value={by} onChange={({ currentTarget }) => setQuery({ by: currentTarget.value })}>
                {ROWS_BY.map((one) => (
                  <option key={one}>{one}</option>
                ))}
              </select>
            </label>
            <label class="search">
              Shows
              <select
                value={nextSpan(spanMs, 0)}
                onChange={({ currentTarget }) => go(isLive ? at : to, Number(currentTarget.value))}
              >
                {SPANS.map(([ms, name]) => (
                  <option key={ms} value={ms}>
                    {name}
                  </option>
                ))}
              </select>
            </label>
            <button type="button" onClick={() => go(to - spanMs / 2)}>
              Earlier
            </button>
            <button type="button" onClick={() => go(to + spanMs / 2)}>
              Later
            </button>
            <button type="button" aria-pressed={isLive} onClick={() => setQuery({ to: undefined })}>
              Now
            </button>
          </>
        }
      >
        <InZoneOf job={jobId}>
          <p class="quiet">
            <Instant at={new Date(from).toISOString()} /> to <Instant at={new Date(to).toISOString()} />
          </p>
          <Shown of={shown}>
            {({ runs, isWhole }) => (
              <>
                {!isWhole && (
                  <p class="note">
                    This range has more than {runs.length} runs. Only some are shown: zoom in, or choose a job.
                  </p>
                )}
                {runs.length === 0 ? (
                  <Empty title="No run waited or ran in this time">
                    <p>Choose an earlier or a longer time, or start a run from the page of a job.</p>
                  </Empty>
                ) : (
                  <TimelineCanvas
                    rows={rowsOf(runs, by, at)}
                    {...{ from, to, now: at }}
                    onMove={(part) => go(to + part * spanMs)}
                    onZoom={zoom}
                  />
                )}
              </>
            )}
          </Shown>
        </InZoneOf>
      </Card>
    </Page>
  )
}

/** Explains the parts of a bar. */
function Key() {
  return (
    <p class="quiet">
      <span aria-hidden="true">├─</span> tick until due · <span aria-hidden="true">▭</span> due until claimed ·{' '}
      <span aria-hidden="true">━</span> claimed until begun · <span aria-hidden="true">█</span> begun until ended ·{' '}
      <span aria-hidden="true">✕</span> failed
    </p>
  )
}
