import { canvasFor } from '../shared/canvas.ts'
import { worstOf } from '../shared/window-states.ts'
import { CELL, drawCell, type Palette } from './cells.tsx'
import { type By, labelOf } from './columns.ts'
import type { GridRow } from './order.ts'
import type { Tiles } from './tiles.ts'

export const NAMES = 190
export const HEAD = 22
const INDENT = 10

export interface Place {
  readonly row: number
  readonly column: number
}

export interface Scene {
  readonly rows: readonly GridRow[]
  readonly columns: readonly Date[]
  readonly by: By
  readonly tiles: Tiles
  /** The cell under the pointer, or the cell that the keyboard has selected. */
  readonly at: Place | undefined
  /** Where the selection began. */
  readonly anchor: Place | undefined
}

/** Returns the visible rows and columns. */
export function inView(box: HTMLElement, { rows, columns }: Pick<Scene, 'rows' | 'columns'>) {
  const { clientWidth: width, clientHeight: height, scrollLeft, scrollTop } = box
  return {
    rows: { first: Math.floor(scrollTop / CELL), last: lastOf(rows, scrollTop + height - HEAD) },
    columns: { first: Math.floor(scrollLeft / CELL), last: lastOf(columns, scrollLeft + width - NAMES) },
  }
}

function lastOf(all: readonly unknown[], end: number): number {
  return Math.min(all.length - 1, Math.ceil(end / CELL))
}

/** Prepared images of the states. Drawing a frame only copies their pixels. */
export class Stamps {
  readonly #scale: number
  readonly #palette: Palette
  readonly #made = new Map<string | undefined, HTMLCanvasElement>()

  constructor(palette: Palette, scale: number) {
    this.#palette = palette
    this.#scale = scale
  }

  get palette(): Palette {
    return this.#palette
  }

  of(state: string | undefined): HTMLCanvasElement {
    const known = this.#made.get(state)
    if (known) return known
    const canvas = document.createElement('canvas')
    canvas.width = canvas.height = Math.ceil(CELL * this.#scale)
    const to = canvas.getContext('2d')
    if (to) {
      to.setTransform(this.#scale, 0, 0, this.#scale, 0, 0)
      drawCell(to, state, 0, 0, this.#palette)
    }
    this.#made.set(state, canvas)
    return canvas
  }
}

/** Draws the visible part. */
export function paint(canvas: HTMLCanvasElement, box: HTMLElement, scene: Scene, stamps: Stamps): void {
  const { clientWidth: width, clientHeight: height, scrollLeft, scrollTop } = box
  const to = canvasFor(canvas, box)
  if (!to) return
  const { rows, columns, tiles, at, anchor } = scene
  const view = inView(box, scene)
  for (let row = view.rows.first; row <= view.rows.last; row += 1) {
    const jobId = rows[row]?.jobId ?? ''
    const y = HEAD + row * CELL - scrollTop
    for (let column = view.columns.first; column <= view.columns.last; column += 1) {
      const counts = tiles.counts(jobId, columns[column]?.getTime() ?? 0)
      to.drawImage(stamps.of(counts && worstOf(counts)), NAMES + column * CELL - scrollLeft, y, CELL, CELL)
    }
  }
  const { palette } = stamps
  if (at) outline(to, at, anchor ?? at, box, palette)
  to.fillStyle = palette['card'] ?? ''
  to.fillRect(0, 0, width, HEAD)
  to.fillRect(0, 0, NAMES, height)
  paintLabels(to, box, scene, palette)
}

function paintLabels(to: CanvasRenderingContext2D, box: HTMLElement, scene: Scene, palette: Palette): void {
  const { scrollLeft, scrollTop, clientHeight } = box
  const { rows, columns, by, at } = scene
  const view = inView(box, scene)
  to.fillStyle = palette['quiet'] ?? ''
  for (let column = view.columns.first; column <= view.columns.last; column += 1) {
    const start = columns[column]
    const label = start && labelOf(start, by)
    const x = NAMES + column * CELL - scrollLeft
    if (label !== undefined && x >= NAMES) to.fillText(label, x, HEAD / 2)
  }
  to.save()
  to.beginPath()
  to.rect(0, HEAD, NAMES - 6, clientHeight)
  to.clip()
  for (let row = view.rows.first; row <= view.rows.last; row += 1) {
    const { jobId = '', depth = 0 } = rows[row] ?? {}
    to.fillStyle = palette[row === at?.row ? 'accent' : 'text'] ?? ''
    const name = depth === 0 ? jobId : `↳ ${jobId}`
    to.fillText(name, 2 + Math.min(depth, 8) * INDENT, HEAD + row * CELL - scrollTop + CELL / 2)
  }
  to.restore()
}

function outline(to: CanvasRenderingContext2D, one: Place, other: Place, box: HTMLElement, palette: Palette): void {
  const from = Math.min(one.column, other.column)
  const columns = Math.abs(one.column - other.column) + 1
  to.strokeStyle = palette['text'] ?? ''
  to.lineWidth = 2
  to.strokeRect(NAMES + from * CELL - box.scrollLeft, HEAD + other.row * CELL - box.scrollTop, columns * CELL, CELL)
}
