import { CELL, drawCell, type Palette } from './cells.tsx'
import type { By } from './columns.ts'
import type { GridRow } from './order.ts'
import type { Tiles } from './tiles.ts'

export const NAMES = 190
export const HEAD = 22
export const INDENT = 10

export interface Place {
  readonly row: number
  readonly column: number
}

export interface Scene {
  readonly rows: readonly GridRow[]
  readonly columns: readonly Date[]
  readonly by: By
  readonly tiles: Tiles
  /** The last cell of the selection; without a selection, the cell that the pointer was over last. */
  readonly at: Place | undefined
  /** Where the selection began. */
  readonly anchor: Place | undefined
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

  get scale(): number {
    return this.#scale
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
