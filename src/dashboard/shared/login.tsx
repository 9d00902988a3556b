import { useState } from 'preact/hooks'
import { useTitle } from './layout.tsx'
import { Page } from './parts.tsx'
import { logIn } from './session.ts'

/** Asks for a token. The browser keeps a session, but never the token. */
export function Login() {
  useTitle('Log in')
  const [token, setToken] = useState('')
  const [error, setError] = useState<string>()
  const [isBusy, setBusy] = useState(false)
  const enter = async (): Promise<void> => {
    setBusy(true)
    try {
      await logIn(token.trim())
    } catch (cause) {
      setError(cause instanceof Error ? cause.message : String(cause))
      setBusy(false)
    }
  }
  return (
    <Page title="Log in">
      <form
        class="card login"
        onSubmit={(event) => {
          event.preventDefault()
          void enter()
        }}
      >
        <p>This server requires a token. The browser does not keep the token, only a session that expires.</p>
        <div class="fields">
          <label>
            Token
            <input
              type="password"
              name="token"
              autocomplete="current-password"
              required
              autoFocus
              value={token}
              onInput={({ currentTarget }) => setToken(currentTarget.value)}
            />
          </label>
        </div>
        {error !== undefined && (
          <p class="bad" role="alert">
            {error}
          </p>
        )}
        <div class="row">
          <button type="submit" class="main" disabled={isBusy}>
            {isBusy ? 'Checking…' : 'Log in'}
          </button>
        </div>
        <p class="note">
          No token yet? Someone with access to the database can create one:{' '}
          <code>piko tokens create anna --role operator</code>
        </p>
      </form>
    </Page>
  )
}
