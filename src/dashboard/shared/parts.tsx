import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { ApiError, limitedTo, part } from './api.ts'
import { distanceText, instantText } from './format.ts'
import type { Loaded } from './load.ts'
import { now } from './live.ts'
import { go } from './router.ts'
import { useZone } from './zones.tsx'

const FORBIDDEN = 403
const NOT_FOUND = 404

/** The maximum length of the text in one element. Longer text would make the page slow. */
const MAX_TEXT = 50_000
const MAX_TITLE = 1_000

type Children = { readonly children?: ComponentChildren }

/** A page with its heading. */
export function Page({
  title,
  aside,
  children,
}: Children & { readonly title: ComponentChildren; readonly aside?: ComponentChildren }) {
  return (
    <>
      <header class="page-head">
        <h1>{title}</h1>
        <div class="row">{aside}</div>
      </header>
      {children}
    </>
  )
}

export function Card({
  title,
  aside,
  children,
}: Children & { readonly title: string; readonly aside?: ComponentChildren }) {
  return (
    <section class="card" aria-label={title}>
      <header class="card-head">
        <h2>{title}</h2>
        <div class="row">{aside}</div>
      </header>
      {children}
    </section>
  )
}

/** Shown in place of an empty list. It suggests the next step. */
export function Empty({ title, children }: Children & { readonly title: string }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children}
    </div>
  )
}

export function Failure({ error, retry }: { readonly error: Error; readonly retry: () => void }) {
  if (error instanceof ApiError && error.status === FORBIDDEN) {
    return (
      <div class="failure" role="alert">
        <p>You are not allowed to see this: {error.message}</p>
        {limitedTo.value && <Allowed globs={limitedTo.value} />}
      </div>
    )
  }
  return (
    <div class="failure" role="alert">
      <p>{error.message}</p>
      <p class="row">
        <button type="button" onClick={retry}>
          Try again
        </button>
        {error instanceof ApiError && error.status === NOT_FOUND && <a href="/">Go to the overview</a>}
      </p>
    </div>
  )
}

/** Shown to a token that is limited to some jobs, in place of a page that it may not see: links to the pages of its jobs. */
function Allowed({ globs }: { readonly globs: readonly string[] }) {
  const [typed, setTyped] = useState('')
  const isExact = (glob: string): boolean => !/[*?]/.test(glob)
  return (
    <>
      <p>You may see these jobs, their runs and windows:</p>
      <ul>
        {globs.filter(isExact).map((id) => (
          <li key={id}>
            <a href={`/jobs/${part(id)}`}>{id}</a> · <a href={`/runs?jobId=${part(id)}`}>runs</a> ·{' '}
            <a href={`/timeline?jobId=${part(id)}`}>timeline</a> · <a href={`/why/${part(id)}`}>why?</a>
          </li>
        ))}
        {!globs.every(isExact) && (
          <li>
            <form
              class="row fields"
              onSubmit={(event) => {
                event.preventDefault()
                if (typed !== '') go(`/jobs/${part(typed)}`)
              }}
            >
              <label>
                The id of a job that matches {globs.filter((glob) => !isExact(glob)).join(', ')}
                <input required value={typed} onInput={({ currentTarget }) => setTyped(currentTarget.value.trim())} />
              </label>
              <button type="submit">Open</button>
            </form>
          </li>
        )}
      </ul>
    </>
  )
}

/** Shows data when it is loaded. After an error, the old data stays visible below the error. */
export function Shown<T>({
  of,
  children,
}: {
  readonly of: Loaded<T>
  readonly children: (data: T) => ComponentChildren
}) {
  return (
    <>
      {of.error && <Failure error={of.error} retry={of.retry} />}
      {of.data === undefined ? !of.error && <p class="loading">Loading…</p> : children(of.data)}
    </>
  )
}

/**
 * An instant in the chosen zone: UTC, the browser's zone, or the zone of the job to which this part of the page belongs. Its tooltip shows
 * it in UTC.
 */
export function Instant({ at, away = false }: { readonly at: string | undefined; readonly away?: boolean }) {
  const zone = useZone()
  if (at === undefined) return <span class="quiet">—</span>
  return (
    <time dateTime={at} title={`${at} (UTC)`}>
      {instantText(at, zone)}
      {away && <span class="quiet"> {distanceText(at, now.value)}</span>}
    </time>
  )
}

/** A button that copies text. */
export function Copy({ text, label }: { readonly text: string; readonly label: string }) {
  const [said, setSaid] = useState<string>()
  const copy = (): void => {
    navigator.clipboard.writeText(text).then(
      () => setSaid('Copied'),
      () => setSaid('The browser refused'),
    )
  }
  return (
    <button
      type="button"
      class="small"
      title={text.slice(0, MAX_TITLE)}
      onClick={copy}
      onBlur={() => setSaid(undefined)}
    >
      <span aria-live="polite">{said ?? label}</span>
    </button>
  )
}

/** Stored text, such as JSON or a stack, with its line breaks. */
export function Block({ text, label }: { readonly text: string; readonly label: string }) {
  const isLong = text.length > MAX_TEXT
  return (
    <>
      <pre class="block" tabIndex={0} role="region" aria-label={label}>
        {isLong ? `${text.slice(0, MAX_TEXT)}…` : text}
      </pre>
      {isLong && (
        <p class="note">
          Only the first {MAX_TEXT} of {text.length} characters are shown. <Copy label="Copy all" text={text} />
        </p>
      )}
    </>
  )
}

/** The title of a column. With `isNumber` it is aligned like the numbers below it. */
export type Column = string | { readonly title: string; readonly isNumber: true }

/** A table that scrolls separately from the page, even by keyboard. Its children are the rows. */
export function Table({
  label,
  columns,
  children,
}: Children & { readonly label: string; readonly columns: readonly Column[] }) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={label}>
      <table>
        <thead>
          <tr>
            {columns.map((column) =>
              typeof column === 'string' ? (
                <th key={column} scope="col">
                  {column}
                </th>
              ) : (
                <th key={column.title} scope="col" class="number">
                  {column.title}
                </th>
              ),
            )}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  )
}
