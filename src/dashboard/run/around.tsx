import { type Answer, get, part } from '../shared/api.ts'
import { useLoad } from '../shared/load.ts'
import { Card, Instant, Shown, Table } from '../shared/parts.tsx'
import { isRecord } from '../shared/record.ts'
import { State } from '../shared/states.tsx'
import { InZoneOf } from '../shared/zones.tsx'

type Run = Answer<'runs.show'>

const MAX_WINDOWS = 20

/** The windows of the upstream jobs in the range of a run's window, with their runs. */
export function Upstream({ run: { jobId, window } }: { readonly run: Run }) {
  const loaded = useLoad(window && `upstream ${jobId} ${window.start}`, async (signal) => {
    const { edges } = await get<'jobs.dependencies'>(`/jobs/${part(jobId)}/dependencies`, {}, signal)
    const upstreams = edges.filter(({ to }) => to === jobId).map(({ from }) => from)
    const range = { from: window?.start, to: window?.end, limit: MAX_WINDOWS }
    const lists = await Promise.all(
      upstreams.map((id) => get<'windows.list'>(`/jobs/${part(id)}/windows`, range, signal)),
    )
    return lists.flatMap(({ items }) => items)
  })
  if (!window || loaded.data?.length === 0) return null
  return (
    <Card title="Upstream">
      <Shown of={loaded}>
        {(windows) => (
          <Table label="Upstream windows" columns={['Job', 'Window', 'State', 'Run']}>
            {windows.map(({ jobId: id, start, state, runId }) => (
              <tr key={`${id} ${start}`}>
                <th scope="row">
                  <a href={`/jobs/${part(id)}`}>{id}</a>
                </th>
                <td>
                  <InZoneOf job={id}>
                    <Instant at={start} />
                  </InZoneOf>
                </td>
                <td>
                  <State name={state} />
                </td>
                <td>{runId !== undefined && <a href={`/runs/${runId}`}>{runId}</a>}</td>
              </tr>
            ))}
          </Table>
        )}
      </Shown>
    </Card>
  )
}

/**
 * Returns the config of a run: its stored version, with the values that the run's own config overrides. A run without a version gets the
 * version in force now.
 */
export function useConfigInForce({ jobId, config, configVersion }: Run): {
  readonly name: string
  readonly value: unknown
} {
  const place = `/jobs/${part(jobId)}/config`
  const loaded = useLoad(`config of ${jobId} ${configVersion}`, async (signal) => {
    if (configVersion === undefined) return get<'configs.show'>(place, {}, signal)
    let cursor: string | undefined
    do {
      const page: Answer<'configs.history'> = await get<'configs.history'>(
        `${place}/versions`,
        { limit: 500, cursor },
        signal,
      )
      const found = page.items.find(({ version }) => version === configVersion)
      if (found) return found
      cursor = page.next
    } while (cursor !== undefined)
    return undefined
  })
  const stored = loaded.data
  const own = isRecord(config) ? config : {}
  const base = isRecord(stored?.config) ? stored.config : {}
  const version = configVersion ?? stored?.version
  const name = version ? `Config in force: version ${version}` : 'Config in force'
  const all = { ...base, ...own }
  return { name, value: Object.keys(all).length === 0 ? undefined : all }
}
