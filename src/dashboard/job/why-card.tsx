import { get, part } from '../shared/api.ts'
import { EntryField } from '../shared/entry-field.tsx'
import { useLoad } from '../shared/load.ts'
import { Card, Instant, Shown } from '../shared/parts.tsx'
import { query, setQuery } from '../shared/router.ts'

/** Why the job ran or did not run at an instant. Without an instant in the address, the API chooses one. */
export function WhyCard({ jobId }: { readonly jobId: string }) {
  const tick = query.value.get('why') ?? undefined
  const loaded = useLoad(`why ${jobId} ${tick}`, (signal) =>
    get<'jobs.why'>(`/jobs/${part(jobId)}/why`, { tick }, signal),
  )
  return (
    <Card
      title="Why?"
      aside={
        <a href={`/why/${part(jobId)}${tick === undefined ? '' : `?at=${encodeURIComponent(tick)}`}`}>Each rule</a>
      }
    >
      <div class="fields" id="why">
        <label>
          A day in its zone, or an instant with its zone. Empty: the last planned tick
          <EntryField
            value={tick ?? ''}
            placeholder="2026-01-31 or 2026-01-31T06:00:00Z"
            onEntered={(entered) => setQuery({ why: entered })}
          />
        </label>
      </div>
      <Shown of={loaded}>
        {({ sentence, tick: found, runId }) => (
          <p>
            {found !== undefined && (
              <>
                <Instant at={found} />:{' '}
              </>
            )}
            {sentence} {runId !== undefined && <a href={`/runs/${runId}`}>Run {runId}</a>}
          </p>
        )}
      </Shown>
    </Card>
  )
}
