import type { ComponentChildren } from 'preact'
import { type Answer, get } from '../shared/api.ts'
import { durationText, numberText } from '../shared/format.ts'
import { useLoad } from '../shared/load.ts'
import { Shown } from '../shared/parts.tsx'

/** The nodes and their work in one line. */
export function FleetStrip({ summary }: { readonly summary: Answer<'runs.summary'> | undefined }) {
  const loaded = useLoad('fleet', async (signal) => ({
    nodes: (await get<'nodes.list'>('/nodes', {}, signal)).items.filter(({ isLive }) => isLive),
    leader: await get<'nodes.leader'>('/leader', {}, signal),
  }))
  return (
    <section class="strip" aria-label="Fleet">
      <Shown of={loaded}>
        {({ nodes, leader }) => (
          <dl>
            <Fact name="Nodes">
              <a href="/nodes">{nodes.length === 1 ? '1 live node' : `${nodes.length} live nodes`}</a>
            </Fact>
            <Fact name="Leader">{leader.host ?? <span class="bad">none</span>}</Fact>
            {summary && <Work summary={summary} />}
          </dl>
        )}
      </Shown>
    </section>
  )
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
        {oldestDueMs !== undefined && due.count > 0 && ` (oldest since ${durationText(oldestDueMs)})`}
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
