import type { AnswerOf } from '../../api/route.ts'
import type { RouteOf } from '../../api/routes.ts'

export type TimelineRun = AnswerOf<RouteOf<'runs.timeline'>>['runs'][number]

export const ROWS_BY = ['job', 'node'] as const
export type RowsBy = (typeof ROWS_BY)[number]

/** The instants of a run, in milliseconds. The bar of a run that has not ended extends to the present. */
export interface Bar {
  readonly run: TimelineRun
  /** When the schedule fired, or when the run was requested. */
  readonly asked: number
  /** When the run was due and could be claimed. */
  readonly due: number
  /** When a node claimed the run; undefined while the run is waiting. */
  readonly claimed: number | undefined
  /** When the handler began. Undefined until the run has ended. If undefined after a success, it began less than a second after the claim. */
  readonly begun: number | undefined
  readonly end: number
}

/** The bars of one job or node. */
export interface Row {
  readonly name: string
  /** The bars of a lane do not overlap, except in the last lane. */
  readonly lanes: readonly (readonly Bar[])[]
}

const MAX_LANES = 8
const CAUGHT_UP_MS = 86_400_000
/** The name of the row for runs that no node has claimed. */
export const NO_NODE = 'no node yet'

export function barOf(run: TimelineRun, now: number): Bar {
  const created = Date.parse(run.createdAt)
  const due = Math.max(Date.parse(run.runAt), created)
  const claimed = run.startedAt === undefined ? undefined : Date.parse(run.startedAt)
  const begun = run.beganAt === undefined ? undefined : Date.parse(run.beganAt)
  const ended = run.finishedAt === undefined ? undefined : Date.parse(run.finishedAt)
  const tick = run.tick === undefined ? created : Date.parse(run.tick)
  // The bar of a run that catches up begins when the run was created, because its tick may be years ago.
  const asked = Math.min(created - tick > CAUGHT_UP_MS ? created : tick, claimed ?? due)
  return { run, asked, due: Math.min(due, claimed ?? due), claimed, begun, end: ended ?? Math.max(now, claimed ?? due) }
}

/** Groups bars in rows by name. Overlapping bars of a row are in lanes below each other. Pure. */
export function rowsOf(runs: readonly TimelineRun[], by: RowsBy, now: number): Row[] {
  const groups = Map.groupBy(runs, ({ jobId, nodeId }) => (by === 'job' ? jobId : (nodeId ?? NO_NODE)))
  return [...groups]
    .map(([name, ofRow]) => ({ name, lanes: lanesOf(ofRow.map((run) => barOf(run, now))) }))
    .sort((one, other) => (one.name < other.name ? -1 : 1))
}

function lanesOf(bars: readonly Bar[]): Bar[][] {
  const lanes: { readonly bars: Bar[]; end: number }[] = []
  for (const bar of bars.toSorted((one, other) => one.asked - other.asked)) {
    let lane = lanes.find(({ end }) => end <= bar.asked)
    if (!lane && lanes.length < MAX_LANES) lanes.push((lane = { bars: [], end: 0 }))
    lane ??= lanes.at(-1)
    lane?.bars.push(bar)
    if (lane) lane.end = Math.max(lane.end, bar.end)
  }
  return lanes.map((lane) => lane.bars)
}
