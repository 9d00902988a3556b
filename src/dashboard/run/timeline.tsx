import type { Answer } from '../shared/api.ts'
import { durationText } from '../shared/format.ts'
import { now } from '../shared/live.ts'
import { Instant } from '../shared/parts.tsx'
import { State } from '../shared/states.tsx'

type Run = Answer<'runs.show'>

interface Span {
  readonly name: string
  readonly state: string
  readonly from: number
  readonly to: number
  readonly note: string | undefined
}

/** The waits and attempts of a run, in order of time. Pure. */
export function spansOf(run: Run, at: number): Span[] {
  const spans: Span[] = []
  let free = Math.max(Date.parse(run.createdAt), Math.min(Date.parse(run.runAt), firstStart(run) ?? at))
  for (const { attempt, startedAt, finishedAt, outcome, error } of run.attempts) {
    if (startedAt === undefined) continue
    const from = Date.parse(startedAt)
    if (from > free)
      spans.push({
        name: attempt <= 1 ? 'waited' : 'waited for the next attempt',
        state: 'queued',
        from: free,
        to: from,
        note: undefined,
      })
    const to = finishedAt === undefined ? at : Date.parse(finishedAt)
    spans.push({ name: `attempt ${attempt}`, state: outcome, from, to, note: error?.message.slice(0, 500) })
    free = to
  }
  if (run.state === 'queued' && at > free)
    spans.push({ name: 'waits', state: 'queued', from: free, to: at, note: undefined })
  return spans
}

function firstStart({ attempts }: Run): number | undefined {
  const started = attempts.find(({ startedAt }) => startedAt !== undefined)?.startedAt
  return started === undefined ? undefined : Date.parse(started)
}

export function Timeline({ run }: { readonly run: Run }) {
  const spans = spansOf(run, now.value.getTime())
  const start = Math.min(...spans.map(({ from }) => from))
  const end = Math.max(...spans.map(({ to }) => to), start + 1)
  const share = (ms: number): string => `${(ms / (end - start)) * 100}%`
  if (spans.length === 0) return <p class="quiet">It has not begun.</p>
  return (
    <ol class="timeline">
      {spans.map((span, index) => (
        <li key={index}>
          <span class="timeline-name">
            {span.name} {span.state !== 'queued' && <State name={span.state} />}
            <span class="under">
              <Instant at={new Date(span.from).toISOString()} />, {durationText(span.to - span.from)}
            </span>
          </span>
          <span class="timeline-track" aria-hidden="true">
            <span
              class={`timeline-bar back-${span.state}`}
              style={{ marginLeft: share(span.from - start), width: share(span.to - span.from) }}
            />
          </span>
          {span.note !== undefined && <span class="timeline-note">{span.note}</span>}
        </li>
      ))}
    </ol>
  )
}
