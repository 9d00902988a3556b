import { useState } from 'preact/hooks'

type Cursor = string | undefined

/** The current page of a long list, and functions that go to other pages. */
export interface Pages {
  /** Where the current page begins; undefined: the first page. */
  readonly cursor: Cursor
  /** Goes to the previous page; undefined on the first page. */
  readonly newer: (() => void) | undefined
  readonly older: (next: string) => void
  /** Goes to the first page; called when the filter has changed. */
  readonly restart: () => void
}

export function usePages(): Pages {
  const [cursors, setCursors] = useState<readonly Cursor[]>([undefined])
  return {
    cursor: cursors.at(-1),
    newer: cursors.length === 1 ? undefined : () => setCursors(cursors.slice(0, -1)),
    older: (next) => setCursors([...cursors, next]),
    restart: () => setCursors([undefined]),
  }
}

interface PageButtonsProps {
  readonly pages: Pages
  /** The cursor of the next page; undefined on the last one. */
  readonly next: Cursor
  /** The plural noun for the entries, such as `runs`. */
  readonly of: string
}

export function PageButtons({ pages: { newer, older }, next, of }: PageButtonsProps) {
  if (newer === undefined && next === undefined) return null
  return (
    <nav class="row pages" aria-label={`Pages of ${of}`}>
      <button type="button" disabled={newer === undefined} onClick={() => newer?.()}>
        Newer
      </button>
      <button type="button" disabled={next === undefined} onClick={() => next !== undefined && older(next)}>
        Older
      </button>
    </nav>
  )
}
