import { useState } from 'preact/hooks'
import { ActionButton, says } from '../actions/action.tsx'
import { type Answer, get, part } from '../shared/api.ts'
import { jsonText } from '../shared/format.ts'
import { useLoad } from '../shared/load.ts'
import { Block, Card, Shown } from '../shared/parts.tsx'
import { zoneOf } from '../shared/schedule.ts'
import { ScheduleEditor } from './schedule-editor.tsx'
import { useWords } from './schedule-words.ts'
import { TickTable } from './tick-table.tsx'

const TICKS = 20

/** The schedule in words with its next ticks, and a form to change it. */
export function ScheduleCard({ job }: { readonly job: Answer<'jobs.show'> }) {
  const words = useWords(job.schedule)
  const [isEdited, setEdited] = useState(false)
  return (
    <Card
      title="Schedule"
      aside={
        <>
          {!isEdited && (
            <button type="button" onClick={() => setEdited(true)}>
              Change…
            </button>
          )}
          <ActionButton
            off={job.isOverridden ? undefined : 'the schedule of the code is in force'}
            action={{
              title: `Clear the override of ${job.id}`,
              request: { method: 'DELETE', path: `/jobs/${part(job.id)}/schedule` },
              cli: ['schedules', 'clear', job.id],
              preview: says('The schedule that the code declares is in force again, on all nodes within one poll.'),
            }}
          >
            Back to the code…
          </ActionButton>
        </>
      }
    >
      <p>
        {words}
        {zoneOf(job.schedule) !== undefined && <span class="quiet"> ({zoneOf(job.schedule)})</span>}
      </p>
      {job.isOverridden && <p class="note">It overrides the schedule in the code.</p>}
      {isEdited ? (
        <ScheduleEditor job={job} onEnd={() => setEdited(false)} />
      ) : (
        job.schedule !== null && (
          <>
            <details>
              <summary>As stored</summary>
              <Block label="Schedule as stored" text={jsonText(job.schedule)} />
            </details>
            <Ticks jobId={job.id} />
          </>
        )
      )}
    </Card>
  )
}

function Ticks({ jobId }: { readonly jobId: string }) {
  const loaded = useLoad(`ticks ${jobId}`, (signal) =>
    get<'schedules.preview'>(`/jobs/${part(jobId)}/ticks`, { count: TICKS }, signal),
  )
  return (
    <Shown of={loaded}>{({ ticks }) => <TickTable ticks={ticks} label={`The next ${ticks.length} ticks`} />}</Shown>
  )
}
