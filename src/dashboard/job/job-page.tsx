import './job.css'
import { Calendar } from '../calendar/calendar.tsx'
import { RunTable } from '../runs/runs-page.tsx'
import { ActionButton } from '../actions/action.tsx'
import { pauseJob, resumeJob } from '../actions/of-jobs.ts'
import { type Answer, get, part } from '../shared/api.ts'
import { countsText } from '../shared/window-states.ts'
import { useTitle } from '../shared/layout.tsx'
import { useLoad } from '../shared/load.ts'
import { Card, Empty, Instant, Page, Shown } from '../shared/parts.tsx'
import { zoneOf } from '../shared/schedule.ts'
import { State } from '../shared/states.tsx'
import { InZone } from '../shared/zones.tsx'
import { Config } from './config.tsx'
import { DurationsCard } from './durations-card.tsx'
import { GraphCard } from './graph-card.tsx'
import { LimitsCard } from './limits-card.tsx'
import { ScheduleCard } from './schedule-card.tsx'
import { StartRun } from './start-run.tsx'
import { WhyCard } from './why-card.tsx'

type Job = Answer<'jobs.show'>

const LAST_RUNS = 15

/** One job: its schedule, why it ran or did not run, its windows, runs and config. */
export function JobPage({ id }: { readonly id: string }) {
  useTitle(id)
  const loaded = useLoad(`job ${id}`, (signal) => get<'jobs.show'>(`/jobs/${part(id)}`, {}, signal))
  const job = loaded.data
  return (
    <Page
      title={
        <>
          {id} {job && <State name={job.state} />}
        </>
      }
      aside={job && <Pause job={job} />}
    >
      <Shown of={loaded}>{(shown) => <Details job={shown} />}</Shown>
    </Page>
  )
}

function Pause({ job: { id, state } }: { readonly job: Job }) {
  const isPaused = state === 'paused'
  return <ActionButton action={isPaused ? resumeJob(id) : pauseJob(id)}>{isPaused ? 'Resume…' : 'Pause…'}</ActionButton>
}

function Details({ job }: { readonly job: Job }) {
  const hasWindows = job.windows !== null && job.windows !== undefined
  return (
    <InZone zone={zoneOf(job.schedule)}>
      {job.description !== undefined && <p class="quiet">{job.description}</p>}
      {job.problem !== undefined && (
        <p class="failure" role="alert">
          The stored schedule cannot be read: {job.problem}
        </p>
      )}
      {hasWindows && <Windows jobId={job.id} />}
      <div class="columns">
        <ScheduleCard job={job} />
        <div>
          <WhyCard jobId={job.id} />
          <StartRun jobId={job.id} hasWindows={hasWindows} />
          <LimitsCard jobId={job.id} />
        </div>
      </div>
      {hasWindows && <GraphCard jobId={job.id} />}
      <LastRuns jobId={job.id} />
      <DurationsCard jobId={job.id} />
      <Config jobId={job.id} />
    </InZone>
  )
}

function Windows({ jobId }: { readonly jobId: string }) {
  const loaded = useLoad(`ledger ${jobId}`, (signal) =>
    get<'windows.summary'>(`/jobs/${part(jobId)}/windows/summary`, {}, signal),
  )
  return (
    <>
      <Card title="Ledger">
        <Shown of={loaded}>
          {({ counts, start, watermark, end, unrun }) => (
            <dl class="facts">
              <Fact name="Windows">{countsText(counts)}</Fact>
              <Fact name="First">
                <Instant at={start} />
              </Fact>
              <Fact name="Complete until (watermark)">
                <Instant at={watermark} away />
              </Fact>
              <Fact name="Planned until">
                <Instant at={end} />
              </Fact>
              {unrun.length > 0 && <Fact name="Parts without windows">{unrun.length}</Fact>}
            </dl>
          )}
        </Shown>
      </Card>
      <Shown of={loaded}>{({ start, end }) => <Calendar jobId={jobId} years={yearsOf(start, end)} />}</Shown>
    </>
  )
}

function yearsOf(start: string | undefined, end: string | undefined) {
  if (start === undefined || end === undefined) return undefined
  return { first: new Date(start).getUTCFullYear(), last: new Date(Date.parse(end) - 1).getUTCFullYear() }
}

function Fact({ name, children }: { readonly name: string; readonly children: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  )
}

function LastRuns({ jobId }: { readonly jobId: string }) {
  const loaded = useLoad(`last ${jobId}`, (signal) => get<'runs.list'>('/runs', { jobId, limit: LAST_RUNS }, signal))
  return (
    <Card title="Last runs" aside={<a href={`/runs?jobId=${part(jobId)}`}>All runs</a>}>
      <Shown of={loaded}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="It has never run">
              <p>Start a run above, or wait for its next tick.</p>
            </Empty>
          ) : (
            <RunTable runs={items} />
          )
        }
      </Shown>
    </Card>
  )
}
