import { useState } from 'preact/hooks'
import { ROLES, type Role } from '../../access/actor.ts'
import { ActionButton, says } from '../actions/action.tsx'
import { Card } from '../shared/parts.tsx'
import { useReveal } from '../shared/reveal.ts'

const WORDS: Readonly<Record<Role, string>> = {
  viewer: 'It can read everything, and change nothing.',
  operator: 'It can run, cancel, pause and backfill.',
  admin: 'It can do everything, including the creation of tokens.',
}

/** The form that creates a token with a role, for some or all jobs. */
export function CreateToken({ onMade }: { readonly onMade: (name: string, text: string) => void }) {
  const fields = useReveal<HTMLDivElement>('token')
  const [name, setName] = useState('')
  const [role, setRole] = useState<Role>('viewer')
  const [jobs, setJobs] = useState('')
  const [expiresIn, setExpiresIn] = useState('90d')
  const globs = jobs.split(/[\s,]+/).filter((glob) => glob !== '')
  const body = {
    ...{ name: name.trim(), role },
    ...(globs.length > 0 && { jobs: globs }),
    ...(expiresIn.trim() !== '' && { expiresIn: expiresIn.trim() }),
  }
  return (
    <Card title="New token">
      <div ref={fields} class="row fields">
        <label>
          Name
          <input value={name} maxLength={100} onInput={({ currentTarget }) => setName(currentTarget.value)} />
        </label>
        <label>
          Role
          <select
            value={role}
            onChange={({ currentTarget }) => setRole(ROLES.find((one) => one === currentTarget.value) ?? 'viewer')}
          >
            {ROLES.map((one) => (
              <option key={one}>{one}</option>
            ))}
          </select>
        </label>
        <label>
          Only jobs like (empty: all)
          <input value={jobs} placeholder="sync_*" onInput={({ currentTarget }) => setJobs(currentTarget.value)} />
        </label>
        <label>
          Valid for (empty: until revoked)
          <input value={expiresIn} onInput={({ currentTarget }) => setExpiresIn(currentTarget.value)} />
        </label>
        <ActionButton
          isMain
          off={body.name === '' ? 'it needs a name' : undefined}
          action={{
            title: `Create the token ${body.name}`,
            request: { method: 'POST', path: '/tokens', body },
            cli: [
              ...['tokens', 'create', body.name, '--role', role],
              ...(globs.length > 0 ? ['--for-jobs', ...globs] : []),
              ...(body.expiresIn === undefined ? [] : ['--expires-in', body.expiresIn]),
            ],
            preview: says(`${WORDS[role]} ${globs.length > 0 ? `Only for the jobs ${globs.join(', ')}.` : ''}`),
            onDone: (answer) => {
              if (typeof answer === 'object' && answer !== null && 'token' in answer)
                onMade(body.name, String(answer.token))
              setName('')
            },
          }}
        >
          Create…
        </ActionButton>
      </div>
    </Card>
  )
}
