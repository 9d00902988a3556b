import { useEffect } from 'preact/hooks'
import { ask } from '../actions/action.tsx'
import { createBackfill } from '../actions/of-windows.ts'
import { get } from '../shared/api.ts'
import { useLoad } from '../shared/load.ts'
import { Card } from '../shared/parts.tsx'
import { query, setQuery } from '../shared/router.ts'

const MAX_JOBS = 500

/** The form for a new backfill. A dry run shows the exact windows before anything is stored. */
export function CreateBackfill() {
  const jobs = useLoad('jobs with windows', async (signal) => {
    const { items } = await get<'jobs.list'>('/jobs', { limit: MAX_JOBS }, signal)
    return items.filter(({ windows }) => windows !== null && windows !== undefined).map(({ id }) => id)
  })
  const given = (name: string): string => query.value.get(name) ?? ''
  const [jobId, from, to] = [given('job') || given('jobId'), given('from'), given('to')]
  const only = given('only') || 'missing'
  const isDry = given('dry') === 'true' && jobId !== '' && from !== '' && to !== ''
  // The address contains the form and its dry run, so that a colleague who opens it sees the same windows.
  useEffect(() => {
    if (!isDry) return
    const action = createBackfill({ jobId, from, to }, `Backfill ${jobId} from ${from} to ${to}`, only)
    ask({ ...action, onClose: () => setQuery({ dry: undefined }) })
  }, [isDry])
  return (
    <Card title="New backfill">
      <form
        class="fields row"
        onSubmit={(event) => {
          event.preventDefault()
          setQuery({ job: jobId, dry: 'true' })
        }}
      >
        <label>
          Job
          <input
            list="jobs-with-windows"
            required
            value={jobId}
            onInput={({ currentTarget }) => setQuery({ job: currentTarget.value.trim() })}
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
            onInput={({ currentTarget }) => setQuery({ from: currentTarget.value.trim() })}
          />
        </label>
        <label>
          Before
          <input
            required
            placeholder="2026-02-01"
            value={to}
            onInput={({ currentTarget }) => setQuery({ to: currentTarget.value.trim() })}
          />
        </label>
        <label>
          Windows
          <select value={only} onChange={({ currentTarget }) => setQuery({ only: currentTarget.value })}>
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
