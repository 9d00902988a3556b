import { worstOf } from '../shared/window-states.ts'
import { CELL } from './cells.tsx'
import { HEAD, INDENT, NAMES, type Scene, type Stamps } from './scene.ts'
import { TILE_COLUMNS, TILE_ROWS } from './tiles.ts'

/** The rows and columns of one image. Each lies in one tile of the data. */
const ROWS = TILE_ROWS
const COLUMNS = TILE_COLUMNS / 8
/** An image takes about 600 kB of memory. */
const MAX_IMAGES = 64

interface Image {
  readonly canvas: HTMLCanvasElement
  readonly version: number
}

/**
 * Images of parts of the grid, drawn when they become visible or when their data changes. So while the grid scrolls, each frame copies a
 * few images instead of drawing thousands of cells. Other rows, columns or colours need a new instance.
 */
export class Chunks {
  readonly #stamps: Stamps
  readonly #images = new Map<string, Image>()

  constructor(stamps: Stamps) {
    this.#stamps = stamps
  }

  get stamps(): Stamps {
    return this.#stamps
  }

  /** Draws the visible cells and the names of the visible rows. */
  paint(to: CanvasRenderingContext2D, box: HTMLElement, scene: Scene, view: View): void {
    const { clientWidth: width, clientHeight: height } = box
    const [left, top] = [Math.round(box.scrollLeft), Math.round(box.scrollTop)]
    to.imageSmoothingEnabled = false
    for (let row = floorTo(view.rows.first, ROWS); row <= view.rows.last; row += ROWS)
      for (let column = floorTo(view.columns.first, COLUMNS); column <= view.columns.last; column += COLUMNS) {
        const image = this.#cells(scene, row, column)
        to.drawImage(image, NAMES + column * CELL - left, HEAD + row * CELL - top, COLUMNS * CELL, ROWS * CELL)
      }
    to.fillStyle = this.#stamps.palette['card'] ?? ''
    to.fillRect(0, 0, NAMES, height)
    for (let row = floorTo(view.rows.first, ROWS); row <= view.rows.last; row += ROWS)
      to.drawImage(this.#names(scene, row), 0, HEAD + row * CELL - top, NAMES, ROWS * CELL)
    to.fillRect(0, 0, width, HEAD)
  }

  #cells(scene: Scene, row: number, column: number): HTMLCanvasElement {
    const { rows, columns, tiles } = scene
    const jobIds = rows.slice(row, row + ROWS).map(({ jobId }) => jobId)
    const version = tiles.version(jobIds, columns[floorTo(column, TILE_COLUMNS)]?.getTime() ?? 0)
    return this.#image(`${row} ${column}`, version, COLUMNS * CELL, (to) => {
      const starts = columns.slice(column, column + COLUMNS).map((start) => start.getTime())
      for (const [y, jobId] of jobIds.entries())
        for (const [x, start] of starts.entries()) {
          const counts = tiles.counts(jobId, start)
          to.drawImage(this.#stamps.of(counts && worstOf(counts)), x * CELL, y * CELL, CELL, CELL)
        }
    })
  }

  #names({ rows }: Scene, row: number): HTMLCanvasElement {
    return this.#image(`names ${row}`, 0, NAMES, (to) => {
      to.font = '12px system-ui, sans-serif'
      to.textBaseline = 'middle'
      to.fillStyle = this.#stamps.palette['text'] ?? ''
      to.beginPath()
      to.rect(0, 0, NAMES - 6, ROWS * CELL)
      to.clip()
      for (const [y, { jobId, depth }] of rows.slice(row, row + ROWS).entries())
        to.fillText(nameOf(jobId, depth), nameLeft(depth), y * CELL + CELL / 2)
    })
  }

  #image(key: string, version: number, width: number, draw: (to: CanvasRenderingContext2D) => void): HTMLCanvasElement {
    const known = this.#images.get(key)
    // It is added again below, so the first image is always the one that has not been used for the longest time.
    this.#images.delete(key)
    if (known?.version === version) {
      this.#images.set(key, known)
      return known.canvas
    }
    const canvas = known?.canvas ?? document.createElement('canvas')
    const { scale } = this.#stamps
    // Setting the size also clears the canvas.
    canvas.width = Math.ceil(width * scale)
    canvas.height = Math.ceil(ROWS * CELL * scale)
    const to = canvas.getContext('2d')
    to?.setTransform(scale, 0, 0, scale, 0, 0)
    if (to) draw(to)
    this.#images.set(key, { canvas, version })
    const [oldest] = this.#images.keys()
    if (this.#images.size > MAX_IMAGES && oldest !== undefined) this.#images.delete(oldest)
    return canvas
  }
}

/** The visible rows and columns. */
export interface View {
  readonly rows: { readonly first: number; readonly last: number }
  readonly columns: { readonly first: number; readonly last: number }
}

export function nameOf(jobId: string, depth: number): string {
  return depth === 0 ? jobId : `↳ ${jobId}`
}

export function nameLeft(depth: number): number {
  return 2 + Math.min(depth, 8) * INDENT
}

function floorTo(value: number, step: number): number {
  return Math.floor(Math.max(0, value) / step) * step
}
