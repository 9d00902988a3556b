import { ActionButton } from '../actions/action.tsx'
import { dropDead, replayDead } from '../actions/of-fleet.ts'
import { get, type Item, part } from '../shared/api.ts'
import { numberText } from '../shared/format.ts'
import { useLoad } from '../shared/load.ts'
import { Card, Instant, Shown, Table } from '../shared/parts.tsx'
import { PageButtons, usePages } from '../shared/pages.tsx'
import { InZoneOf } from '../shared/zones.tsx'

type Sink = Item<'sinks.list'>

const SHOWN_ROWS = 20

/** Sinks whose rows did not arrive: the target refused them, they are still on disk, or their file is damaged. */
export function Sinks() {
  const pages = usePages('dead')
  const { cursor } = pages
  const loaded = useLoad(`sinks ${cursor}`, async (signal) => ({
    sinks: (await get<'sinks.list'>('/sinks', {}, signal)).items,
    dead: await get<'sinks.dead'>('/sinks/dead', { limit: SHOWN_ROWS, cursor }, signal),
  }))
  return (
    <Card title="Sinks">
      <Shown of={loaded}>
        {({ sinks, dead }) =>
          sinks.length === 0 ? (
            <p class="quiet">Every row has arrived: no sink has refused rows, rows on disk or damaged files.</p>
          ) : (
            <>
              <Table
                label="Sinks with rows that did not arrive"
                columns={['Sink', { title: 'Refused rows', isNumber: true }, 'Oldest', 'On disk', 'Damaged', 'Actions']}
              >
                {sinks.map((sink) => (
                  <SinkRow key={sink.sink} sink={sink} />
                ))}
              </Table>
              {dead.items.length > 0 && <DeadRows rows={dead.items} />}
              <PageButtons pages={pages} next={dead.next} of="refused rows" words={['Older', 'Newer']} />
            </>
          )
        }
      </Shown>
    </Card>
  )
}

function SinkRow({ sink }: { readonly sink: Sink }) {
  const { deadRows, oldestDead, spilledRows, files } = sink
  const off = deadRows === 0 ? 'it has no refused rows' : undefined
  return (
    <tr>
      <th scope="row">{sink.sink}</th>
      <td class="number">{numberText(deadRows)}</td>
      <td>
        <Instant at={oldestDead} away />
      </td>
      <td>{numberText(spilledRows)} rows</td>
      <td>{files.damaged.length === 0 ? '0' : <span class="bad">{files.damaged.join(', ')}</span>}</td>
      <td>
        <div class="row">
          <ActionButton off={off} action={replayDead(sink)}>
            Deliver again…
          </ActionButton>
          <ActionButton off={off} action={dropDead(sink)}>
            Delete…
          </ActionButton>
        </div>
      </td>
    </tr>
  )
}

function DeadRows({ rows }: { readonly rows: readonly Item<'sinks.dead'>[] }) {
  return (
    <>
      <h3>Refused rows, oldest first</h3>
      <Table label="Refused rows" columns={['Sink', 'Job', 'Run', 'When', 'Reason', 'Row']}>
        {rows.map(({ id, sink, jobId, runId, diedAt, reason, content }) => (
          <tr key={id}>
            <th scope="row">{sink}</th>
            <td>
              <a href={`/jobs/${part(jobId)}`}>{jobId}</a>
            </td>
            <td>
              <a href={`/runs/${runId}`}>{runId}</a>
            </td>
            <td>
              <InZoneOf job={jobId}>
                <Instant at={diedAt} />
              </InZoneOf>
            </td>
            <td class="reason">{reason}</td>
            <td class="wide" title={content.slice(0, 2_000)}>
              {content.slice(0, 200)}
            </td>
          </tr>
        ))}
      </Table>
    </>
  )
}
