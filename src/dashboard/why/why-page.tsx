import { type Answer, get, part } from '../shared/api.ts'
import { useTitle } from '../shared/layout.tsx'
import { useLoad } from '../shared/load.ts'
import { Card, Empty, Instant, Page, Shown } from '../shared/parts.tsx'
import { go, query } from '../shared/router.ts'
import { InZoneOf } from '../shared/zones.tsx'
import { ChangeButton } from './change-button.tsx'

type Step = Answer<'jobs.why'>['steps'][number]

const MAX_JOBS = 500
const SIGNS = { passed: '✓', stopped: '✕', waiting: '◷', info: 'ⓘ' } as const
const WORDS = { passed: 'lets it run', stopped: 'stopped it', waiting: 'makes it wait', info: 'to know' } as const

/**
 * Why a job ran or did not run at an instant. Shows each rule with its evidence, and a button for what would change its
 * decision.
 */
export function WhyPage({ jobId }: { readonly jobId: string | undefined }) {
  useTitle(jobId === undefined ? 'Why not?' : `Why ${jobId}?`)
  const at = query.value.get('at') ?? undefined
  const jobs = useLoad('why jobs', (signal) => get<'jobs.list'>('/jobs', { limit: MAX_JOBS }, signal))
  return (
    <Page title="Why not?">
      <Card title="Question">
        <form
          class="row fields"
          onSubmit={(event) => {
            event.preventDefault()
            const [job = '', instant = ''] = ['job', 'at'].map((name) => textIn(event.currentTarget, name))
            if (job) go(`/why/${part(job)}${instant ? `?at=${encodeURIComponent(instant)}` : ''}`)
          }}
        >
          <label>
            Job
            <input
              key={jobId}
              name="job"
              list="why-jobs"
              required
              defaultValue={jobId}
              autoFocus={jobId === undefined}
            />
          </label>
          <datalist id="why-jobs">
            {jobs.data?.items.map(({ id }) => (
              <option key={id} value={id} />
            ))}
          </datalist>
          <label>
            A day in its zone, or an instant with its zone. Empty: the last planned tick
            <input key={at} name="at" defaultValue={at} placeholder="2026-01-31 or 2026-01-31T06:00:00Z" />
          </label>
          <button type="submit" class="main">
            Explain
          </button>
        </form>
      </Card>
      {jobId === undefined ? (
        <Empty title="Which job, and when?">
          <p>The answer shows every rule that decided, what it saw, and the button that changes it.</p>
        </Empty>
      ) : (
        <InZoneOf job={jobId}>
          <Explained key={`${jobId} ${at}`} jobId={jobId} at={at} />
        </InZoneOf>
      )}
    </Page>
  )
}

function textIn(form: HTMLFormElement, name: string): string {
  const value = new FormData(form).get(name)
  return typeof value === 'string' ? value.trim() : ''
}

function Explained({ jobId, at }: { readonly jobId: string; readonly at: string | undefined }) {
  const loaded = useLoad(`why ${jobId} ${at}`, (signal) =>
    get<'jobs.why'>(`/jobs/${part(jobId)}/why`, { tick: at }, signal),
  )
  return (
    <Card title="Answer" aside={<a href={`/jobs/${part(jobId)}`}>{jobId}</a>}>
      <Shown of={loaded}>
        {({ sentence, tick, runId, steps }) => (
          <>
            <p class="answer">{sentence}</p>
            <p class="quiet">
              {tick !== undefined && (
                <>
                  Tick: <Instant at={tick} away />{' '}
                </>
              )}
              {runId !== undefined && <a href={`/runs/${runId}`}>Run {runId}</a>}
            </p>
            <ol class="chain" aria-label="Decisions">
              {steps.map((step) => (
                <Decision key={step.rule} step={step} />
              ))}
            </ol>
          </>
        )}
      </Shown>
    </Card>
  )
}

function Decision({ step: { rule, verdict, evidence, change } }: { readonly step: Step }) {
  return (
    <li class={`decision decision-${verdict}`}>
      <span class="decision-rule">
        <span aria-hidden="true">{SIGNS[verdict]}</span> <strong>{rule}</strong>{' '}
        <span class="quiet">{WORDS[verdict]}</span>
      </span>
      <span class="decision-evidence">{evidence}</span>
      <span>
        {change && <ChangeButton change={change} />}
        {!change && rule === 'nodes' && verdict === 'waiting' && <a href="/nodes">See the nodes</a>}
      </span>
    </li>
  )
}
