import { type Answer, get, part } from '../shared/api.ts'
import { instantText } from '../shared/format.ts'
import { useLoad } from '../shared/load.ts'
import { Card, Shown } from '../shared/parts.tsx'
import { SIGNS } from '../shared/states.tsx'
import { useZoneOf } from '../shared/zones.tsx'
import { layout } from './graph-layout.ts'

type Graph = Answer<'jobs.dependencies'>

const WIDTH = 206
const HEIGHT = 44
const GAP = { x: 54, y: 14 }
const MAX_LETTERS = 24

/** The upstream and downstream jobs of a job, with the state of their newest windows. */
export function GraphCard({ jobId }: { readonly jobId: string }) {
  const loaded = useLoad(`graph ${jobId}`, (signal) =>
    get<'jobs.dependencies'>(`/jobs/${part(jobId)}/dependencies`, {}, signal),
  )
  return (
    <Card title="Dependencies">
      <Shown of={loaded}>
        {(graph) =>
          graph.edges.length === 0 ? (
            <p class="quiet">It depends on no job, and no job depends on it.</p>
          ) : (
            <>
              {!graph.isWhole && <p class="note">Only the nearest {graph.jobs.length} jobs are shown.</p>}
              <div class="scroll" tabIndex={0} role="region" aria-label="Graph of dependencies">
                <Drawing graph={graph} jobId={jobId} />
              </div>
            </>
          )
        }
      </Shown>
    </Card>
  )
}

function Drawing({ graph: { jobs, edges }, jobId }: { readonly graph: Graph; readonly jobId: string }) {
  const spots = layout(
    jobs.map(({ id }) => id),
    edges,
  )
  const places = new Map(spots.map(({ id, column, row }) => [id, { x: left(column), y: top(row) }]))
  const width = left(Math.max(...spots.map(({ column }) => column))) + WIDTH + 2
  const height = top(Math.max(...spots.map(({ row }) => row))) + HEIGHT + 2
  return (
    <svg width={width} height={height} class="graph" role="group" aria-label="Upstream jobs are on the left">
      {edges.map(({ from, to }) => {
        const [one, other] = [places.get(from), places.get(to)]
        return one && other && <path key={`${from} ${to}`} class="graph-edge" d={curve(one, other)} />
      })}
      {jobs.map((job) => (
        <Job key={job.id} job={job} isSubject={job.id === jobId} place={places.get(job.id) ?? { x: 0, y: 0 }} />
      ))}
    </svg>
  )
}

interface Place {
  readonly x: number
  readonly y: number
}

function Job({
  job: { id, state, latest, hasFailed },
  isSubject,
  place: { x, y },
}: {
  readonly job: Graph['jobs'][number]
  readonly isSubject: boolean
  readonly place: Place
}) {
  const zone = useZoneOf(id)
  const shown = state === 'paused' ? 'paused' : (latest?.state ?? 'no window')
  const note = `${shown}${latest ? ` ${instantText(latest.start, zone, false)}` : ''}`
  const label = `${id}: ${note}${hasFailed ? ', some windows have failed' : ''}`
  return (
    <a href={`/jobs/${part(id)}`} aria-label={label}>
      <title>{label}</title>
      <rect
        class={`graph-job ${isSubject ? 'graph-subject' : ''}`}
        {...{ x, y }}
        width={WIDTH}
        height={HEIGHT}
        rx="6"
      />
      <text x={x + 10} y={y + 18}>
        {shortened(id)}
      </text>
      <text x={x + 10} y={y + 35} class={`graph-note text-${shown}`}>
        {SIGNS[shown] ?? '•'} {note}
      </text>
      {hasFailed && (
        <text x={x + WIDTH - 18} y={y + 18} class="text-failed">
          ✕
        </text>
      )}
    </a>
  )
}

function left(column: number): number {
  return 1 + column * (WIDTH + GAP.x)
}

function top(row: number): number {
  return 1 + row * (HEIGHT + GAP.y)
}

function curve(from: Place, to: Place): string {
  const [x, y] = [from.x + WIDTH, from.y + HEIGHT / 2]
  const [endX, endY] = [to.x, to.y + HEIGHT / 2]
  const bend = Math.max(20, (endX - x) / 2)
  return `M${x} ${y} C${x + bend} ${y} ${endX - bend} ${endY} ${endX} ${endY}`
}

function shortened(id: string): string {
  return id.length <= MAX_LETTERS ? id : `${id.slice(0, MAX_LETTERS - 1)}…`
}
