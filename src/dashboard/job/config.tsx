import { useState } from 'preact/hooks'
import { ActionButton, ask } from '../actions/action.tsx'
import { type Answer, get, type Item, part } from '../shared/api.ts'
import { jsonText } from '../shared/format.ts'
import { useLoad } from '../shared/load.ts'
import { Block, Card, Instant, Shown } from '../shared/parts.tsx'
import { PageButtons, usePages } from '../shared/pages.tsx'
import { isEdited, setEdited, useReveal } from '../shared/reveal.ts'

const VERSIONS = 10

/** The config in force, its versions, and a form for a new one. */
export function Config({ jobId }: { readonly jobId: string }) {
  const place = `/jobs/${part(jobId)}/config`
  const pages = usePages('versions')
  const { cursor } = pages
  const loaded = useLoad(`config ${jobId} ${cursor}`, async (signal) => ({
    inForce: await get<'configs.show'>(place, {}, signal),
    versions: await get<'configs.history'>(`${place}/versions`, { limit: VERSIONS, cursor }, signal),
  }))
  return (
    <Card title="Config">
      <Shown of={loaded}>
        {({ inForce, versions }) => (
          <div class="columns">
            <div>
              <p>
                {inForce.version === 0
                  ? 'No version is stored: the defaults of its schema are in force.'
                  : `Version ${inForce.version} is in force`}
                {inForce.version > 0 &&
                  inForce.nodes.length > 0 &&
                  ` on ${inForce.nodes.filter(({ version }) => version === inForce.version).length} of ${inForce.nodes.length} nodes`}
              </p>
              {!isEdited('config') ? (
                <>
                  {inForce.version > 0 && <Block label="Config in force" text={jsonText(inForce.config)} />}
                  <p>
                    <button type="button" onClick={() => setEdited('config', true)}>
                      New version
                    </button>
                  </p>
                </>
              ) : (
                <Editor jobId={jobId} before={inForce} />
              )}
            </div>
            <div>
              <Versions jobId={jobId} inForce={inForce} versions={versions.items} />
              <PageButtons pages={pages} next={versions.next} of="config versions" />
            </div>
          </div>
        )}
      </Shown>
    </Card>
  )
}

interface VersionsProps {
  readonly jobId: string
  readonly inForce: Answer<'configs.show'>
  readonly versions: readonly Item<'configs.history'>[]
}

function Versions({ jobId, inForce, versions }: VersionsProps) {
  const list = useReveal<HTMLOListElement>('versions')
  return (
    <ol ref={list} class="versions">
      {versions.map(({ version, effectiveFrom, config }) => (
        <li key={version}>
          <details>
            <summary>
              Version {version}, from <Instant at={effectiveFrom} />
            </summary>
            <Block label={`Version ${version}`} text={jsonText(config)} />
          </details>
          {version !== inForce.version && (
            <ActionButton
              action={{
                title: `Roll back to version ${version}`,
                request: { method: 'POST', path: `/jobs/${part(jobId)}/config/rollback`, body: { version } },
                cli: ['configs', 'rollback', jobId, version],
                preview: () => Promise.resolve(<Difference before={inForce.config} after={config} />),
              }}
            >
              Roll back…
            </ActionButton>
          )}
        </li>
      ))}
    </ol>
  )
}

interface EditorProps {
  readonly jobId: string
  readonly before: Answer<'configs.show'>
}

function Editor({ jobId, before }: EditorProps) {
  const form = useReveal<HTMLFormElement>('config')
  const [draft, setDraft] = useState(jsonText(before.config ?? {}))
  const [error, setError] = useState<string>()
  const save = (): void => {
    try {
      const config: unknown = JSON.parse(draft)
      setError(undefined)
      ask({
        title: `Save a version of the config of ${jobId}`,
        request: { method: 'PUT', path: `/jobs/${part(jobId)}/config`, body: { config } },
        cli: ['configs', 'set', jobId, JSON.stringify(config)],
        preview: () => Promise.resolve(<Difference before={before.config} after={config} />),
        onDone: () => setEdited('config', false),
      })
    } catch (cause) {
      setError(`This is not JSON: ${cause instanceof Error ? cause.message : String(cause)}`)
    }
  }
  return (
    <form
      ref={form}
      class="fields"
      onSubmit={(event) => {
        event.preventDefault()
        save()
      }}
    >
      <label>
        Config as JSON
        <textarea rows={8} value={draft} onInput={({ currentTarget }) => setDraft(currentTarget.value)} />
      </label>
      {error !== undefined && (
        <p class="bad" role="alert">
          {error}
        </p>
      )}
      <p class="row">
        <button type="submit">Save…</button>
        <button type="button" onClick={() => setEdited('config', false)}>
          Discard
        </button>
      </p>
    </form>
  )
}

/** The differences between two configs, value by value. */
function Difference({ before, after }: { readonly before: unknown; readonly after: unknown }) {
  const [one, other] = [flat(before), flat(after)]
  const names = [...new Set([...one.keys(), ...other.keys()])]
    .sort()
    .filter((name) => one.get(name) !== other.get(name))
  if (names.length === 0) return <p>Nothing changes.</p>
  return (
    <ul>
      {names.map((name) => (
        <li key={name}>
          <code>{name}</code>: {one.get(name) ?? 'absent'} → <strong>{other.get(name) ?? 'absent'}</strong>
        </li>
      ))}
    </ul>
  )
}

function flat(value: unknown, path = ''): Map<string, string> {
  if (typeof value !== 'object' || value === null) return new Map([[path || '/', JSON.stringify(value) ?? 'absent']])
  return new Map(Object.entries(value).flatMap(([name, one]) => [...flat(one, `${path}/${name}`)]))
}
