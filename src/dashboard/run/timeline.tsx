import type { Answer } from '../shared/api.ts'
import { durationText } from '../shared/format.ts'
import { now } from '../shared/live.ts'
import { Instant } from '../shared/parts.tsx'
import { State } from '../shared/states.tsx'
import { axisStart, type Span, spansOf } from './spans.ts'

const MAX_SPANS = 300

/** The waits, attempts, phases and steps of a run, as rows on a common time axis. */
export function Timeline({ run }: { readonly run: Answer<'runs.show'> }) {
  const spans = spansOf(run, now.value.getTime())
  const last = Math.max(...spans.map(({ to }) => to))
  const start = axisStart(spans, last)
  const end = Math.max(last, start + 1)
  const share = (ms: number): string => `${(ms / (end - start)) * 100}%`
  if (spans.length === 0) return <p class="quiet">It has not begun.</p>
  return (
    <>
      {spans[0] !== undefined && spans[0].from < start && <p class="note">The first bar is cut off at the left.</p>}
      {spans.length > MAX_SPANS && <p class="note">Only the last {MAX_SPANS} parts are shown.</p>}
      <ol class="timeline">
        {spans.slice(-MAX_SPANS).map((span, index) => (
          <li key={index} class={span.isInner ? 'timeline-inner' : ''}>
            <span class="timeline-name">
              <bdi>{span.name}</bdi> {isOutcome(span) && <State name={span.state} />}
              <span class="under">
                <Instant at={new Date(span.from).toISOString()} />, {durationText(span.to - span.from)}
              </span>
            </span>
            <span class="timeline-track" aria-hidden="true">
              <span
                class={`timeline-bar back-${span.state}`}
                style={{
                  marginLeft: share(Math.max(span.from - start, 0)),
                  width: share(span.to - Math.max(span.from, start)),
                }}
              />
            </span>
            {span.note !== undefined && <span class="timeline-note">{span.note}</span>}
          </li>
        ))}
      </ol>
    </>
  )
}

function isOutcome({ state, isInner }: Span): boolean {
  return !isInner && state !== 'queued' && state !== 'planned'
}
