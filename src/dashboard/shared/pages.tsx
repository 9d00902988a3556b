import { useRef } from 'preact/hooks'
import { query, setQuery } from './router.ts'

type Cursor = string | undefined

/** The current page of a long list, and functions that go to other pages. */
export interface Pages {
  /** Where the current page begins; undefined: the first page. */
  readonly cursor: Cursor
  /** Goes to the previous page; undefined on the first page. */
  readonly back: (() => void) | undefined
  readonly on: (next: string) => void
  /** Goes to the first page; called when the filter has changed. */
  readonly restart: () => void
}

/**
 * The page of a list, which the address contains. A page that was opened by its address does not know the pages before it, so from there
 * the way back leads to the first one.
 *
 * @param name the parameter of the address; each list of a page has its own
 */
export function usePages(name = 'cursor'): Pages {
  const cursor = query.value.get(name) ?? undefined
  const before = useRef<Cursor[]>([])
  const show = (next: Cursor): void => setQuery({ [name]: next })
  return {
    cursor,
    back: cursor === undefined ? undefined : () => show(before.current.pop()),
    on: (next) => {
      before.current.push(cursor)
      show(next)
    },
    restart: () => {
      before.current = []
      show(undefined)
    },
  }
}

interface PageButtonsProps {
  readonly pages: Pages
  /** The cursor of the next page; undefined on the last one. */
  readonly next: Cursor
  /** The plural noun for the entries, such as `runs`. */
  readonly of: string
  /** The labels of the buttons. Default: those for a list that begins with the newest entry. */
  readonly words?: readonly [back: string, on: string]
}

export function PageButtons({
  pages: { back, on },
  next,
  of,
  words: [less, more] = ['Newer', 'Older'],
}: PageButtonsProps) {
  if (back === undefined && next === undefined) return null
  return (
    <nav class="row pages" aria-label={`Pages of ${of}`}>
      <button type="button" disabled={back === undefined} onClick={() => back?.()}>
        {less}
      </button>
      <button type="button" disabled={next === undefined} onClick={() => next !== undefined && on(next)}>
        {more}
      </button>
    </nav>
  )
}

/** The labels of the buttons for a list that is not ordered by time. */
export const BY_NAME = ['Previous', 'Next'] as const
