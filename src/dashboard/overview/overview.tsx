import { get, type Item, limitedTo, part } from '../shared/api.ts'
import { durationText, instantIn, numberText } from '../shared/format.ts'
import { useTitle } from '../shared/layout.tsx'
import { useLoad } from '../shared/load.ts'
import { useGradually } from '../shared/gradually.tsx'
import { now } from '../shared/live.ts'
import { Card, Empty, Instant, Page, Shown, Table } from '../shared/parts.tsx'
import { query, setQuery } from '../shared/router.ts'
import { zoneOf } from '../shared/schedule.ts'
import { Sparkline } from '../shared/sparkline.tsx'
import { State } from '../shared/states.tsx'
import { InZone } from '../shared/zones.tsx'
import { FleetStrip } from './fleet.tsx'

type Job = Item<'jobs.overview'>
type Capped = Job['queued']

const MAX_JOBS = 500
const SPARK_RUNS = 12

interface Row {
  readonly job: Job
  readonly lateMs: number
}

/** All jobs with their health. Late and failing jobs come first. */
export function Overview() {
  useTitle('Overview')
  const search = query.value.get('search') ?? ''
  const loaded = useLoad(`overview ${search}`, (signal) =>
    get<'jobs.overview'>('/overview', { limit: MAX_JOBS, runs: SPARK_RUNS, search, order: 'attention' }, signal),
  )
  const aside = (
    <label class="search">
      <span>Find a job</span>
      <input type="search" value={search} onInput={({ currentTarget }) => setQuery({ search: currentTarget.value })} />
    </label>
  )
  return (
    <Page title="Overview" aside={aside}>
      {!limitedTo.value && <FleetStrip />}
      <Card title="Jobs">
        <Shown of={loaded}>
          {({ items, next }) => (
            <>
              {items.length === 0 ? <NoJobs search={search} /> : <JobTable rows={rowsOf(items)} search={search} />}
              {next !== undefined && (
                <p class="note">
                  Only {MAX_JOBS} jobs are shown: late ones first, then those with failures. Type a part of an id to
                  find others.
                </p>
              )}
            </>
          )}
        </Shown>
      </Card>
    </Page>
  )
}

/** Sorts the jobs: by the time for which they are late, the longest first, then by failures, the most first, then by id. */
function rowsOf(jobs: readonly Job[]): Row[] {
  const at = now.peek().getTime()
  const rows = jobs.map((job) => {
    const tickMs = job.state === 'active' && job.nextTick !== undefined ? at - Date.parse(job.nextTick) : 0
    return { job, lateMs: Math.max(0, tickMs, job.ledger?.lagMs ?? 0) }
  })
  return rows.sort(
    (one, other) =>
      other.lateMs - one.lateMs ||
      other.job.failed.count - one.job.failed.count ||
      one.job.id.localeCompare(other.job.id),
  )
}

function JobTable({ rows: all, search }: { readonly rows: readonly Row[]; readonly search: string }) {
  const { rows, end } = useGradually(all, search)
  return (
    <Table
      label="Jobs with their health"
      columns={[
        ...['Job', 'State', 'Last runs', 'Last', 'Next tick', 'Complete until', 'Late'],
        { title: 'Waiting', isNumber: true },
        { title: 'Failed in 24 h', isNumber: true },
      ]}
    >
      {rows.map((row) => (
        <JobRow key={row.job.id} {...row} />
      ))}
      {end}
    </Table>
  )
}

function JobRow({ job, lateMs }: Row) {
  const [last] = job.lastRuns
  const zone = zoneOf(job.schedule)
  const runs = job.lastRuns.toReversed()
  return (
    <InZone zone={zone}>
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
          <Instant at={job.nextTick} away />
          {job.nextTick !== undefined && zone !== undefined && zone !== 'UTC' && (
            <span class="under">
              {instantIn(new Date(job.nextTick), zone)} {zone}
            </span>
          )}
        </td>
        <td>{job.ledger ? <Instant at={job.ledger.watermark} /> : <span class="quiet">—</span>}</td>
        <td>
          {lateMs > 0 ? (
            <a class="bad" href={`/why/${part(job.id)}`}>
              {durationText(lateMs)}
            </a>
          ) : (
            <span class="quiet">—</span>
          )}
        </td>
        <td class="number">
          <Counted of={job.queued} href={`/runs?jobId=${part(job.id)}&state=queued`} />
          {job.ledger && job.ledger.open.count > 0 && <span class="under">{cappedText(job.ledger.open)} windows</span>}
        </td>
        <td class="number">
          <Counted of={job.failed} href={`/runs?jobId=${part(job.id)}&state=failed`} isBad />
        </td>
      </tr>
    </InZone>
  )
}

function Counted({
  of,
  href,
  isBad = false,
}: {
  readonly of: Capped
  readonly href: string
  readonly isBad?: boolean
}) {
  if (of.count === 0) return <>0</>
  return (
    <a class={isBad ? 'bad' : ''} href={href}>
      {cappedText(of)}
    </a>
  )
}

function cappedText({ count, isExact }: Capped): string {
  return isExact ? numberText(count) : `${numberText(count)}+`
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
