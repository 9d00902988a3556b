import type { Palette } from '../grid/cells.tsx'
import { canvasFor } from '../shared/canvas.ts'
import { instantText } from '../shared/format.ts'
import type { Bar, Row } from './rows.ts'
import { markText, marksOf } from './scale.ts'

export const NAMES = 180
export const HEAD = 24
export const LANE = 16
const GAP = 6
const BAR = 11

export interface Scene {
  readonly rows: readonly Row[]
  readonly from: number
  readonly to: number
  readonly now: number
  /** The zone of the only job that is shown; undefined if there are several. */
  readonly zone: string | undefined
  /** The bar with visible details. */
  readonly chosen: Bar | undefined
}

export function heightOf({ lanes }: Row): number {
  return Math.max(1, lanes.length) * LANE + GAP
}

/** Returns the pixel column of an instant. */
export function pixelOf(at: number, { from, to }: Pick<Scene, 'from' | 'to'>, width: number): number {
  return NAMES + ((at - from) / (to - from)) * (width - NAMES)
}

/** Returns the bar at a point of the canvas. */
export function barAt(scene: Scene, x: number, y: number, width: number): Bar | undefined {
  if (x < NAMES || y < 0) return undefined
  let top = 0
  for (const row of scene.rows) {
    const bottom = top + heightOf(row)
    if (y < bottom) {
      const lane = row.lanes[Math.floor((y - top - GAP / 2) / LANE)] ?? []
      return lane.findLast(
        (bar) => pixelOf(bar.asked, scene, width) - 2 <= x && pixelOf(bar.end, scene, width) + 3 >= x,
      )
    }
    top = bottom
  }
  return undefined
}

/** Draws the rows that are in view. */
export function paint(canvas: HTMLCanvasElement, box: HTMLElement, scene: Scene, palette: Palette): void {
  const { clientWidth: width, clientHeight: height, scrollTop } = box
  const to = canvasFor(canvas, box)
  if (!to) return
  lines(to, scene, width, height, palette)
  let top = HEAD - scrollTop
  for (const row of scene.rows) {
    if (top < height && top + heightOf(row) > HEAD) paintRow(to, row, scene, top, width, palette)
    top += heightOf(row)
  }
  head(to, scene, width, palette)
}

function lines(to: CanvasRenderingContext2D, scene: Scene, width: number, height: number, palette: Palette): void {
  to.strokeStyle = palette['line'] ?? ''
  to.lineWidth = 1
  for (const mark of marksOf(scene.from, scene.to, width - NAMES).marks)
    vertical(to, pixelOf(mark, scene, width), height)
  if (scene.now > scene.from && scene.now < scene.to) {
    to.strokeStyle = palette['accent'] ?? ''
    vertical(to, pixelOf(scene.now, scene, width), height)
  }
}

function vertical(to: CanvasRenderingContext2D, x: number, height: number): void {
  to.beginPath()
  to.moveTo(Math.round(x) + 0.5, HEAD)
  to.lineTo(Math.round(x) + 0.5, height)
  to.stroke()
}

function paintRow(
  to: CanvasRenderingContext2D,
  row: Row,
  scene: Scene,
  top: number,
  width: number,
  palette: Palette,
): void {
  to.strokeStyle = palette['line'] ?? ''
  to.strokeRect(-1, Math.round(top + heightOf(row)) - 0.5, width + 2, 0)
  to.save()
  to.beginPath()
  to.rect(NAMES, HEAD, width - NAMES, 1e6)
  to.clip()
  for (const [index, lane] of row.lanes.entries())
    for (const bar of lane) paintBar(to, bar, scene, top + GAP / 2 + index * LANE + (LANE - BAR) / 2, width, palette)
  to.restore()
  to.save()
  to.beginPath()
  to.rect(0, HEAD, NAMES - 8, 1e6)
  to.clip()
  to.fillStyle = palette['text'] ?? ''
  to.fillText(row.name, 4, top + GAP / 2 + LANE / 2)
  to.restore()
}

/**
 * Draws a bar. A thin line begins at the tick, an open box when the run was due, a low box at the claim, and a full box at the start of the
 * handler.
 */
function paintBar(
  to: CanvasRenderingContext2D,
  bar: Bar,
  scene: Scene,
  y: number,
  width: number,
  palette: Palette,
): void {
  const x = (at: number): number => pixelOf(at, scene, width)
  const middle = y + BAR / 2
  const claimed = bar.claimed ?? bar.end
  if (x(bar.end) < NAMES || x(bar.asked) > width) return
  to.strokeStyle = palette['queued'] ?? ''
  to.lineWidth = 1.5
  to.beginPath()
  to.moveTo(x(bar.asked), middle - 4)
  to.lineTo(x(bar.asked), middle + 4)
  to.moveTo(x(bar.asked), middle)
  to.lineTo(x(bar.due), middle)
  to.stroke()
  if (x(claimed) - x(bar.due) > 1) {
    to.lineWidth = 1
    to.strokeRect(x(bar.due) + 0.5, y + 2.5, x(claimed) - x(bar.due) - 1, BAR - 5)
  }
  if (bar.claimed !== undefined) {
    to.fillStyle = palette[bar.run.state] ?? palette['quiet'] ?? ''
    const begun = bar.begun ?? bar.claimed
    if (x(begun) - x(bar.claimed) > 1) to.fillRect(x(bar.claimed), middle - 1.5, x(begun) - x(bar.claimed), 3)
    const length = Math.max(2, x(bar.end) - x(begun))
    to.fillRect(x(begun), y, length, BAR)
    if (bar.run.state === 'failed') cross(to, x(begun) + Math.min(length, 8) / 2, middle, palette)
  }
  if (scene.chosen?.run.id === bar.run.id) {
    to.strokeStyle = palette['text'] ?? ''
    to.lineWidth = 2
    to.strokeRect(x(bar.asked) - 2, y - 2, x(bar.end) - x(bar.asked) + 5, BAR + 4)
  }
}

/** Draws a cross, so that people can recognise failed runs without the colour. */
function cross(to: CanvasRenderingContext2D, x: number, y: number, palette: Palette): void {
  to.strokeStyle = palette['card'] ?? ''
  to.lineWidth = 1.5
  to.beginPath()
  to.moveTo(x - 3, y - 3)
  to.lineTo(x + 3, y + 3)
  to.moveTo(x + 3, y - 3)
  to.lineTo(x - 3, y + 3)
  to.stroke()
}

function head(to: CanvasRenderingContext2D, scene: Scene, width: number, palette: Palette): void {
  to.fillStyle = palette['card'] ?? ''
  to.fillRect(0, 0, width, HEAD)
  to.fillStyle = palette['quiet'] ?? ''
  const { stepMs, marks } = marksOf(scene.from, scene.to, width - NAMES)
  for (const mark of marks) {
    const text = markText(instantText(new Date(mark), scene.zone), stepMs)
    const x = pixelOf(mark, scene, width) + 3
    if (x + to.measureText(text).width <= width) to.fillText(text, x, HEAD / 2)
  }
}
