import './shared/styles.css'
import { render } from 'preact'
import { Overview } from './overview/overview.tsx'
import { listenForPalette, Palette } from './palette/palette.tsx'
import { ActionDialog } from './actions/action.tsx'
import { isLocked } from './shared/api.ts'
import { lazy } from './shared/lazy.tsx'
import { Layout } from './shared/layout.tsx'
import { follow } from './shared/live.ts'
import { Login } from './shared/login.tsx'
import { Empty } from './shared/parts.tsx'
import { matched, path, startRouter } from './shared/router.ts'
import { readSession } from './shared/session.ts'

const Backfills = lazy(async () => (await import('./backfills/backfills-page.tsx')).BackfillsPage)
const Backfill = lazy(async () => (await import('./backfills/backfills-page.tsx')).BackfillPage)
const Grid = lazy(async () => (await import('./grid/grid-page.tsx')).GridPage)
const Job = lazy(async () => (await import('./job/job-page.tsx')).JobPage)
const Nodes = lazy(async () => (await import('./nodes/nodes-page.tsx')).NodesPage)
const Run = lazy(async () => (await import('./run/run-page.tsx')).RunPage)
const Audit = lazy(async () => (await import('./audit/audit-page.tsx')).AuditPage)
const Tokens = lazy(async () => (await import('./tokens/tokens-page.tsx')).TokensPage)
const Timeline = lazy(async () => (await import('./timeline/timeline-page.tsx')).TimelinePage)
const Runs = lazy(async () => (await import('./runs/runs-page.tsx')).RunsPage)
const Why = lazy(async () => (await import('./why/why-page.tsx')).WhyPage)

function App() {
  return (
    <>
      <Layout>{isLocked.value ? <Login /> : <Shown />}</Layout>
      <ActionDialog />
      <Palette />
    </>
  )
}

/** Shows the page for the address. The page's subject is its key, so that it does not keep the state of another page. */
function Shown() {
  const job = matched('/jobs/:id')?.['id']
  const why = matched('/why/:id')?.['id']
  const run = matched('/runs/:id')?.['id']
  const backfill = matched('/backfills/:id')?.['id']
  if (matched('/')) return <Overview />
  if (job !== undefined) return <Job key={job} id={job} />
  if (run !== undefined) return <Run key={run} id={run} />
  if (backfill !== undefined) return <Backfill key={backfill} id={backfill} />
  if (matched('/grid')) return <Grid />
  if (matched('/timeline')) return <Timeline />
  if (matched('/runs')) return <Runs />
  if (matched('/backfills')) return <Backfills />
  if (matched('/nodes')) return <Nodes />
  if (matched('/audit')) return <Audit />
  if (matched('/tokens')) return <Tokens />
  if (matched('/why')) return <Why jobId={undefined} />
  if (why !== undefined) return <Why jobId={why} />
  return (
    <Empty title={`There is no page ${path.value}`}>
      <a href="/">Go to the overview</a>
    </Empty>
  )
}

startRouter()
listenForPalette()
follow()
void readSession()
const root = document.getElementById('app')
if (root) render(<App />, root)
