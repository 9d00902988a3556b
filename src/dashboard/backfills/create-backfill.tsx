import { useState } from 'preact/hooks'
import { ask } from '../actions/action.tsx'
import { get, part } from '../shared/api.ts'
import { useLoad } from '../shared/load.ts'
import { Card } from '../shared/parts.tsx'
import { go, query } from '../shared/router.ts'
import { dryRun } from '../calendar/dry-run.tsx'

const MAX_JOBS = 500

/** The form for a new backfill. A dry run shows the exact windows before anything is stored. */
export function CreateBackfill() {
  const jobs = useLoad('jobs with windows', async (signal) => {
    const { items } = await get<'jobs.list'>('/jobs', { limit: MAX_JOBS }, signal)
    return items.filter(({ windows }) => windows !== null && windows !== undefined).map(({ id }) => id)
  })
  const [jobId, setJob] = useState(query.peek().get('jobId') ?? '')
  const [from, setFrom] = useState('')
  const [to, setTo] = useState('')
  const [only, setOnly] = useState('missing')
  const create = (): void => {
    const body = { from, to, only }
    ask({
      title: `Backfill ${jobId} from ${from} to ${to}`,
      request: { method: 'POST', path: `/jobs/${part(jobId)}/backfills`, body },
      cli: ['backfills', 'create', jobId, '--from', from, '--to', to, '--only', only],
      preview: (signal) => dryRun({ jobId, from, to }, only, signal),
      onDone: (answer) => {
        if (typeof answer === 'object' && answer !== null && 'id' in answer) go(`/backfills/${String(answer.id)}`)
      },
    })
  }
  return (
    <Card title="New backfill">
      <form
        class="fields row"
        onSubmit={(event) => {
          event.preventDefault()
          create()
        }}
      >
        <label>
          Job
          <input
            list="jobs-with-windows"
            required
            value={jobId}
            onInput={({ currentTarget }) => setJob(currentTarget.value)}
          />
          <datalist id="jobs-with-windows">
            {jobs.data?.map((id) => (
              <option key={id} value={id} />
            ))}
          </datalist>
        </label>
        <label>
          From (a day in its zone)
          <input
            required
            placeholder="2026-01-01"
            value={from}
            onInput={({ currentTarget }) => setFrom(currentTarget.value.trim())}
          />
        </label>
        <label>
          Before
          <input
            required
            placeholder="2026-02-01"
            value={to}
            onInput={({ currentTarget }) => setTo(currentTarget.value.trim())}
          />
        </label>
        <label>
          Windows
          <select value={only} onChange={({ currentTarget }) => setOnly(currentTarget.value)}>
            <option value="missing">missing: never run, skipped, cancelled, stale</option>
            <option value="failed">failed</option>
            <option value="all">all, including succeeded ones</option>
          </select>
        </label>
        <button type="submit" class="main">
          Dry run…
        </button>
      </form>
    </Card>
  )
}
