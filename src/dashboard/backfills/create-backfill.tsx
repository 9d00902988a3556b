import { useState } from 'preact/hooks'
import { ask } from '../actions/action.tsx'
import { createBackfill } from '../actions/of-windows.ts'
import { get } from '../shared/api.ts'
import { useLoad } from '../shared/load.ts'
import { Card } from '../shared/parts.tsx'
import { query } from '../shared/router.ts'

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
  const create = (): void => ask(createBackfill({ jobId, from, to }, `Backfill ${jobId} from ${from} to ${to}`, only))
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
