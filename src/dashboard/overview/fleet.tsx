import type { ComponentChildren } from 'preact'
import { type Answer, get, type Item } from '../shared/api.ts'
import { durationText, numberText } from '../shared/format.ts'
import { useLoad } from '../shared/load.ts'
import { Shown } from '../shared/parts.tsx'

type Node = Item<'nodes.list'>

/** The nodes and their work in one line. */
export function FleetStrip() {
  const loaded = useLoad('fleet', async (signal) => {
    const [nodes, leader, summary] = await Promise.all([
      get<'nodes.list'>('/nodes', {}, signal),
      get<'nodes.leader'>('/leader', {}, signal),
      get<'runs.summary'>('/metrics/summary', {}, signal),
    ])
    return { nodes: nodes.items.filter(({ isLive }) => isLive), leader, summary }
  })
  return (
    <section class="strip" aria-label="Fleet">
      <Shown of={loaded}>
        {({ nodes, leader, summary }) => (
          <dl>
            <Fact name="Nodes">
              <a href="/nodes">{nodes.length === 1 ? '1 live node' : `${nodes.length} live nodes`}</a>
            </Fact>
            <Fact name="Leader">{leader.host ?? <span class="bad">none: no tick is planned</span>}</Fact>
            <Capacity nodes={nodes} />
            <Work summary={summary} />
          </dl>
        )}
      </Shown>
    </section>
  )
}

/** The capacity of all nodes together: slots, and load. Nodes that do not report a value are not counted in it. */
function Capacity({ nodes }: { readonly nodes: readonly Node[] }) {
  const slots = sum(nodes.map((node) => node.slots))
  const cpu = sum(nodes.map(({ load }) => load?.cpu))
  const memory = sum(nodes.map(({ load }) => load?.memory))
  return (
    <>
      {slots !== undefined && (
        <Fact name="Slots in use">
          {numberText(sum(nodes.map(({ running }) => running)) ?? 0)} of {numberText(slots)}
        </Fact>
      )}
      {cpu !== undefined && memory !== undefined && (
        <Fact name="Load">
          {cpu.toFixed(1)} processors, {numberText(Math.round(memory / 1_000_000))} MB
        </Fact>
      )}
    </>
  )
}

function sum(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined)
  return known.length === 0 ? undefined : known.reduce((total, value) => total + value, 0)
}

function Work({
  summary: { queued, due, running, failed, oldestDueMs },
}: {
  readonly summary: Answer<'runs.summary'>
}) {
  return (
    <>
      <Fact name="Running">
        <a href="/runs?state=running">{counted(running)}</a>
      </Fact>
      <Fact name="Queued">
        <a href="/runs?state=queued">{counted(queued)}</a>
      </Fact>
      <Fact name="Due now">
        {counted(due)}
        {oldestDueMs !== undefined && due.count > 0 && ` (oldest for ${durationText(oldestDueMs)})`}
      </Fact>
      <Fact name="Failed">
        <a href="/runs?state=failed">{counted(failed)}</a>
      </Fact>
    </>
  )
}

function counted({ count, isExact }: { readonly count: number; readonly isExact: boolean }): string {
  return isExact ? numberText(count) : `more than ${numberText(count)}`
}

function Fact({ name, children }: { readonly name: string; readonly children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  )
}
