import { RUN_KINDS, RUN_STATES } from '../../run/run.ts'
import { get, type Item, part, type Query } from '../shared/api.ts'
import { EntryField } from '../shared/entry-field.tsx'
import { durationText } from '../shared/format.ts'
import { useTitle } from '../shared/layout.tsx'
import { useLoad } from '../shared/load.ts'
import { PageButtons, usePages } from '../shared/pages.tsx'
import { Card, Empty, Instant, Page, Shown, Table } from '../shared/parts.tsx'
import { query, setQuery } from '../shared/router.ts'
import { runMs } from '../shared/sparkline.tsx'
import { State } from '../shared/states.tsx'
import { InZoneOf } from '../shared/zones.tsx'
import { BulkActions } from './bulk-actions.tsx'

const PAGE = 100
const FILTERS = ['jobId', 'state', 'kind', 'error', 'from', 'to'] as const

/** Reads the filter from the page's address. */
export function filterOf(parameters: URLSearchParams): Query {
  return Object.fromEntries(FILTERS.map((name) => [name, parameters.get(name) ?? undefined]))
}

/** The runs that match the filter in the address, newest first. */
export function RunsPage() {
  useTitle('Runs')
  const filter = filterOf(query.value)
  const key = JSON.stringify(filter)
  return (
    <Page title="Runs" aside={<BulkActions filter={filter} />}>
      <Card title="Filter">
        <div class="fields row">
          <Field name="jobId" label="Job" />
          <Choice name="state" label="State" choices={RUN_STATES} />
          <Choice name="kind" label="Kind" choices={RUN_KINDS} />
          <Field name="error" label="Error contains" />
          <Field name="from" label="Requested from (UTC)" placeholder="2026-01-01T00:00:00Z" />
          <Field name="to" label="Requested before (UTC)" placeholder="2026-02-01T00:00:00Z" />
        </div>
      </Card>
      <Runs key={key} filter={filter} />
    </Page>
  )
}

function Field({
  name,
  label,
  placeholder,
}: {
  readonly name: (typeof FILTERS)[number]
  readonly label: string
  readonly placeholder?: string
}) {
  return (
    <label>
      {label}
      <EntryField
        value={query.value.get(name) ?? ''}
        placeholder={placeholder}
        onEntered={(entered) => setQuery({ [name]: entered, cursor: undefined })}
      />
    </label>
  )
}

function Choice({
  name,
  label,
  choices,
}: {
  readonly name: string
  readonly label: string
  readonly choices: readonly string[]
}) {
  return (
    <label>
      {label}
      <select
        value={query.value.get(name) ?? ''}
        onChange={({ currentTarget }) => setQuery({ [name]: currentTarget.value, cursor: undefined })}
      >
        <option value="">all</option>
        {choices.map((one) => (
          <option key={one}>{one}</option>
        ))}
      </select>
    </label>
  )
}

function Runs({ filter }: { readonly filter: Query }) {
  const pages = usePages()
  const { cursor } = pages
  const loaded = useLoad(`runs ${JSON.stringify(filter)} ${cursor}`, (signal) =>
    get<'runs.list'>('/runs', { ...filter, limit: PAGE, cursor }, signal),
  )
  return (
    <Card title="Runs">
      <Shown of={loaded}>
        {({ items, next }) => (
          <>
            {items.length === 0 ? <NoRuns /> : <RunTable runs={items} />}
            <PageButtons pages={pages} next={next} of="runs" />
          </>
        )}
      </Shown>
    </Card>
  )
}

function NoRuns() {
  return (
    <Empty title="No run matches">
      <p>
        <a href="/runs">Show all runs</a>, or start one from the page of a job.
      </p>
    </Empty>
  )
}

export function RunTable({ runs }: { readonly runs: readonly Item<'runs.list'>[] }) {
  return (
    <Table
      label="Runs"
      columns={[
        'Run',
        'Job',
        'State',
        'Kind',
        'Window or tick',
        'Started',
        { title: 'Took', isNumber: true },
        'Error or progress',
      ]}
    >
      {runs.map((run) => (
        <RunRow key={run.id} run={run} />
      ))}
    </Table>
  )
}

function RunRow({ run }: { readonly run: Item<'runs.list'> }) {
  const ms = runMs(run)
  return (
    <InZoneOf job={run.jobId}>
      <tr>
        <th scope="row">
          <a href={`/runs/${run.id}`}>{run.id}</a>
        </th>
        <td>
          <a href={`/jobs/${part(run.jobId)}`}>{run.jobId}</a>
        </td>
        <td>
          <State name={run.state} />
        </td>
        <td>{run.kind}</td>
        <td>
          <Instant at={run.window?.start ?? run.tick} />
        </td>
        <td>
          <Instant at={run.startedAt} />
        </td>
        <td class="number">{ms === undefined ? '—' : durationText(ms)}</td>
        <td class="wide">{run.error?.message.slice(0, 200) ?? run.reason ?? run.progress?.message ?? ''}</td>
      </tr>
    </InZoneOf>
  )
}
