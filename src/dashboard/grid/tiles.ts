import type { Item } from '../shared/api.ts'
import type { Counts } from '../shared/window-states.ts'

export const TILE_ROWS = 25
export const TILE_COLUMNS = 256
const MAX_LOADS = 3

type Loaded = readonly Item<'windows.grid'>[]

/** The visible part of a grid. `to` is the end of the last column. */
export interface View {
  readonly jobIds: readonly string[]
  readonly from: Date
  readonly to: Date
}

export type LoadTile = (view: View, signal: AbortSignal) => Promise<Loaded>

interface Tile extends View {
  readonly key: string
}

/**
 * The cells of a large grid, loaded in tiles when they become visible. The loaded cells stay while newer ones load. If the unit of the
 * columns changes, a new instance is needed.
 */
export class Tiles {
  readonly #load: LoadTile
  readonly #onChange: (error: Error | undefined) => void
  readonly #cells = new Map<string, Map<number, Counts>>()
  /** How often the cells of a job were loaded, by the beginning of their tile. */
  readonly #versions = new Map<string, Map<number, number>>()
  readonly #fresh = new Set<string>()
  /** The tiles that were loaded, even if the load failed or they are out of date. */
  readonly #known = new Set<string>()
  readonly #loading = new Map<string, AbortController>()
  #wanted: readonly Tile[] | undefined

  constructor(load: LoadTile, onChange: (error: Error | undefined) => void) {
    this.#load = load
    this.#onChange = onChange
  }

  counts(jobId: string, startMs: number): Counts | undefined {
    return this.#cells.get(jobId)?.get(startMs)
  }

  /** Returns a number that changes whenever cells of these jobs are loaded in the tile that begins at this time. */
  version(jobIds: readonly string[], tileMs: number): number {
    return jobIds.reduce((sum, jobId) => sum + (this.#versions.get(jobId)?.get(tileMs) ?? 0), 0)
  }

  /** Whether the first load of some cells of the view has not ended. */
  get isBusy(): boolean {
    return this.#wanted?.every(({ key }) => this.#known.has(key)) !== true
  }

  /** Loads the missing and the outdated tiles of a view. Aborts loads of tiles that are no longer visible. */
  show(rows: readonly string[], edges: readonly Date[], rowRange: Range, columnRange: Range): void {
    const tiles: Tile[] = []
    for (let row = floorTo(rowRange.first, TILE_ROWS); row <= rowRange.last; row += TILE_ROWS) {
      const jobIds = rows.slice(row, row + TILE_ROWS)
      for (let at = floorTo(columnRange.first, TILE_COLUMNS); at <= columnRange.last; at += TILE_COLUMNS) {
        const from = edges[at]
        const to = edges[Math.min(at + TILE_COLUMNS, edges.length - 1)]
        if (from && to && jobIds.length > 0) tiles.push({ key: `${at} ${jobIds.join(' ')}`, jobIds, from, to })
      }
    }
    this.#wanted = tiles
    const keys = new Set(tiles.map(({ key }) => key))
    for (const [key, stop] of this.#loading) {
      if (keys.has(key)) continue
      stop.abort()
      this.#loading.delete(key)
    }
    this.#next()
  }

  /** Reloads all visible cells, and the others when they become visible. */
  refresh(): void {
    this.#fresh.clear()
    this.#next()
  }

  stop(): void {
    for (const stop of this.#loading.values()) stop.abort()
    this.#loading.clear()
    this.#wanted = []
  }

  #next(): void {
    for (const tile of this.#wanted ?? []) {
      if (this.#loading.size >= MAX_LOADS) return
      if (!this.#fresh.has(tile.key) && !this.#loading.has(tile.key)) void this.#read(tile)
    }
  }

  async #read(tile: Tile): Promise<void> {
    const stop = new AbortController()
    this.#loading.set(tile.key, stop)
    this.#fresh.add(tile.key)
    let problem: Error | undefined
    try {
      const rows = await this.#load(tile, stop.signal)
      if (stop.signal.aborted) return
      this.#store(tile, rows)
    } catch (error) {
      if (stop.signal.aborted) return
      problem = error instanceof Error ? error : new Error(String(error))
    } finally {
      if (stop.signal.aborted) this.#fresh.delete(tile.key)
      else this.#loading.delete(tile.key)
    }
    this.#known.add(tile.key)
    this.#onChange(problem)
    this.#next()
  }

  #store({ jobIds, from, to }: Tile, rows: Loaded): void {
    const found = new Map(rows.map(({ jobId, cells }) => [jobId, cells]))
    const [first, end] = [from.getTime(), to.getTime()]
    for (const jobId of jobIds) {
      const cells = this.#cells.get(jobId) ?? new Map<number, Counts>()
      for (const start of cells.keys()) if (start >= first && start < end) cells.delete(start)
      for (const { start, counts } of found.get(jobId) ?? []) cells.set(Date.parse(start), counts)
      this.#cells.set(jobId, cells)
      const versions = this.#versions.get(jobId) ?? new Map<number, number>()
      this.#versions.set(jobId, versions.set(first, (versions.get(first) ?? 0) + 1))
    }
  }
}

interface Range {
  readonly first: number
  readonly last: number
}

function floorTo(value: number, step: number): number {
  return Math.floor(Math.max(0, value) / step) * step
}
