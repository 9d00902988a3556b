import { useEffect, useRef, useState } from 'preact/hooks'
import { RUN_LOG_LEVELS } from '../../run/run-log.ts'
import { get, type Item } from '../shared/api.ts'
import { instantText, jsonText } from '../shared/format.ts'
import { isHeld } from '../shared/live.ts'
import { useLoad } from '../shared/load.ts'
import { Card, Copy, Shown } from '../shared/parts.tsx'
import { query, setQuery } from '../shared/router.ts'
import { useZone } from '../shared/zones.tsx'

type Line = Item<'runs.logs'>

const PAGE = 500
const FOLLOW_MS = 1_000
/** The maximum number of log lines on the page, because more would make it slow. */
const MAX_LINES = 2_000
const MAX_CHARACTERS = 4_000
/** New lines scroll into view only if the list is scrolled to its end, within this many pixels. */
const END_PIXELS = 40

/** The log lines of a run. New lines appear while it runs. */
export function Logs({ runId, isRunning }: { readonly runId: number; readonly isRunning: boolean }) {
  const level = query.value.get('level') ?? undefined
  const search = query.value.get('log') ?? ''
  const [reader] = useState(() => new LogReader())
  const loaded = useLoad(`logs ${runId} ${level}`, (signal) => reader.read(runId, level, signal))
  // Log lines cause no event, so the page polls them.
  const read = useRef(loaded.retry)
  read.current = loaded.retry
  useEffect(() => {
    if (!isRunning) return
    const timer = setInterval(() => !document.hidden && !isHeld.peek() && read.current(), FOLLOW_MS)
    return () => clearInterval(timer)
  }, [isRunning])
  return (
    <Card
      title="Log"
      aside={
        <div class="row">
          <label class="search">
            Search
            <input
              type="search"
              value={search}
              onInput={({ currentTarget }) => setQuery({ log: currentTarget.value })}
            />
          </label>
          <label class="search">
            Level
            <select value={level ?? ''} onChange={({ currentTarget }) => setQuery({ level: currentTarget.value })}>
              <option value="">all</option>
              {RUN_LOG_LEVELS.map((one) => (
                <option key={one}>{one}</option>
              ))}
            </select>
          </label>
        </div>
      }
    >
      <Shown of={loaded}>{(lines) => <Lines lines={lines} search={search} />}</Shown>
    </Card>
  )
}

/** Reads log lines, and continues where the last read ended. The last page is read again, because it may have new lines. */
class LogReader {
  #key = ''
  #before: Line[] = []
  #cursor: string | undefined

  async read(runId: number, level: string | undefined, signal: AbortSignal): Promise<readonly Line[]> {
    const key = `${runId} ${level}`
    if (key !== this.#key) this.#begin(key)
    for (;;) {
      const page = await get<'runs.logs'>(`/runs/${runId}/logs`, { level, limit: PAGE, cursor: this.#cursor }, signal)
      if (page.next === undefined) return [...this.#before, ...page.items].slice(-MAX_LINES)
      this.#before = [...this.#before, ...page.items].slice(-MAX_LINES)
      this.#cursor = page.next
    }
  }

  #begin(key: string): void {
    this.#key = key
    this.#before = []
    this.#cursor = undefined
  }
}

function Lines({ lines, search }: { readonly lines: readonly Line[]; readonly search: string }) {
  const zone = useZone()
  const box = useRef<HTMLDivElement>(null)
  const isAtEnd = useRef(true)
  const last = lines.at(-1)?.id
  // If the user reads an earlier line, the list does not scroll.
  useEffect(() => {
    if (isAtEnd.current && box.current) box.current.scrollTop = box.current.scrollHeight
  }, [last, search])
  const wanted = search.toLowerCase()
  const found = wanted === '' ? lines : lines.filter(({ message }) => message.toLowerCase().includes(wanted))
  if (found.length === 0)
    return (
      <p class="quiet">
        {lines.length === 0 ? 'The handler has logged nothing (ctx.log).' : 'No line contains this text.'}
      </p>
    )
  return (
    <>
      {lines.length === MAX_LINES && (
        <p class="note">Only the last {MAX_LINES} lines are shown. piko runs logs has all.</p>
      )}
      <div
        ref={box}
        class="log"
        tabIndex={0}
        role="log"
        aria-label="Log lines"
        onScroll={({ currentTarget: { scrollTop, clientHeight, scrollHeight } }) =>
          (isAtEnd.current = scrollTop + clientHeight > scrollHeight - END_PIXELS)
        }
      >
        {found.map((line) => (
          <div key={line.id} class={`log-line log-${line.level}`}>
            <span class="quiet">{instantText(line.at, zone)}</span> <span class="log-level">{line.level}</span>{' '}
            <bdi>{line.message.slice(0, MAX_CHARACTERS)}</bdi>
            {line.message.length > MAX_CHARACTERS && (
              <>
                … <Copy label={`Copy all ${line.message.length} characters`} text={line.message} />
              </>
            )}
            {line.fields && <span class="quiet"> {jsonText(line.fields).slice(0, MAX_CHARACTERS)}</span>}
          </div>
        ))}
      </div>
    </>
  )
}
