import { get } from '../shared/api.ts'
import { durationText, numberText } from '../shared/format.ts'
import { useLoad } from '../shared/load.ts'
import { Shown } from '../shared/parts.tsx'

const MIB = 2 ** 20

/** The process that answers, in one line. */
export function FleetStrip() {
  const loaded = useLoad('status', (signal) => get<'status.show'>('/status', {}, signal))
  return (
    <section class="strip" aria-label="Fleet">
      <Shown of={loaded}>
        {({ host, pid, version, uptimeMs, memory, loopDelayMs, connections }) => (
          <dl>
            <Fact name="Node" value={`${host} (${pid})`} />
            <Fact name="Version" value={version} />
            <Fact name="Up for" value={durationText(uptimeMs)} />
            <Fact name="Memory" value={`${numberText(Math.round(memory.rss / MIB))} MB`} />
            <Fact name="Loop delay p99" value={durationText(loopDelayMs.p99)} />
            <Fact name="Connections" value={numberText(connections)} />
          </dl>
        )}
      </Shown>
    </section>
  )
}

function Fact({ name, value }: { readonly name: string; readonly value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  )
}
