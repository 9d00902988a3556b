import { canvasFor } from '../shared/canvas.ts'
import { CELL, type Palette } from './cells.tsx'
import { type Chunks, nameLeft, nameOf, type View } from './chunks.ts'
import { labelOf } from './columns.ts'
import { HEAD, NAMES, type Place, type Scene } from './scene.ts'

/** Returns the visible rows and columns. */
export function inView(box: HTMLElement, { rows, columns }: Pick<Scene, 'rows' | 'columns'>): View {
  const { clientWidth: width, clientHeight: height, scrollLeft, scrollTop } = box
  return {
    rows: { first: Math.floor(scrollTop / CELL), last: lastOf(rows, scrollTop + height - HEAD) },
    columns: { first: Math.floor(scrollLeft / CELL), last: lastOf(columns, scrollLeft + width - NAMES) },
  }
}

function lastOf(all: readonly unknown[], end: number): number {
  return Math.min(all.length - 1, Math.ceil(end / CELL))
}

/** Draws the visible part. */
export function paint(canvas: HTMLCanvasElement, box: HTMLElement, scene: Scene, chunks: Chunks): void {
  const to = canvasFor(canvas, box)
  if (!to) return
  const view = inView(box, scene)
  chunks.paint(to, box, scene, view)
  const { palette } = chunks.stamps
  paintDates(to, box, scene, view, palette)
  if (scene.at) paintChosen(to, box, scene, scene.at, palette)
}

function paintDates(to: CanvasRenderingContext2D, box: HTMLElement, scene: Scene, view: View, palette: Palette): void {
  const { columns, by } = scene
  to.fillStyle = palette['quiet'] ?? ''
  for (let column = view.columns.first; column <= view.columns.last; column += 1) {
    const start = columns[column]
    const label = start && labelOf(start, by)
    const x = NAMES + column * CELL - box.scrollLeft
    if (label !== undefined && x >= NAMES) to.fillText(label, x, HEAD / 2)
  }
}

/** Draws an outline around the selected cells, and the name of their row in another colour. */
function paintChosen(
  to: CanvasRenderingContext2D,
  box: HTMLElement,
  { rows, anchor }: Scene,
  at: Place,
  palette: Palette,
): void {
  const { scrollLeft, scrollTop, clientWidth, clientHeight } = box
  const { row, column } = at
  const other = anchor ?? at
  const top = HEAD + row * CELL - scrollTop
  to.save()
  to.beginPath()
  to.rect(NAMES, HEAD, clientWidth, clientHeight)
  to.clip()
  to.strokeStyle = palette['text'] ?? ''
  to.lineWidth = 2
  const from = Math.min(column, other.column)
  const count = Math.abs(column - other.column) + 1
  to.strokeRect(NAMES + from * CELL - scrollLeft, HEAD + other.row * CELL - scrollTop, count * CELL, CELL)
  to.restore()
  const { jobId = '', depth = 0 } = rows[row] ?? {}
  to.save()
  to.beginPath()
  to.rect(0, HEAD, NAMES - 6, clientHeight)
  to.clip()
  to.fillStyle = palette['card'] ?? ''
  to.fillRect(0, top, NAMES, CELL)
  to.fillStyle = palette['accent'] ?? ''
  to.fillText(nameOf(jobId, depth), nameLeft(depth), top + CELL / 2)
  to.restore()
}
