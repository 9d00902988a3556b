import { signal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { isLocked, type Request, send } from '../shared/api.ts'
import { cliText, curlText } from './command.ts'
import { useLoad } from '../shared/load.ts'
import { reloadSoon } from '../shared/live.ts'
import { Copy, Shown } from '../shared/parts.tsx'
import { session, whyNot } from '../shared/session.ts'

/** A change that a user can make. It has a preview of the effect, and is also shown as an API request and as a command. */
export interface Action {
  /** The title, such as `Cancel run 17`. */
  readonly title: string
  /** Describes the effect in sentences. Where possible, the server counts what is affected. */
  readonly preview: (signal: AbortSignal) => Promise<ComponentChildren>
  readonly request: Request
  /** The command line without the word `piko`. */
  readonly cli: readonly (string | number)[]
  /**
   * Whether the action stores a run without a window. It then needs a key, so that a second try after a lost answer stores no second run.
   */
  readonly isNewRun?: boolean
  readonly onDone?: (answer: unknown) => void
  /** Called when the dialog closes, whether or not the action was confirmed. */
  readonly onClose?: () => void
}

const asked = signal<Action | undefined>(undefined)
/** The reason that the user types. It is stored outside the dialog, so that a login in between does not lose it. */
const reason = signal('')

/** Opens the dialog of an action, in which the user confirms it. */
export function ask(action: Action): void {
  reason.value = ''
  asked.value = action
}

/** Creates a preview that needs no request. */
export function says(text: ComponentChildren): Action['preview'] {
  return () => Promise.resolve(text)
}

/** The button of an action. A button that can't be used stays visible and shows why: the role of the user, or `off`. */
export function ActionButton({
  action,
  off: given,
  children,
  isMain = false,
}: {
  readonly action: Action
  readonly off?: string | undefined
  readonly children: ComponentChildren
  readonly isMain?: boolean
}) {
  const off = whyNot(action.request) ?? given
  return (
    <button
      type="button"
      class={isMain ? 'main' : ''}
      aria-disabled={off !== undefined}
      title={off ?? action.title}
      onClick={() => off === undefined && ask(action)}
    >
      {children}
      {off !== undefined && <span class="sr"> ({off})</span>}
    </button>
  )
}

/** The dialog of the selected action. During a login it is hidden, and afterwards it appears again. */
export function ActionDialog() {
  const action = asked.value
  return action && !isLocked.value ? <Dialog key={action.title} action={action} /> : null
}

function Dialog({ action }: { readonly action: Action }) {
  const dialog = useRef<HTMLDialogElement>(null)
  const [error, setError] = useState<Error>()
  const [isBusy, setBusy] = useState(false)
  const [key] = useState(newKey)
  const preview = useLoad(`preview ${action.title}`, action.preview)
  useEffect(() => dialog.current?.showModal(), [])
  const close = (): void => {
    if (asked.peek() !== action) return
    asked.value = undefined
    action.onClose?.()
  }
  const request = withReason(action.request, reason.value)
  // A form opens the dialog without an `ActionButton`, so the role is checked here too.
  const off = whyNot(action.request)
  const act = async (): Promise<void> => {
    setBusy(true)
    try {
      const answer = await send(request, undefined, action.isNewRun === true ? key : undefined)
      close()
      reloadSoon()
      action.onDone?.(answer)
    } catch (cause) {
      setError(cause instanceof Error ? cause : new Error(String(cause)))
      setBusy(false)
    }
  }
  return (
    <dialog ref={dialog} class="dialog" aria-labelledby="action-title" onClose={close}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (off === undefined) void act()
        }}
      >
        <h2 id="action-title">{action.title}</h2>
        <Shown of={preview}>{(text) => <div class="preview">{text}</div>}</Shown>
        <div class="fields">
          <label>
            Reason (stored in the audit)
            <input
              value={reason.value}
              maxLength={500}
              onInput={({ currentTarget }) => (reason.value = currentTarget.value)}
            />
          </label>
        </div>
        {off !== undefined && <p class="bad">You can't do this: {off}.</p>}
        {error && (
          <p class="bad" role="alert">
            {error.message}
          </p>
        )}
        <div class="row">
          <button type="submit" class="main" disabled={isBusy} aria-disabled={off !== undefined} title={off ?? ''}>
            {isBusy ? 'Working…' : action.title}
          </button>
          <button type="button" onClick={close}>
            Close
          </button>
          <span class="spread" />
          <Copy label="Copy as CLI" text={cliText(action.cli, reason.value)} />
          <Copy label="Copy as curl" text={curlText(request, session.value?.kind === 'session')} />
        </div>
      </form>
    </dialog>
  )
}

/** Returns a random string. `randomUUID` is not used, because browsers have it only over HTTPS and on localhost. */
function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join('-')
}

function withReason(request: Request, reason: string): Request {
  if (reason === '') return request.method === 'DELETE' ? request : { ...request, body: request.body ?? {} }
  if (request.method === 'DELETE') return { ...request, query: { ...request.query, reason } }
  return { ...request, body: { ...request.body, reason } }
}
