/** The first and the last number of consecutive batches. */
type Range = [first: number, last: number]

interface Stored {
  /** The numbers of batches by series. All batches of one route of a sink are one series. */
  readonly series?: Readonly<Record<string, readonly Range[]>>
  /** The names of batches without a number, such as parts of a batch. */
  readonly others?: readonly string[]
}

/** Matches a numbered batch: its name ends with its number within the series. */
const NUMBERED = /^(.*)\/(\d{1,15})$/s

/**
 * Which batches of one claim a table contains. Numbers are stored as ranges, so a million consecutive batches need as little space as one.
 * Immutable.
 */
export class Delivered {
  static readonly none = new Delivered(new Map(), new Set())
  readonly #series: ReadonlyMap<string, readonly Range[]>
  readonly #others: ReadonlySet<string>

  private constructor(series: ReadonlyMap<string, readonly Range[]>, others: ReadonlySet<string>) {
    this.#series = series
    this.#others = others
  }

  /**
   * Parses the text of {@link toString}.
   *
   * @throws SyntaxError if the text is not JSON. The shape of the JSON is not checked
   */
  static from(text: string): Delivered {
    if (text === '') return Delivered.none
    const { series = {}, others = [] } = JSON.parse(text) as Stored
    return new Delivered(new Map(Object.entries(series)), new Set(others))
  }

  has(batch: string): boolean {
    const [series, number] = placeOf(batch)
    if (series === undefined) return this.#others.has(batch)
    return (this.#series.get(series) ?? []).some(([first, last]) => number >= first && number <= last)
  }

  with(batch: string): Delivered {
    if (this.has(batch)) return this
    const [series, number] = placeOf(batch)
    if (series === undefined) return new Delivered(this.#series, new Set([...this.#others, batch]))
    const ranges = joined([...(this.#series.get(series) ?? []), [number, number]])
    return new Delivered(new Map([...this.#series, [series, ranges]]), this.#others)
  }

  toString(): string {
    if (this.#series.size === 0 && this.#others.size === 0) return ''
    const stored: Stored = {
      ...(this.#series.size > 0 && { series: Object.fromEntries(this.#series) }),
      ...(this.#others.size > 0 && { others: [...this.#others] }),
    }
    return JSON.stringify(stored)
  }
}

function placeOf(batch: string): [series: string, number: number] | [series: undefined, number: 0] {
  const [, series, number] = NUMBERED.exec(batch) ?? []
  return series === undefined ? [undefined, 0] : [series, Number(number)]
}

function joined(ranges: readonly Range[]): Range[] {
  const merged: Range[] = []
  for (const [first, last] of ranges.toSorted(([a], [b]) => a - b)) {
    const before = merged.at(-1)
    if (before && first <= before[1] + 1) before[1] = Math.max(before[1], last)
    else merged.push([first, last])
  }
  return merged
}
