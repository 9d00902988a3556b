import { BACKFILL_STATES } from '../../ledger/backfill.ts'
import { ActionButton } from '../actions/action.tsx'
import { BACKFILL_CHANGES, changeBackfill, offFor } from '../actions/of-backfills.ts'
import { type Answer, get, type Item, part } from '../shared/api.ts'
import { durationText, numberText } from '../shared/format.ts'
import { useTitle } from '../shared/layout.tsx'
import { useLoad } from '../shared/load.ts'
import { Card, Empty, Instant, Page, Shown, Table } from '../shared/parts.tsx'
import { PageButtons, usePages } from '../shared/pages.tsx'
import { RangeCalendar } from '../calendar/range-calendar.tsx'
import { query, setQuery } from '../shared/router.ts'
import { State } from '../shared/states.tsx'
import { InZoneOf } from '../shared/zones.tsx'
import { CreateBackfill } from './create-backfill.tsx'

type Backfill = Answer<'backfills.show'>

const PAGE = 50

/** The list of backfills, newest first, with a form for a new one. */
export function BackfillsPage() {
  useTitle('Backfills')
  const state = query.value.get('state') ?? undefined
  const jobId = query.value.get('jobId') ?? undefined
  const pages = usePages()
  const { cursor } = pages
  const loaded = useLoad(`backfills ${state} ${jobId} ${cursor}`, (signal) =>
    get<'backfills.list'>('/backfills', { state, jobId, cursor, limit: PAGE }, signal),
  )
  return (
    <Page title="Backfills">
      <CreateBackfill />
      <Card
        title="Backfills"
        aside={
          <label class="search">
            State
            <select
              value={state ?? ''}
              onChange={({ currentTarget }) => setQuery({ state: currentTarget.value, cursor: undefined })}
            >
              <option value="">all</option>
              {BACKFILL_STATES.map((one) => (
                <option key={one}>{one}</option>
              ))}
            </select>
          </label>
        }
      >
        <Shown of={loaded}>
          {({ items, next }) =>
            items.length === 0 ? (
              <Empty title="No backfill">
                <p>A backfill runs the windows of a range again, in the background. Choose a job and a range above.</p>
              </Empty>
            ) : (
              <>
                <BackfillTable items={items} />
                <PageButtons pages={pages} next={next} of="backfills" />
              </>
            )
          }
        </Shown>
      </Card>
    </Page>
  )
}

function BackfillTable({ items }: { readonly items: readonly Item<'backfills.list'>[] }) {
  return (
    <Table label="Backfills with their progress" columns={['Backfill', 'Job', 'State', 'Range', 'Progress', 'Left']}>
      {items.map((one) => (
        <tr key={one.id}>
          <th scope="row">
            <a href={`/backfills/${one.id}`}>{one.id}</a>
          </th>
          <td>
            <a href={`/jobs/${part(one.jobId)}`}>{one.jobId}</a>
          </td>
          <td>
            <State name={one.state} />
          </td>
          <td>
            <InZoneOf job={one.jobId}>
              <Instant at={one.from} /> to <Instant at={one.to} />
            </InZoneOf>
          </td>
          <td>
            <Progress backfill={one} />
          </td>
          <td>{one.etaMs === undefined ? '—' : durationText(one.etaMs)}</td>
        </tr>
      ))}
    </Table>
  )
}

function Progress({ backfill: { id, done, total, failed } }: { readonly backfill: Backfill }) {
  return (
    <>
      <progress aria-label={`Progress of backfill ${id}`} value={done} max={Math.max(1, total)} /> {numberText(done)} of{' '}
      {numberText(total)}
      {failed > 0 && <span class="bad">, {numberText(failed)} failed</span>}
    </>
  )
}

/** One backfill with its progress. */
export function BackfillPage({ id }: { readonly id: string }) {
  useTitle(`Backfill ${id}`)
  const loaded = useLoad(`backfill ${id}`, (signal) => get<'backfills.show'>(`/backfills/${part(id)}`, {}, signal))
  const shown = loaded.data
  return (
    <Page
      title={
        <>
          Backfill {id} {shown && <State name={shown.state} />}
        </>
      }
      aside={shown && <Changes backfill={shown} />}
    >
      <Shown of={loaded}>
        {(backfill) => (
          <InZoneOf job={backfill.jobId}>
            <Card
              title={`Backfill of ${backfill.jobId}`}
              aside={
                <a href={`/jobs/${part(backfill.jobId)}?year=${backfill.from.slice(0, 4)}`}>Calendar of the job</a>
              }
            >
              <p>
                <Progress backfill={backfill} />
                {backfill.ratePerSecond !== undefined && `, ${backfill.ratePerSecond.toFixed(1)} windows a second`}
                {backfill.etaMs !== undefined && `, about ${durationText(backfill.etaMs)} left`}
              </p>
              <dl class="facts">
                {(
                  [
                    'queued',
                    'running',
                    'waiting',
                    'succeeded',
                    'failed',
                    'cancelled',
                    'passed',
                    'parallel',
                    'priority',
                    'only',
                    'order',
                  ] as const
                ).map((name) => (
                  <div key={name}>
                    <dt>{name}</dt>
                    <dd>{backfill[name]}</dd>
                  </div>
                ))}
                <div>
                  <dt>range</dt>
                  <dd>
                    <Instant at={backfill.from} /> to <Instant at={backfill.to} />
                  </dd>
                </div>
                <div>
                  <dt>created</dt>
                  <dd>
                    <Instant at={backfill.createdAt} away />
                  </dd>
                </div>
              </dl>
              <RangeCalendar jobId={backfill.jobId} from={backfill.from} to={backfill.to} />
              <p>
                <a href={`/runs?jobId=${part(backfill.jobId)}&kind=backfill`}>Its runs</a>
              </p>
            </Card>
          </InZoneOf>
        )}
      </Shown>
    </Page>
  )
}

function Changes({ backfill: { id, state } }: { readonly backfill: Backfill }) {
  return (
    <>
      {BACKFILL_CHANGES.map((change) => (
        <ActionButton key={change} off={offFor(change, state)} action={changeBackfill(id, change)}>
          {change}…
        </ActionButton>
      ))}
    </>
  )
}
