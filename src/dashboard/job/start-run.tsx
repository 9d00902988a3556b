import { useState } from 'preact/hooks'
import { ask, says } from '../actions/action.tsx'
import { part } from '../shared/api.ts'
import { Card } from '../shared/parts.tsx'
import { useReveal } from '../shared/reveal.ts'
import { go } from '../shared/router.ts'

/** The form that requests one run, with an input. */
export function StartRun({ jobId, hasWindows }: { readonly jobId: string; readonly hasWindows: boolean }) {
  const form = useReveal<HTMLFormElement>('run')
  const [input, setInput] = useState('')
  const [window, setWindow] = useState('')
  const [error, setError] = useState<string>()
  const start = (): void => {
    const read = parsed(input)
    if ('error' in read) return setError(`The input is not JSON: ${read.error}`)
    if (hasWindows && window === '') return setError('Say which window: its first day, or the instant where it begins.')
    setError(undefined)
    const body = { ...(read.value !== undefined && { input: read.value }), ...(window !== '' && { window }) }
    ask({
      title: `Run ${jobId}`,
      request: { method: 'POST', path: `/jobs/${part(jobId)}/runs`, body },
      isNewRun: window === '',
      cli: ['run', jobId, ...(input === '' ? [] : ['--input', input]), ...(window === '' ? [] : ['--window', window])],
      preview: says(
        `Stores one run of ${jobId}${window === '' ? '' : ` for the window ${window}`}. A free node starts it.`,
      ),
      onDone: (answer) => {
        if (typeof answer === 'object' && answer !== null && 'id' in answer) go(`/runs/${String(answer.id)}`)
      },
    })
  }
  return (
    <Card title="Run it now">
      <form
        ref={form}
        class="fields"
        onSubmit={(event) => {
          event.preventDefault()
          start()
        }}
      >
        {hasWindows && (
          <label>
            Window
            <input
              value={window}
              placeholder="2026-01-31"
              onInput={({ currentTarget }) => setWindow(currentTarget.value.trim())}
            />
          </label>
        )}
        <label>
          Input as JSON (may stay empty)
          <textarea rows={3} value={input} onInput={({ currentTarget }) => setInput(currentTarget.value)} />
        </label>
        {error !== undefined && (
          <p class="bad" role="alert">
            {error}
          </p>
        )}
        <p>
          <button type="submit">Run…</button>
        </p>
      </form>
    </Card>
  )
}

function parsed(text: string): { readonly value: unknown } | { readonly error: string } {
  if (text.trim() === '') return { value: undefined }
  try {
    return { value: JSON.parse(text) as unknown }
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) }
  }
}
