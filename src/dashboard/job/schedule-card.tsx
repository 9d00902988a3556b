import { useEffect, useState } from 'preact/hooks'
import { type Answer, get, part } from '../shared/api.ts'
import { durationText } from '../shared/format.ts'
import { useLoad } from '../shared/load.ts'
import { Block, Card, Shown } from '../shared/parts.tsx'
import { zoneOf } from '../shared/schedule.ts'
import { jsonText } from '../shared/format.ts'

const TICKS = 20

/** The schedule in words, and its next ticks. */
export function ScheduleCard({ job }: { readonly job: Answer<'jobs.show'> }) {
  const words = useWords(job.schedule)
  return (
    <Card title="Schedule">
      <p>
        {words}
        {zoneOf(job.schedule) !== undefined && <span class="quiet"> ({zoneOf(job.schedule)})</span>}
      </p>
      {job.isOverridden && <p class="note">It is overridden here; the code has another one.</p>}
      {job.schedule !== null && (
        <>
          <details>
            <summary>As stored</summary>
            <Block label="Schedule as stored" text={jsonText(job.schedule)} />
          </details>
          <Ticks jobId={job.id} />
        </>
      )}
    </Card>
  )
}

function Ticks({ jobId }: { readonly jobId: string }) {
  const loaded = useLoad(`ticks ${jobId}`, (signal) =>
    get<'schedules.preview'>(`/jobs/${part(jobId)}/ticks`, { count: TICKS }, signal),
  )
  return (
    <Shown of={loaded}>
      {({ ticks }) =>
        ticks.length === 0 ? (
          <p class="quiet">No further tick.</p>
        ) : (
          <div class="scroll ticks" tabIndex={0} role="region" aria-label={`The next ${ticks.length} ticks`}>
            <table>
              <thead>
                <tr>
                  <th scope="col">Next ticks, local</th>
                  <th scope="col">UTC</th>
                </tr>
              </thead>
              <tbody>
                {ticks.map(({ at, local, offset, transition }) => (
                  <tr key={at}>
                    <td>
                      {local.replace('T', ' ')} <span class="quiet">{offset}</span>
                      {transition !== null && (
                        <strong class="under">
                          {transition === 'gap'
                            ? '⚠ this local time does not exist that day'
                            : '⚠ this local time occurs twice that day'}
                        </strong>
                      )}
                    </td>
                    <td>{at.slice(0, 19).replace('T', ' ')}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )
      }
    </Shown>
  )
}

/** A schedule as a sentence. */
function useWords(schedule: unknown): string {
  const [words, setWords] = useState('…')
  const text = JSON.stringify(schedule ?? null)
  useEffect(() => {
    let isCurrent = true
    void wordsOf(schedule).then((found) => isCurrent && setWords(found))
    return () => {
      isCurrent = false
    }
  }, [text])
  return words
}

async function wordsOf(schedule: unknown): Promise<string> {
  if (typeof schedule !== 'object' || schedule === null) return 'It runs only on request.'
  if ('cron' in schedule && typeof schedule.cron === 'string') {
    const { default: cronstrue } = await import('cronstrue')
    return cronstrue.toString(schedule.cron, { throwExceptionOnParseError: false, use24HourTimeFormat: true })
  }
  if ('everyMs' in schedule && typeof schedule.everyMs === 'number') return `Every ${durationText(schedule.everyMs)}`
  if ('every' in schedule) return `Every ${String(schedule.every)}`
  if ('at' in schedule) return `Once, at ${String(schedule.at)}`
  return 'See below.'
}
