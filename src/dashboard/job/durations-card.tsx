import { useRef } from 'preact/hooks'
import { type Answer, get } from '../shared/api.ts'
import { durationText, numberText } from '../shared/format.ts'
import { now } from '../shared/live.ts'
import { useLoad } from '../shared/load.ts'
import { Card, Shown } from '../shared/parts.tsx'
import { type Bin, histogram, quantile, trend } from './durations.ts'

const RUNS = 500
const LEAST_RUNS = 3
const YEAR_MS = 366 * 86_400_000
/** The durations of hundreds of runs change slowly, so an event does not reload them if they were loaded less than this long ago. */
const FRESH_MS = 30_000
const SIZE = { width: 340, height: 90 }
const GROUPS = 40

/** The durations of a job's runs, and their trend. */
export function DurationsCard({ jobId }: { readonly jobId: string }) {
  const kept = useRef<{ readonly at: number; readonly answer: Answer<'runs.timeline'> } | undefined>(undefined)
  const loaded = useLoad(`durations ${jobId}`, async (signal) => {
    const at = now.peek().getTime()
    if (kept.current && at - kept.current.at < FRESH_MS) return kept.current.answer
    const range = { from: new Date(at - YEAR_MS).toISOString(), to: new Date(at + FRESH_MS).toISOString() }
    const answer = await get<'runs.timeline'>('/runs/timeline', { ...range, jobId, limit: RUNS }, signal)
    kept.current = { at, answer }
    return answer
  })
  return (
    <Card title="Durations">
      <Shown of={loaded}>{({ runs }) => <Charts durations={durationsOf(runs)} />}</Shown>
    </Card>
  )
}

/** Returns the durations of succeeded runs, oldest first. */
function durationsOf(runs: Answer<'runs.timeline'>['runs']): number[] {
  return runs
    .flatMap(({ state, startedAt, finishedAt }) =>
      state === 'succeeded' && startedAt !== undefined && finishedAt !== undefined
        ? [Date.parse(finishedAt) - Date.parse(startedAt)]
        : [],
    )
    .reverse()
}

function Charts({ durations }: { readonly durations: readonly number[] }) {
  if (durations.length < LEAST_RUNS)
    return <p class="quiet">After {LEAST_RUNS} succeeded runs, this shows how long they take.</p>
  const words = `${numberText(durations.length)} succeeded runs: half within ${durationText(quantile(durations, 0.5))}, 95 of 100 within ${durationText(quantile(durations, 0.95))}, the longest ${durationText(Math.max(...durations))}`
  return (
    <>
      <p>{words}</p>
      <div class="columns">
        <Histogram bins={histogram(durations)} />
        <Trend medians={trend(durations, GROUPS)} />
      </div>
    </>
  )
}

function Histogram({ bins }: { readonly bins: readonly Bin[] }) {
  const most = Math.max(...bins.map(({ count }) => count))
  const step = SIZE.width / bins.length
  return (
    <figure class="chart">
      <svg viewBox={`0 0 ${SIZE.width} ${SIZE.height}`} role="img" aria-label="Histogram of durations">
        {bins.map(({ from, to, count }, index) => {
          const height = (count / most) * SIZE.height
          return (
            <rect
              key={from}
              class="chart-bar"
              x={index * step}
              y={SIZE.height - height}
              width={Math.max(1, step - 1)}
              height={height}
            >
              <title>{`${durationText(from)} to ${durationText(to)}: ${count} ${count === 1 ? 'run' : 'runs'}`}</title>
            </rect>
          )
        })}
      </svg>
      <figcaption class="quiet">
        {durationText(bins[0]?.from ?? 0)} <span class="spread" /> how many took how long <span class="spread" />
        {durationText(bins.at(-1)?.to ?? 0)}
      </figcaption>
    </figure>
  )
}

function Trend({ medians }: { readonly medians: readonly number[] }) {
  const most = Math.max(1, ...medians)
  const x = (index: number): number => (medians.length === 1 ? 0 : (index / (medians.length - 1)) * SIZE.width)
  const points = medians.map((ms, index) => `${x(index)},${SIZE.height - 2 - (ms / most) * (SIZE.height - 6)}`)
  return (
    <figure class="chart">
      <svg viewBox={`0 0 ${SIZE.width} ${SIZE.height}`} role="img" aria-label="Trend of durations, oldest on the left">
        <polyline class="chart-line" points={points.join(' ')} />
      </svg>
      <figcaption class="quiet">
        oldest <span class="spread" /> median, up to {durationText(most)} <span class="spread" /> newest
      </figcaption>
    </figure>
  )
}
