import { type Answer, get, type Item, part } from '../shared/api.ts'
import { durationText } from '../shared/format.ts'
import { useTitle } from '../shared/layout.tsx'
import { useLoad } from '../shared/load.ts'
import { now } from '../shared/live.ts'
import { Card, Empty, Instant, Page, Shown, Table } from '../shared/parts.tsx'
import { query, setQuery } from '../shared/router.ts'
import { zoneOf } from '../shared/schedule.ts'
import { Sparkline } from '../shared/sparkline.tsx'
import { State } from '../shared/states.tsx'
import { FleetStrip } from './fleet.tsx'

type Job = Item<'jobs.list'>
type Run = Item<'runs.list'>

const MAX_JOBS = 500
const RECENT_RUNS = 500
const SPARK_RUNS = 20
const DAY_MS = 86_400_000

interface Row {
  readonly job: Job
  readonly runs: readonly Run[]
  readonly failedToday: number
  readonly lateMs: number
}

/** All jobs with their health; late and failing ones first. */
export function Overview() {
  useTitle('Overview')
  const search = query.value.get('search') ?? ''
  const loaded = useLoad(`overview ${search}`, async (signal) => {
    const [jobs, runs, summary] = await Promise.all([
      get<'jobs.list'>('/jobs', { limit: MAX_JOBS, search }, signal),
      get<'runs.list'>('/runs', { limit: RECENT_RUNS }, signal),
      get<'runs.summary'>('/metrics/summary', {}, signal),
    ])
    return { jobs, summary, rows: rowsOf(jobs.items, runs.items, summary) }
  })
  const aside = (
    <label class="search">
      <span>Find a job</span>
      <input type="search" value={search} onInput={({ currentTarget }) => setQuery({ search: currentTarget.value })} />
    </label>
  )
  return (
    <Page title="Overview" aside={aside}>
      <FleetStrip summary={loaded.data?.summary} />
      <Card title="Jobs">
        <Shown of={loaded}>
          {({ rows, jobs }) => (
            <>
              {rows.length === 0 ? <NoJobs search={search} /> : <JobTable rows={rows} />}
              {jobs.next !== undefined && (
                <p class="note">Only the first {MAX_JOBS} jobs are shown. Type a part of an id to find others.</p>
              )}
            </>
          )}
        </Shown>
      </Card>
    </Page>
  )
}

/** Late data first, then failures, then by id. */
function rowsOf(jobs: readonly Job[], runs: readonly Run[], { windows }: Answer<'runs.summary'>): Row[] {
  const at = now.peek().getTime()
  const lags = new Map(windows.map(({ jobId, lagMs }) => [jobId, lagMs]))
  const ofJob = Map.groupBy(runs, ({ jobId }) => jobId)
  const rows = jobs.map((job) => {
    const own = ofJob.get(job.id) ?? []
    const failedToday = own.filter(
      ({ state, finishedAt }) => state === 'failed' && finishedAt !== undefined && Date.parse(finishedAt) > at - DAY_MS,
    ).length
    const tickMs = job.state === 'active' && job.nextTick !== undefined ? at - Date.parse(job.nextTick) : 0
    const lateMs = Math.max(0, tickMs, lags.get(job.id) ?? 0)
    return { job, runs: own.slice(0, SPARK_RUNS).reverse(), failedToday, lateMs }
  })
  return rows.sort(
    (one, other) =>
      other.lateMs - one.lateMs || other.failedToday - one.failedToday || one.job.id.localeCompare(other.job.id),
  )
}

function JobTable({ rows }: { readonly rows: readonly Row[] }) {
  return (
    <Table
      label="Jobs with their health"
      columns={['Job', 'State', 'Last runs', 'Last', 'Next tick', 'Late', { title: 'Failed in 24 h', isNumber: true }]}
    >
      {rows.map((row) => (
        <JobRow key={row.job.id} {...row} />
      ))}
    </Table>
  )
}

function JobRow({ job, runs, failedToday, lateMs }: Row) {
  const last = runs.at(-1)
  const zone = zoneOf(job.schedule)
  return (
    <tr>
      <th scope="row">
        <a href={`/jobs/${part(job.id)}`}>{job.id}</a>
        {job.description !== undefined && <span class="under">{job.description}</span>}
      </th>
      <td>
        <State name={job.state} />
        {job.problem !== undefined && <span class="under bad">{job.problem}</span>}
      </td>
      <td>
        {runs.length > 0 ? <Sparkline runs={runs} length={SPARK_RUNS} /> : <span class="quiet">no recent run</span>}
      </td>
      <td>
        {last && (
          <a href={`/runs/${last.id}`}>
            <State name={last.state} />
          </a>
        )}
      </td>
      <td>
        <Instant at={job.nextTick} zone={zone} away />
      </td>
      <td>{lateMs > 0 ? <span class="bad">{durationText(lateMs)}</span> : <span class="quiet">—</span>}</td>
      <td class="number">
        {failedToday > 0 ? (
          <a class="bad" href={`/runs?jobId=${part(job.id)}&state=failed`}>
            {failedToday}
          </a>
        ) : (
          '0'
        )}
      </td>
    </tr>
  )
}

function NoJobs({ search }: { readonly search: string }) {
  if (search !== '') {
    return (
      <Empty title={`No job id contains "${search}"`}>
        <button type="button" onClick={() => setQuery({ search: '' })}>
          Show all jobs
        </button>
      </Empty>
    )
  }
  return (
    <Empty title="No jobs yet">
      <p>A job appears here when the first node starts with it. Write one, then start a node:</p>
      <pre class="block">{`// jobs/hello.ts
import { defineJob } from 'piko'
export const hello = defineJob({ id: 'hello', every: '10s' }, (ctx) => ctx.log.info('hello'))

npx piko start`}</pre>
    </Empty>
  )
}
