import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { get, part } from '../shared/api.ts'
import { go, query, setQuery } from '../shared/router.ts'
import { revision } from '../shared/live.ts'
import { Failure } from '../shared/parts.tsx'
import { theme } from '../shared/settings.ts'
import type { Range } from '../actions/of-windows.ts'
import { CellDetails } from './cell-details.tsx'
import { CELL, paletteOf } from './cells.tsx'
import { type By, shifted } from './columns.ts'
import type { GridRow } from './order.ts'
import { Chunks } from './chunks.ts'
import { inView, paint } from './paint.ts'
import { HEAD, NAMES, type Place, type Scene, Stamps } from './scene.ts'
import { Tiles } from './tiles.ts'

const MAX_HEIGHT = 620
const SETTLED_MS = 200

interface Props {
  readonly rows: readonly GridRow[]
  readonly columns: readonly Date[]
  readonly by: By
  /** The range that is selected when the grid opens. */
  readonly selected: Range | undefined
  readonly onSelect: (range: Range | undefined) => void
}

/** A canvas as large as the visible part. It draws only the visible cells, and loads them when they become visible. */
export function GridCanvas({ rows, columns, by, selected, onSelect }: Props) {
  const box = useRef<HTMLDivElement>(null)
  const canvas = useRef<HTMLCanvasElement>(null)
  const [first, last] = useMemo(() => placesOf(rows, columns, selected), [])
  const [at, setAt] = useState(last)
  const [anchor, setAnchor] = useState(first)
  const [error, setError] = useState<Error>()
  const [, redraw] = useState(0)
  const isDragging = useRef(false)
  const tiles = useMemo(
    () =>
      new Tiles(
        async ({ jobIds, from, to }, signal) => {
          const range = { from: from.toISOString(), to: to.toISOString() }
          const wanted = { ...range, by, jobIds: jobIds.join(','), limit: jobIds.length }
          return (await get<'windows.grid'>('/windows/grid', wanted, signal)).items
        },
        (problem) => {
          setError(problem)
          redraw((count) => count + 1)
        },
      ),
    [by],
  )
  useEffect(() => () => tiles.stop(), [tiles])
  const draw = useDrawing(box, canvas, { rows, columns, by, tiles, at, anchor })
  const version = revision.value
  const isFirst = useRef(true)
  useEffect(() => {
    if (!isFirst.current) tiles.refresh()
    isFirst.current = false
  }, [version])
  useEffect(() => scrollToStart(box.current, columns), [by, columns.length])
  const shownBy = useRef(by)
  useEffect(() => {
    if (shownBy.current === by) return
    shownBy.current = by
    // The columns show other times now, so nothing is selected. The row is kept.
    setAnchor(undefined)
    setAt((before) => before && { row: before.row, column: Math.min(before.column, columns.length - 1) })
    onSelect(undefined)
  }, [by])
  const select = (from: Place | undefined, to: Place | undefined): void => {
    setAnchor(from)
    setAt(to)
    onSelect(from && to ? rangeOf(rows, columns, by, from, to) : undefined)
  }
  const move = (event: KeyboardEvent): void => {
    const step = STEPS[event.key]
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return
    event.preventDefault()
    const before = at ?? { row: 0, column: columns.length - 1 }
    const isRange = event.shiftKey && step[0] === 0
    const next = {
      row: Math.max(0, Math.min(rows.length - 1, before.row + step[0])),
      column: Math.max(0, Math.min(columns.length - 1, before.column + step[1])),
    }
    select(isRange ? (anchor ?? before) : next, next)
    if (box.current) reveal(box.current, next)
  }
  const hovered = at && rows[at.row]
  const start = at && columns[at.column]
  return (
    <>
      {error && <Failure error={error} retry={() => tiles.refresh()} />}
      <div
        ref={box}
        class="grid-box"
        style={{ maxHeight: `${MAX_HEIGHT}px` }}
        tabIndex={0}
        role="application"
        aria-label="Grid of windows. Arrow keys move, Shift with left and right selects."
        aria-describedby="grid-cell"
        aria-busy={tiles.isBusy}
        onScroll={draw}
        onKeyDown={move}
        onPointerDown={(event) => {
          if (box.current && isName(event, box.current)) {
            const row = rowAt(event, box.current, rows)
            if (row) go(`/jobs/${part(row.jobId)}`)
            return
          }
          const place = placeAt(event, box.current, rows, columns)
          isDragging.current = place !== undefined
          if (place && event.shiftKey && anchor?.row === place.row) select(anchor, place)
          else select(place, place)
        }}
        onPointerMove={(event) => {
          const place = placeAt(event, box.current, rows, columns)
          if (!place) return
          if (isDragging.current && anchor) select(anchor, { row: anchor.row, column: place.column })
          else if (!anchor && (place.row !== at?.row || place.column !== at.column)) setAt(place)
        }}
        onPointerUp={() => (isDragging.current = false)}
      >
        <div
          class="grid-sizer"
          style={{ width: `${NAMES + columns.length * CELL}px`, height: `${HEAD + rows.length * CELL}px` }}
        >
          <canvas ref={canvas} aria-hidden="true" />
        </div>
      </div>
      {hovered && start ? (
        <CellDetails row={hovered} start={start} by={by} counts={tiles.counts(hovered.jobId, start.getTime()) ?? {}} />
      ) : (
        <p id="grid-cell" class="note" role="status">
          Point at a cell to read it.
        </p>
      )}
    </>
  )
}

/** Loads and draws what is visible, at most once per frame. */
function useDrawing(
  box: { readonly current: HTMLDivElement | null },
  canvas: { readonly current: HTMLCanvasElement | null },
  scene: Scene,
): () => void {
  const latest = useRef(scene)
  latest.current = scene
  const chunks = useRef<Chunks>(undefined)
  const { rows, columns, by } = scene
  useMemo(() => (chunks.current = undefined), [rows, columns, by])
  const ids = useMemo(() => rows.map(({ jobId }) => jobId), [rows])
  const edges = useMemo(() => {
    const last = columns.at(-1)
    return last ? [...columns, shifted(last, by, 1)] : []
  }, [columns, by])
  const lists = useRef({ ids, edges })
  lists.current = { ids, edges }
  const frame = useRef(0)
  const settled = useRef<ReturnType<typeof setTimeout>>(undefined)
  const paintNow = (): void => {
    frame.current = 0
    if (!box.current || !canvas.current) return
    if (chunks.current?.stamps.scale !== devicePixelRatio)
      chunks.current = new Chunks(new Stamps(paletteOf(box.current), devicePixelRatio))
    const shown = latest.current
    const view = inView(box.current, shown)
    shown.tiles.show(lists.current.ids, lists.current.edges, view.rows, view.columns)
    paint(canvas.current, box.current, shown, chunks.current)
  }
  const draw = (): void => {
    frame.current ||= requestAnimationFrame(paintNow)
    clearTimeout(settled.current)
    settled.current = setTimeout(() => box.current && keepPlace(box.current, latest.current.columns), SETTLED_MS)
  }
  useEffect(draw)
  const chosen = theme.value
  useEffect(() => {
    chunks.current = undefined
    draw()
  }, [chosen])
  useEffect(() => {
    const again = new ResizeObserver(draw)
    if (box.current) again.observe(box.current)
    const dark = matchMedia('(prefers-color-scheme: dark)')
    const recolour = (): void => {
      chunks.current = undefined
      draw()
    }
    dark.addEventListener('change', recolour)
    return () => {
      again.disconnect()
      dark.removeEventListener('change', recolour)
      cancelAnimationFrame(frame.current)
      clearTimeout(settled.current)
    }
  }, [])
  return draw
}

/**
 * Keeps the first visible column in the page's address, so that a link shows the same view. At the end of the grid, the address has none.
 */
function keepPlace(box: HTMLElement, columns: readonly Date[]): void {
  const isAtEnd = box.scrollLeft + box.clientWidth >= box.scrollWidth - CELL
  const first = columns[Math.floor(box.scrollLeft / CELL)]?.toISOString()
  const at = isAtEnd ? undefined : first
  if (at !== (query.peek().get('at') ?? undefined)) setQuery({ at })
}

/** Scrolls to the instant in the page's address, otherwise to the newest time. */
function scrollToStart(box: HTMLElement | null, columns: readonly Date[]): void {
  if (!box) return
  const at = query.peek().get('at')
  const index = at === null ? -1 : columns.findIndex((start) => start >= new Date(at))
  box.scrollLeft = index >= 0 ? index * CELL : box.scrollWidth
}

const STEPS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  PageUp: [-20, 0],
  PageDown: [20, 0],
  Home: [0, -1_000_000],
  End: [0, 1_000_000],
}

/** Returns the first and the last place of a range, or nothing if the grid does not show it. */
function placesOf(
  rows: readonly GridRow[],
  columns: readonly Date[],
  range: Range | undefined,
): readonly [Place?, Place?] {
  if (!range) return []
  const row = rows.findIndex(({ jobId }) => jobId === range.jobId)
  const inside = columns.flatMap((start, index) =>
    start >= new Date(range.from) && start < new Date(range.to) ? [index] : [],
  )
  const [first, last] = [inside[0], inside.at(-1)]
  if (row < 0 || first === undefined || last === undefined) return []
  return [
    { row, column: first },
    { row, column: last },
  ]
}

function rangeOf(
  rows: readonly GridRow[],
  columns: readonly Date[],
  by: By,
  one: Place,
  other: Place,
): Range | undefined {
  const row = rows[one.row]
  const from = columns[Math.min(one.column, other.column)]
  const last = columns[Math.max(one.column, other.column)]
  if (!row || !from || !last) return undefined
  return { jobId: row.jobId, from: from.toISOString(), to: shifted(last, by, 1).toISOString() }
}

function isName(event: PointerEvent, box: HTMLElement): boolean {
  return event.clientX - box.getBoundingClientRect().left < NAMES
}

function rowAt(event: PointerEvent, box: HTMLElement, rows: readonly GridRow[]): GridRow | undefined {
  const y = event.clientY - box.getBoundingClientRect().top - HEAD
  return y < 0 ? undefined : rows[Math.floor((y + box.scrollTop) / CELL)]
}

function placeAt(
  event: PointerEvent,
  box: HTMLDivElement | null,
  rows: readonly GridRow[],
  columns: readonly Date[],
): Place | undefined {
  if (!box) return undefined
  const { left, top } = box.getBoundingClientRect()
  const [x, y] = [event.clientX - left - NAMES, event.clientY - top - HEAD]
  if (x < 0 || y < 0) return undefined
  const place = { row: Math.floor((y + box.scrollTop) / CELL), column: Math.floor((x + box.scrollLeft) / CELL) }
  return place.row < rows.length && place.column < columns.length ? place : undefined
}

function reveal(box: HTMLDivElement, { row, column }: Place): void {
  const [x, y] = [column * CELL, row * CELL]
  const [width, height] = [box.clientWidth - NAMES - CELL, box.clientHeight - HEAD - CELL]
  box.scrollLeft = Math.max(x - width, Math.min(box.scrollLeft, x))
  box.scrollTop = Math.max(y - height, Math.min(box.scrollTop, y))
}
