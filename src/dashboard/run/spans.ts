import type { AnswerOf } from '../../api/route.ts'
import type { RouteOf } from '../../api/routes.ts'

type Run = AnswerOf<RouteOf<'runs.show'>>

/** A period of time in a run. */
export interface Span {
  readonly name: string
  readonly state: string
  readonly from: number
  readonly to: number
  readonly note: string | undefined
  /** Whether the span belongs to the attempt above it. */
  readonly isInner?: boolean
}

/**
 * Returns the waits and attempts of a run in order of time. After each attempt come its phases, then its steps. Pure.
 *
 * @param at now, in milliseconds
 */
export function spansOf(run: Run, at: number): Span[] {
  const created = Date.parse(run.createdAt)
  const started = firstStart(run)
  const due = Math.max(created, Math.min(Date.parse(run.runAt), started ?? Infinity))
  const spans: Span[] = []
  const add = (name: string, state: string, from: number, to: number, note?: string): void => {
    if (to > from) spans.push({ name, state, from, to, note })
  }
  if (run.tick !== undefined) add('tick, not stored yet', 'planned', Math.min(Date.parse(run.tick), created), created)
  add('stored, not due yet', 'planned', created, Math.min(due, started ?? Math.min(due, at)))
  let free = due
  for (const { attempt, startedAt, finishedAt, outcome, error, phases } of run.attempts) {
    if (startedAt === undefined) continue
    const from = Date.parse(startedAt)
    add(attempt <= 1 ? 'queued' : 'waited for the next attempt', 'queued', free, from)
    const to = finishedAt === undefined ? Math.max(at, from) : Date.parse(finishedAt)
    spans.push({ name: `attempt ${attempt}`, state: outcome, from, to, note: error?.message.slice(0, 500) })
    spans.push(...phasesIn(phases, outcome), ...stepsIn(run, attempt, from, to))
    free = to
  }
  if (run.state === 'queued') add('queued', 'queued', free, at)
  return spans
}

const PHASE_TEXTS = {
  queued: 'queued',
  claimed: 'claimed, waited on the node',
  resources: 'waited for resources',
  handler: 'handler',
  sinks: 'sinks flushed',
  committed: 'committed',
}

/** Returns the phases of an attempt that took time. Its wait in the queue is a separate span. */
function phasesIn(phases: Run['attempts'][number]['phases'], outcome: string): Span[] {
  const own = phases.filter(({ name, from, to }) => name !== 'queued' && Date.parse(to) > Date.parse(from))
  // A single phase is the whole attempt, which has its own span already.
  if (own.length < 2) return []
  const isWait = (name: string): boolean => name === 'claimed' || name === 'resources'
  return own.map(({ name, from, to }) => ({
    ...{ name: PHASE_TEXTS[name], state: isWait(name) ? 'queued' : outcome },
    ...{ from: Date.parse(from), to: Date.parse(to), note: undefined, isInner: true },
  }))
}

function stepsIn({ steps }: Run, attempt: number, from: number, to: number): Span[] {
  return steps.flatMap(({ name, attempt: of, ms, finishedAt }) => {
    const end = finishedAt === undefined ? NaN : Date.parse(finishedAt)
    if (of !== attempt || !(end >= from && end <= to)) return []
    return [
      {
        name: `step ${name}`,
        state: 'succeeded',
        from: Math.max(from, end - ms),
        to: end,
        note: undefined,
        isInner: true,
      },
    ]
  })
}

function firstStart({ attempts }: Run): number | undefined {
  const started = attempts.find(({ startedAt }) => startedAt !== undefined)?.startedAt
  return started === undefined ? undefined : Date.parse(started)
}

/** The maximum share of the axis for the wait before a run. For example, a window of 2014 may have waited for years before it was run. */
const LONGEST_LEAD = 1 / 4

/**
 * Returns the start of the axis in milliseconds: the start of the first span, or later if that span is a planned wait that would leave the
 * others too little space. Pure.
 */
export function axisStart(spans: readonly Span[], end: number): number {
  const [first] = spans
  if (first === undefined) return end
  const rest = Math.max(end - first.to, 1)
  const longest = (rest * LONGEST_LEAD) / (1 - LONGEST_LEAD)
  return first.state === 'planned' ? Math.max(first.from, first.to - longest) : first.from
}
