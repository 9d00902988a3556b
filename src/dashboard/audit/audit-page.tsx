import { get, type Item, part } from '../shared/api.ts'
import { EntryField } from '../shared/entry-field.tsx'
import { jsonText } from '../shared/format.ts'
import { useTitle } from '../shared/layout.tsx'
import { useLoad } from '../shared/load.ts'
import { PageButtons, usePages } from '../shared/pages.tsx'
import { Card, Empty, Instant, Page, Shown, Table } from '../shared/parts.tsx'
import { query, setQuery } from '../shared/router.ts'
import { InZoneOf } from '../shared/zones.tsx'

type Change = Item<'audit.list'>

const PAGE = 100
const OUTCOMES = ['done', 'started', 'unknown'] as const
const FILTERS = [
  ['verb', 'Change', 'jobs.pause'],
  ['jobId', 'Job', 'a job id'],
  ['actor', 'By', 'a token, or user@host'],
] as const

/** Every change by a person or program: who, what, when, why, and the states before and after. */
export function AuditPage() {
  useTitle('Audit')
  const pages = usePages()
  const given = (name: string): string | undefined => query.value.get(name) ?? undefined
  const filter = { verb: given('verb'), jobId: given('jobId'), actor: given('actor'), outcome: given('outcome') }
  const after = pages.cursor
  const loaded = useLoad(`audit ${JSON.stringify(filter)} ${after}`, (signal) =>
    get<'audit.list'>('/audit', { ...filter, limit: PAGE, cursor: after }, signal),
  )
  const choose = (changes: Readonly<Record<string, string>>): void => {
    pages.restart()
    setQuery(changes)
  }
  return (
    <Page title="Audit">
      <Card
        title="Changes"
        aside={
          <>
            {FILTERS.map(([name, label, example]) => (
              <label key={name} class="search">
                {label}
                <EntryField
                  value={filter[name] ?? ''}
                  placeholder={example}
                  onEntered={(entered) => choose({ [name]: entered })}
                />
              </label>
            ))}
            <label class="search">
              Outcome
              <select
                value={filter.outcome ?? ''}
                onChange={({ currentTarget }) => choose({ outcome: currentTarget.value })}
              >
                <option value="">all</option>
                {OUTCOMES.map((one) => (
                  <option key={one}>{one}</option>
                ))}
              </select>
            </label>
          </>
        }
      >
        <Shown of={loaded}>
          {({ items, next }) => (
            <>
              {items.length === 0 ? <NoChanges /> : <ChangeTable changes={items} />}
              <PageButtons pages={pages} next={next} of="changes" />
            </>
          )}
        </Shown>
      </Card>
    </Page>
  )
}

function NoChanges() {
  return (
    <Empty title="No change matches">
      <p>
        Each change through this page, the API, the command line or code is kept here with its reason.{' '}
        <a href="/audit">Show all changes</a>
      </p>
    </Empty>
  )
}

function ChangeTable({ changes }: { readonly changes: readonly Change[] }) {
  return (
    <Table label="Changes" columns={['When', 'Who', 'Change', 'Of', 'Why', 'Outcome', 'States']}>
      {changes.map((change) => (
        <ChangeRow key={change.id} change={change} />
      ))}
    </Table>
  )
}

function ChangeRow({
  change: { id, verb, actor, jobId, target, reason, request, before, after, outcome, errorCode, beganAt },
}: {
  readonly change: Change
}) {
  const states = [
    ['request', request],
    ['before', before],
    ['after', after],
  ].filter(([, value]) => value !== undefined)
  return (
    <tr>
      <td>
        <InZoneOf job={jobId}>
          <Instant at={beganAt} />
        </InZoneOf>
      </td>
      <th scope="row">
        {actor.name} <span class="under">{actor.kind}</span>
      </th>
      <td>{verb}</td>
      <td>
        {jobId !== undefined && <a href={`/jobs/${part(jobId)}`}>{jobId}</a>} {target}
      </td>
      <td class="reason">{reason ?? <span class="quiet">—</span>}</td>
      <td class={errorCode === undefined ? '' : 'bad'}>
        {outcome} {errorCode}
      </td>
      <td>
        {states.length > 0 && (
          <details>
            <summary>
              show states <span class="sr">of change {id}</span>
            </summary>
            {states.map(([name, value]) => (
              <pre key={name} class="block">
                {`${String(name)}: ${jsonText(value)}`}
              </pre>
            ))}
          </details>
        )}
      </td>
    </tr>
  )
}
