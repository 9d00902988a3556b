import './shared/styles.css'
import { render } from 'preact'
import { Overview } from './overview/overview.tsx'
import { Layout } from './shared/layout.tsx'
import { follow } from './shared/live.ts'
import { Empty } from './shared/parts.tsx'
import { matched, path, startRouter } from './shared/router.ts'

function App() {
  return (
    <Layout>
      <Shown />
    </Layout>
  )
}

function Shown() {
  if (matched('/')) return <Overview />
  return (
    <Empty title={`There is no page ${path.value}`}>
      <a href="/">Go to the overview</a>
    </Empty>
  )
}

startRouter()
follow()
const root = document.getElementById('app')
if (root) render(<App />, root)
