import { toError } from '../../errors.ts'
import { checkRows } from '../../sink/check-rows.ts'
import { routesOf, type Routes } from '../../sink/routes.ts'
import type { RowModel, SinkClass, SinkMap, SinkWriter } from '../../sink/sink.ts'
import { WatchedWrite } from '../../sink/watched-write.ts'

/** The maximum number of rows of one sink that a trial returns. */
const MAX_SHOWN = 1_000

/** The rows that a step wrote to a sink during a trial. The sink did not receive them. */
export interface TriedRows {
  readonly count: number
  /** The first 1,000 rows, in the output form of their models. */
  readonly rows: readonly unknown[]
}

/** A writer for a trial. It checks rows as the sink does, but only keeps them to return them. */
export class TriedWriter implements SinkWriter {
  readonly #name: string
  readonly #routes: Routes
  readonly #unseen = new Set<Error>()
  readonly #rows: unknown[] = []
  #count = 0

  constructor(key: string, sink: SinkClass) {
    this.#name = sink.name || key
    this.#routes = routesOf(sink)
  }

  write(to: RowModel | string, rows: unknown): Promise<void> {
    try {
      const list: readonly unknown[] = Array.isArray(rows) ? rows : [rows]
      const checked = checkRows(this.#name, this.#routes.find(this.#name, to), list)
      this.#count += checked.length
      this.#rows.push(...checked.slice(0, MAX_SHOWN - this.#rows.length))
      return Promise.resolve()
    } catch (thrown) {
      const refusal = toError(thrown)
      this.#unseen.add(refusal)
      return new WatchedWrite(Promise.reject(refusal), () => this.#unseen.delete(refusal))
    }
  }

  /** @throws the error of a refused write that was not awaited */
  flush(): void {
    for (const refusal of this.#unseen) throw refusal
  }

  get tried(): TriedRows {
    return { count: this.#count, rows: this.#rows }
  }
}

export function triedWriters(sinks: SinkMap | undefined): Readonly<Record<string, TriedWriter>> {
  return Object.fromEntries(Object.entries(sinks ?? {}).map(([key, sink]) => [key, new TriedWriter(key, sink)]))
}
