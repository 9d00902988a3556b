import { ActionButton } from '../actions/action.tsx'
import { clearSchedule } from '../actions/of-jobs.ts'
import { type Answer, get, part } from '../shared/api.ts'
import { jsonText } from '../shared/format.ts'
import { useLoad } from '../shared/load.ts'
import { Block, Card, Shown } from '../shared/parts.tsx'
import { isEdited, setEdited } from '../shared/reveal.ts'
import { zoneOf } from '../shared/schedule.ts'
import { ScheduleEditor } from './schedule-editor.tsx'
import { useWords } from './schedule-words.ts'
import { TickTable } from './tick-table.tsx'

const TICKS = 20

/** The schedule in words with its next ticks, and a form to change it. */
export function ScheduleCard({ job }: { readonly job: Answer<'jobs.show'> }) {
  const words = useWords(job.schedule)
  const isOpen = isEdited('schedule')
  return (
    <Card
      title="Schedule"
      aside={
        <>
          {!isOpen && (
            <button type="button" onClick={() => setEdited('schedule', true)}>
              Change…
            </button>
          )}
          <ActionButton
            off={job.isOverridden ? undefined : 'the schedule of the code is in force'}
            action={clearSchedule(job.id)}
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
      {isOpen ? (
        <ScheduleEditor job={job} onEnd={() => setEdited('schedule', false)} />
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
