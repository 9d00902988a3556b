import { useState } from 'preact/hooks'
import { ask } from '../actions/action.tsx'
import { type Answer, part } from '../shared/api.ts'
import { jsonText } from '../shared/format.ts'
import { Card, Instant } from '../shared/parts.tsx'
import { useReveal } from '../shared/reveal.ts'
import { go } from '../shared/router.ts'
import { InZoneOf } from '../shared/zones.tsx'

interface Props {
  readonly run: Answer<'runs.show'>
  readonly onDiscard: () => void
}

/** The form that starts another run of the same job and window. Its input can be changed. */
export function RunAgain({ run, onDiscard }: Props) {
  const form = useReveal<HTMLFormElement>('again')
  const [text, setText] = useState(run.input === undefined ? '' : jsonText(run.input))
  const [problem, setProblem] = useState<string>()
  const start = (): void => {
    const given = text.trim()
    let input: unknown
    try {
      input = given === '' ? undefined : JSON.parse(given)
    } catch (error) {
      return setProblem(`The input is not JSON: ${error instanceof Error ? error.message : String(error)}`)
    }
    setProblem(undefined)
    const { jobId, window } = run
    ask({
      title: `Run ${jobId} again with this input`,
      request: {
        method: 'POST',
        path: `/jobs/${part(jobId)}/runs`,
        body: { ...(input !== undefined && { input }), ...(window && { window: window.start }) },
      },
      isNewRun: !window,
      cli: [
        'run',
        jobId,
        ...(given === '' ? [] : ['--input', JSON.stringify(input)]),
        ...(window ? ['--window', window.start] : []),
      ],
      preview: () =>
        Promise.resolve(
          <ul>
            <li>Stores a new run of {jobId}. A free node starts it.</li>
            {window && (
              <li>
                Its window that begins at{' '}
                <InZoneOf job={jobId}>
                  <Instant at={window.start} />
                </InZoneOf>{' '}
                runs again.
              </li>
            )}
            <li>Run {run.id} is not changed.</li>
          </ul>,
        ),
      onDone: (answer) => {
        if (typeof answer === 'object' && answer !== null && 'id' in answer) go(`/runs/${String(answer.id)}`)
      },
    })
  }
  return (
    <Card title="Run again">
      <form
        ref={form}
        class="fields"
        onSubmit={(event) => {
          event.preventDefault()
          start()
        }}
      >
        <label>
          Input as JSON (may stay empty)
          <textarea rows={6} value={text} onInput={({ currentTarget }) => setText(currentTarget.value)} />
        </label>
        {problem !== undefined && (
          <p class="bad" role="alert">
            {problem}
          </p>
        )}
        <p class="row">
          <button type="submit" class="main">
            Run…
          </button>
          <button type="button" onClick={onDiscard}>
            Discard
          </button>
        </p>
      </form>
    </Card>
  )
}
