import { signal } from '@preact/signals'
import { useEffect, useRef, useState } from 'preact/hooks'
import { get, part } from '../shared/api.ts'
import { useLoad } from '../shared/load.ts'
import { go } from '../shared/router.ts'

interface Entry {
  readonly name: string
  readonly target: string
}

const PAGES: readonly Entry[] = [
  { name: 'Overview', target: '/' },
  { name: 'Grid of windows', target: '/grid' },
  { name: 'Timeline of runs', target: '/timeline' },
  { name: 'Runs', target: '/runs' },
  { name: 'Failed runs', target: '/runs?state=failed' },
  { name: 'Running runs', target: '/runs?state=running' },
  { name: 'Backfills', target: '/backfills' },
  { name: 'Nodes, services, locks, resources', target: '/nodes' },
]
const MAX_JOBS = 12

const isOpen = signal(false)

/** Opens the palette with Ctrl+K or ⌘K. */
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
  const jobs = useLoad(`find ${text}`, (signal) => get<'jobs.list'>('/jobs', { search: text, limit: MAX_JOBS }, signal))
  const entries = entriesOf(text.trim(), jobs.data?.items.map(({ id }) => id) ?? [])
  const index = Math.min(chosen, entries.length - 1)
  const close = (): void => {
    isOpen.value = false
  }
  const open = (entry: Entry | undefined): void => {
    if (!entry) return
    close()
    go(entry.target)
  }
  const move = (event: KeyboardEvent): void => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (step === undefined) return
    event.preventDefault()
    setChosen(Math.max(0, Math.min(entries.length - 1, index + step)))
  }
  return (
    <dialog ref={dialog} class="dialog palette" aria-label="Find a page, job or run" onClose={close}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          open(entries[index])
        }}
      >
        <input
          role="combobox"
          aria-label="A page, a part of a job's id, or the number of a run"
          aria-expanded="true"
          aria-controls="palette-entries"
          aria-activedescendant={entries.length > 0 ? `palette-${index}` : undefined}
          placeholder="A page, a job, or the number of a run"
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
              key={entry.target}
              id={`palette-${at}`}
              role="option"
              aria-selected={at === index}
              onClick={() => open(entry)}
            >
              {entry.name}
            </li>
          ))}
        </ul>
        {entries.length === 0 && <p class="quiet">Nothing matches.</p>}
      </form>
    </dialog>
  )
}

/** What fits to a text: a run by its number, then pages, then jobs and their parts. */
function entriesOf(text: string, jobs: readonly string[]): Entry[] {
  const runs: Entry[] = /^\d{1,15}$/.test(text) ? [{ name: `Run ${text}`, target: `/runs/${text}` }] : []
  const pages = PAGES.filter(({ name }) => name.toLowerCase().includes(text.toLowerCase()))
  const found = jobs.flatMap((id) => [
    { name: `Job ${id}`, target: `/jobs/${part(id)}` },
    ...(text === '' ? [] : [{ name: `Failed runs of ${id}`, target: `/runs?jobId=${part(id)}&state=failed` }]),
  ])
  return [...runs, ...pages, ...found]
}
