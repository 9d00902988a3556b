import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { Item } from '../shared/api.ts'
import { instantText } from '../shared/format.ts'
import { theme } from '../shared/settings.ts'
import type { Range } from '../shared/window-actions.tsx'
import { type Counts, countsText, worstOf } from '../shared/window-states.ts'
import { CELL, drawCell, type Palette, paletteOf } from './cells.tsx'
import { type By, labelOf, shifted } from './columns.ts'

type Row = Item<'windows.grid'>

const NAMES = 190
const HEAD = 22
const MAX_HEIGHT = 620

interface Place {
  readonly row: number
  readonly column: number
}

interface Props {
  readonly rows: readonly Row[]
  readonly columns: readonly Date[]
  readonly by: By
  readonly onSelect: (range: Range | undefined) => void
}

/** A canvas as large as the visible part: it draws only the cells that are in view, however many there are. */
export function GridCanvas({ rows, columns, by, onSelect }: Props) {
  const box = useRef<HTMLDivElement>(null)
  const canvas = useRef<HTMLCanvasElement>(null)
  const [at, setAt] = useState<Place>()
  const [anchor, setAnchor] = useState<Place>()
  const isDragging = useRef(false)
  const cells = useMemo(() => cellsOf(rows), [rows])
  const counts = (place: Place): Counts => {
    const row = rows[place.row]
    const start = columns[place.column]
    return (row && start && cells.get(row.jobId)?.get(start.getTime())) ?? {}
  }
  const chosenTheme = theme.value
  const draw = (): void => {
    if (box.current && canvas.current) paint(canvas.current, box.current, { rows, columns, by, at, anchor, counts })
  }
  const latest = useRef(draw)
  latest.current = draw
  useEffect(() => latest.current(), [rows, columns, at, anchor, chosenTheme])
  useEffect(() => {
    const element = box.current
    if (!element) return
    // The newest time is at the right end.
    element.scrollLeft = element.scrollWidth
    const again = new ResizeObserver(() => latest.current())
    again.observe(element)
    const dark = matchMedia('(prefers-color-scheme: dark)')
    const redraw = (): void => latest.current()
    dark.addEventListener('change', redraw)
    return () => {
      again.disconnect()
      dark.removeEventListener('change', redraw)
    }
  }, [])
  const select = (from: Place | undefined, to: Place | undefined): void => {
    setAnchor(from)
    setAt(to)
    onSelect(from && to ? rangeOf(rows, columns, by, from, to) : undefined)
  }
  const move = (event: KeyboardEvent): void => {
    const step = STEPS[event.key]
    if (!step) return
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
  return (
    <>
      <div
        ref={box}
        class="grid-box"
        style={{ maxHeight: `${MAX_HEIGHT}px` }}
        tabIndex={0}
        role="application"
        aria-label="Grid of windows. Arrow keys move, Shift with left and right selects."
        aria-describedby="grid-cell"
        onScroll={draw}
        onKeyDown={move}
        onPointerDown={(event) => {
          const place = placeAt(event, box.current, rows, columns)
          isDragging.current = place !== undefined
          select(place, place)
        }}
        onPointerMove={(event) => {
          const place = placeAt(event, box.current, rows, columns)
          if (!place) return
          if (isDragging.current && anchor) select(anchor, { row: anchor.row, column: place.column })
          else if (!anchor) setAt(place)
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
      <p id="grid-cell" class="note" role="status">
        {at ? describe(rows[at.row], columns[at.column], by, counts(at)) : 'Point at a cell to read it.'}
      </p>
    </>
  )
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

function cellsOf(rows: readonly Row[]): ReadonlyMap<string, ReadonlyMap<number, Counts>> {
  return new Map(
    rows.map(({ jobId, cells }) => [jobId, new Map(cells.map(({ start, counts }) => [Date.parse(start), counts]))]),
  )
}

function describe(row: Row | undefined, start: Date | undefined, by: By, counts: Counts): string {
  if (!row || !start) return ''
  return `${row.jobId} · ${by} from ${instantText(start, undefined, false)} · ${countsText(counts)}`
}

function rangeOf(rows: readonly Row[], columns: readonly Date[], by: By, one: Place, other: Place): Range | undefined {
  const row = rows[one.row]
  const from = columns[Math.min(one.column, other.column)]
  const last = columns[Math.max(one.column, other.column)]
  if (!row || !from || !last) return undefined
  return { jobId: row.jobId, from: from.toISOString(), to: shifted(last, by, 1).toISOString() }
}

function placeAt(
  event: PointerEvent,
  box: HTMLDivElement | null,
  rows: readonly Row[],
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

interface Scene extends Omit<Props, 'onSelect'> {
  readonly at: Place | undefined
  readonly anchor: Place | undefined
  readonly counts: (place: Place) => Counts
}

function paint(canvas: HTMLCanvasElement, box: HTMLDivElement, scene: Scene): void {
  const { clientWidth: width, clientHeight: height, scrollLeft, scrollTop } = box
  const scale = devicePixelRatio
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale)
    canvas.height = Math.round(height * scale)
    canvas.style.width = `${width}px`
    canvas.style.height = `${height}px`
  }
  const to = canvas.getContext('2d')
  if (!to) return
  const palette = paletteOf(box)
  to.setTransform(scale, 0, 0, scale, 0, 0)
  to.clearRect(0, 0, width, height)
  to.font = '12px system-ui, sans-serif'
  to.textBaseline = 'middle'
  const { rows, columns, by, at, anchor } = scene
  const firstColumn = Math.floor(scrollLeft / CELL)
  const lastColumn = Math.min(columns.length - 1, Math.ceil((scrollLeft + width - NAMES) / CELL))
  const firstRow = Math.floor(scrollTop / CELL)
  const lastRow = Math.min(rows.length - 1, Math.ceil((scrollTop + height - HEAD) / CELL))
  for (let row = firstRow; row <= lastRow; row += 1) {
    const y = HEAD + row * CELL - scrollTop
    for (let column = firstColumn; column <= lastColumn; column += 1)
      drawCell(to, worstOf(scene.counts({ row, column })), NAMES + column * CELL - scrollLeft, y, palette)
  }
  if (at && anchor) outline(to, at, anchor, scrollLeft, scrollTop, palette)
  else if (at) outline(to, at, at, scrollLeft, scrollTop, palette)
  to.fillStyle = palette['card'] ?? ''
  to.fillRect(0, 0, width, HEAD)
  to.fillRect(0, 0, NAMES, height)
  to.fillStyle = palette['quiet'] ?? ''
  for (let column = firstColumn; column <= lastColumn; column += 1) {
    const start = columns[column]
    const label = start && labelOf(start, by)
    const x = NAMES + column * CELL - scrollLeft
    if (label !== undefined && x >= NAMES) to.fillText(label, x, HEAD / 2)
  }
  to.fillStyle = palette['text'] ?? ''
  to.save()
  to.beginPath()
  to.rect(0, HEAD, NAMES - 6, height)
  to.clip()
  for (let row = firstRow; row <= lastRow; row += 1)
    to.fillText(rows[row]?.jobId ?? '', 2, HEAD + row * CELL - scrollTop + CELL / 2)
  to.restore()
}

function outline(
  to: CanvasRenderingContext2D,
  one: Place,
  other: Place,
  scrollLeft: number,
  scrollTop: number,
  palette: Palette,
): void {
  const from = Math.min(one.column, other.column)
  const columns = Math.abs(one.column - other.column) + 1
  to.strokeStyle = palette['text'] ?? ''
  to.lineWidth = 2
  to.strokeRect(NAMES + from * CELL - scrollLeft, HEAD + one.row * CELL - scrollTop, columns * CELL, CELL)
}
