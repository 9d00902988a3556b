import { signal } from '@preact/signals'
import { useEffect, useRef, useState } from 'preact/hooks'
import { useLoad } from '../shared/load.ts'
import type { Entry } from '../actions/registry.ts'
import { entriesFor, findFleet, findJobs, NO_FLEET } from './entries.ts'

const isOpen = signal(false)

/** Opens the command palette with Ctrl+K or ⌘K. */
export function listenForPalette(): void {
  document.addEventListener('keydown', (event) => {
    if (event.key.toLowerCase() !== 'k' || !(event.ctrlKey || event.metaKey)) return
    event.preventDefault()
    isOpen.value = true
  })
}

export function PaletteButton() {
  return (
    <button type="button" onClick={() => (isOpen.value = true)}>
      Find… <kbd>Ctrl K</kbd>
    </button>
  )
}

export function Palette() {
  return isOpen.value ? <Dialog /> : null
}

function Dialog() {
  const dialog = useRef<HTMLDialogElement>(null)
  const [text, setText] = useState('')
  const [chosen, setChosen] = useState(0)
  useEffect(() => dialog.current?.showModal(), [])
  const wanted = text.trim()
  const found = useLoad(`find ${wanted}`, (signal) => findJobs(wanted, signal))
  const fleet = useLoad(wanted === '' ? undefined : 'find fleet', findFleet)
  const entries = entriesFor(wanted, found.data ?? [], fleet.data ?? NO_FLEET)
  const index = Math.min(chosen, entries.length - 1)
  const close = (): void => {
    isOpen.value = false
  }
  const open = (entry: Entry | undefined): void => {
    if (!entry || entry.off !== undefined) return
    close()
    entry.open()
  }
  const move = (event: KeyboardEvent): void => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (step === undefined) return
    event.preventDefault()
    const next = Math.max(0, Math.min(entries.length - 1, index + step))
    setChosen(next)
    document.getElementById(`palette-${next}`)?.scrollIntoView({ block: 'nearest' })
  }
  return (
    <dialog ref={dialog} class="dialog palette" aria-label="Find a page, job, run or action" onClose={close}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          open(entries[index])
        }}
      >
        <input
          role="combobox"
          aria-label="A page, a part of a job's id, the number of a run, a date, or an action"
          aria-expanded="true"
          aria-controls="palette-entries"
          aria-activedescendant={entries.length > 0 ? `palette-${index}` : undefined}
          placeholder="A page, a job, a run, a date, or an action such as: pause orders"
          value={text}
          autoFocus
          onInput={({ currentTarget }) => {
            setText(currentTarget.value)
            setChosen(0)
          }}
          onKeyDown={move}
        />
        <ul id="palette-entries" role="listbox" aria-label="Found">
          {entries.map((entry, at) => (
            <li
              key={entry.name}
              id={`palette-${at}`}
              role="option"
              aria-selected={at === index}
              aria-disabled={entry.off !== undefined}
              onClick={() => open(entry)}
            >
              {entry.name}
              {entry.off !== undefined && <span class="quiet"> ({entry.off})</span>}
            </li>
          ))}
        </ul>
        {[found, fleet].map(
          ({ error }, index) =>
            error && (
              <p key={index} class="bad">
                {error.message}
              </p>
            ),
        )}
        {entries.length === 0 && <p class="quiet">{found.isLoading ? 'Looking…' : 'Nothing matches.'}</p>}
      </form>
    </dialog>
  )
}
