import { ActionButton } from '../actions/action.tsx'
import { cancelRun, replayRun } from '../actions/of-runs.tsx'
import { type Answer, get, part } from '../shared/api.ts'
import { durationText, jsonText } from '../shared/format.ts'
import { useTitle } from '../shared/layout.tsx'
import { useLoad } from '../shared/load.ts'
import { Block, Card, Copy, Instant, Page, Shown } from '../shared/parts.tsx'
import { isEdited, setEdited } from '../shared/reveal.ts'
import { State } from '../shared/states.tsx'
import { cliText, curlText } from '../actions/command.ts'
import { InZoneOf } from '../shared/zones.tsx'
import { Upstream, useConfigInForce } from './around.tsx'
import { Logs } from './logs.tsx'
import './run.css'
import { RunAgain } from './run-again.tsx'
import { Timeline } from './timeline.tsx'

type Run = Answer<'runs.show'>

/** One run: its history, why it ran, and what can be done. */
export function RunPage({ id }: { readonly id: string }) {
  useTitle(`Run ${id}`)
  const loaded = useLoad(`run ${id}`, (signal) => get<'runs.show'>(`/runs/${part(id)}`, {}, signal))
  const run = loaded.data
  return (
    <InZoneOf job={run?.jobId}>
      <Page
        title={
          <>
            Run {id} {run && <State name={run.state} />}
          </>
        }
        aside={run && <Actions run={run} />}
      >
        <Shown of={loaded}>{(shown) => <Details run={shown} />}</Shown>
      </Page>
    </InZoneOf>
  )
}

function Actions({ run }: { readonly run: Run }) {
  const { id } = run
  const isOpen = run.state === 'queued' || run.state === 'running'
  const canReplay = run.state === 'failed' || run.state === 'cancelled'
  const request = { method: 'GET', path: `/runs/${id}` } as const
  return (
    <>
      <ActionButton
        off={isOpen ? undefined : `the run has ended: ${run.state}`}
        action={cancelRun(
          id,
          run.state === 'queued'
            ? 'The queued run ends immediately and never starts.'
            : 'Its node aborts the handler within two seconds. The run is not retried.',
        )}
      >
        Cancel…
      </ActionButton>
      <ActionButton
        off={canReplay ? undefined : `only failed and cancelled runs can be replayed; this one is ${run.state}`}
        action={replayRun(id, <ReplayEffect run={run} />)}
      >
        Replay…
      </ActionButton>
      <Copy label="Copy as CLI" text={cliText(['runs', 'show', id])} />
      <Copy label="Copy as curl" text={curlText(request)} />
    </>
  )
}

function ReplayEffect({ run }: { readonly run: Run }) {
  return (
    <ul>
      <li>The run goes back to the queue as new, with the same input.</li>
      {run.window && (
        <li>
          Its window that begins at{' '}
          <InZoneOf job={run.jobId}>
            <Instant at={run.window.start} />
          </InZoneOf>{' '}
          becomes pending.
        </li>
      )}
      {run.steps.length > 0 && <li>{run.steps.length} stored steps are kept: they do not run again.</li>}
      <li>Its {run.attempts.length} attempts stay in the history.</li>
    </ul>
  )
}

function Details({ run }: { readonly run: Run }) {
  const inForce = useConfigInForce(run)
  const isAgain = isEdited('again')
  return (
    <>
      <section class="strip" aria-label="Facts">
        <dl>
          <Fact name="Job">
            <a href={`/jobs/${part(run.jobId)}`}>{run.jobId}</a>
          </Fact>
          <Fact name="Kind">{run.kind}</Fact>
          {run.tick !== undefined && (
            <Fact name="Tick">
              <Instant at={run.tick} />
            </Fact>
          )}
          {run.window && (
            <Fact name="Window">
              <a href={windowPath(run.jobId, run.window.start)}>
                <Instant at={run.window.start} /> to <Instant at={run.window.end} />
              </a>
            </Fact>
          )}
          <Fact name="Due">
            <Instant at={run.runAt} away />
          </Fact>
          <Fact name="Priority">{run.priority}</Fact>
          {run.nodeId !== undefined && <Fact name="Node">{run.nodeId}</Fact>}
          {run.backfillId !== undefined && (
            <Fact name="Backfill">
              <a href={`/backfills/${run.backfillId}`}>{run.backfillId}</a>
            </Fact>
          )}
          {run.state === 'queued' && (
            <Fact name="Why?">
              <a href={`/why/${part(run.jobId)}${run.tick === undefined ? '' : `?at=${encodeURIComponent(run.tick)}`}`}>
                Why does it wait?
              </a>
            </Fact>
          )}
          {run.reason !== undefined && <Fact name="Reason">{run.reason}</Fact>}
          {run.cancelRequestedAt !== undefined && (
            <Fact name="Cancel requested">
              <Instant at={run.cancelRequestedAt} />
            </Fact>
          )}
        </dl>
        {run.progress && <Progress progress={run.progress} />}
      </section>
      {run.error && (
        <Card title={`Error: ${run.error.name}${run.error.code === undefined ? '' : ` (${run.error.code})`}`}>
          <Block label="Error" text={run.error.stack ?? run.error.message} />
        </Card>
      )}
      <Card title="Attempts">
        <Timeline run={run} />
      </Card>
      <Logs runId={run.id} isRunning={run.state === 'running'} />
      {isAgain && <RunAgain run={run} onDiscard={() => setEdited('again', false)} />}
      <div class="columns">
        <Value name="Input" value={run.input} none="This run has no input.">
          {!isAgain && (
            <button type="button" class="small" onClick={() => setEdited('again', true)}>
              Run again with other input
            </button>
          )}
        </Value>
        <Value
          name="Output"
          value={run.output}
          none={run.state === 'succeeded' ? 'The handler returned nothing.' : 'There is none yet.'}
        />
        <Value name={inForce.name} value={inForce.value} none="It uses the defaults of the schema." />
      </div>
      {run.steps.length > 0 && <Steps steps={run.steps} />}
      <Upstream run={run} />
    </>
  )
}

/** Returns the path of the job's page that shows the day of a window. */
function windowPath(jobId: string, start: string): string {
  return `/jobs/${part(jobId)}?year=${start.slice(0, 4)}&day=${start.slice(0, 10)}`
}

function Fact({ name, children }: { readonly name: string; readonly children: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  )
}

function Progress({
  progress: { done, total, message, ratePerSecond, etaMs },
}: {
  readonly progress: NonNullable<Run['progress']>
}) {
  return (
    <p>
      <progress aria-label="Progress" value={done} max={total ?? done} /> {done}
      {total !== undefined && ` of ${total}`} {message}
      {ratePerSecond !== undefined && `, ${ratePerSecond.toFixed(1)} a second`}
      {etaMs !== undefined && `, about ${durationText(etaMs)} left`}
    </p>
  )
}

interface ValueProps {
  readonly name: string
  readonly value: unknown
  readonly none: string
  /** Further actions for the run. */
  readonly children?: preact.ComponentChildren
}

function Value({ name, value, none, children }: ValueProps) {
  const isThere = value !== undefined && value !== null
  const aside = (
    <>
      {children}
      {isThere && <Copy label="Copy" text={jsonText(value)} />}
    </>
  )
  return (
    <Card title={name} aside={aside}>
      {isThere ? <Block label={name} text={jsonText(value)} /> : <p class="quiet">{none}</p>}
    </Card>
  )
}

function Steps({ steps }: { readonly steps: Run['steps'] }) {
  return (
    <Card title="Steps">
      <table>
        <thead>
          <tr>
            <th scope="col">Step</th>
            <th scope="col">Finished</th>
            <th scope="col">Attempt</th>
            <th scope="col" class="number">
              Took
            </th>
          </tr>
        </thead>
        <tbody>
          {steps.map(({ name, finishedAt, waitingSince, attempt, ms }) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td>
                {waitingSince === undefined ? (
                  <Instant at={finishedAt} />
                ) : (
                  <>
                    waiting since <Instant at={waitingSince} />
                  </>
                )}
              </td>
              <td>{attempt}</td>
              <td class="number">{durationText(ms)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Card>
  )
}
