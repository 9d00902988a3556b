import { Histogram, type MetricObjectWithValues, type MetricValueWithName, type Registry } from 'prom-client'
import { labelsText, withLines } from './metric-text.ts'

interface Tally {
  /** The counts by bucket. They are not cumulative. The last one is for values above all bounds. */
  readonly counts: Float64Array
  sum: number
}

/**
 * A histogram with at most one label. An observation costs a few additions and no allocation. This matters, because there are two per run,
 * and an observation of prom-client takes longer than everything else the engine does for the run. All other methods are inherited from
 * prom-client.
 */
export class TalliedHistogram<L extends string = string> extends Histogram<L> {
  readonly #name: string
  readonly #help: string
  readonly #label: L | undefined
  readonly #bounds: readonly number[]
  readonly #tallies = new Map<string, Tally>()

  constructor(options: {
    readonly name: string
    readonly help: string
    readonly label?: L
    readonly buckets: readonly number[]
    readonly registers: Registry[]
  }) {
    const { name, help, label, buckets, registers } = options
    super({ name, help, buckets: [...buckets], labelNames: label === undefined ? [] : [label], registers })
    this.#name = name
    this.#help = help
    this.#label = label
    this.#bounds = buckets
    if (label === undefined) this.#tallyOf('')
  }

  /** Counts `value` for one value of the label. */
  tally(labelValue: string, value: number): void {
    const tally = this.#tallies.get(labelValue) ?? this.#tallyOf(labelValue)
    let index = 0
    while (index < this.#bounds.length && value > (this.#bounds[index] as number)) index++
    tally.counts[index] = (tally.counts[index] as number) + 1
    tally.sum += value
  }

  /** Returns the values of the metric. A prom-client 15 registry calls this method. */
  async getForPromString(): Promise<MetricObjectWithValues<MetricValueWithName<L>>> {
    return this.get()
  }

  override async get(): Promise<MetricObjectWithValues<MetricValueWithName<L>>> {
    const values = [...this.#tallies].flatMap(([labelValue, tally]) => this.#valuesOf(labelValue, tally))
    const described = { name: this.#name, help: this.#help, type: 'histogram', aggregator: 'sum', values }
    return described as unknown as MetricObjectWithValues<MetricValueWithName<L>>
  }

  /** Returns the text of all values. prom-client would write all lines in one turn, which takes almost a second for thousands of values. */
  async text(): Promise<string> {
    const head = `# HELP ${this.#name} ${this.#help}\n# TYPE ${this.#name} histogram`
    return withLines(head, [...this.#tallies], ([labelValue, tally]) => this.#linesOf(labelValue, tally))
  }

  #linesOf(labelValue: string, { counts, sum }: Tally): string {
    const alone = this.#label === undefined ? '' : labelsText({ [this.#label]: labelValue })
    const behind = alone === '' ? '' : `,${alone.slice(1, -1)}`
    let count = 0
    let lines = ''
    for (let index = 0; index < counts.length; index++) {
      count += counts[index] as number
      lines += `${this.#name}_bucket{le="${this.#bounds[index] ?? '+Inf'}"${behind}} ${count}\n`
    }
    return `${lines}${this.#name}_sum${alone} ${sum}\n${this.#name}_count${alone} ${count}`
  }

  #tallyOf(labelValue: string): Tally {
    const tally = { counts: new Float64Array(this.#bounds.length + 1), sum: 0 }
    this.#tallies.set(labelValue, tally)
    return tally
  }

  #valuesOf(labelValue: string, { counts, sum }: Tally) {
    const labels = this.#label === undefined ? {} : { [this.#label]: labelValue }
    let count = 0
    const buckets = [...this.#bounds, '+Inf'].map((le, index) => {
      count += counts[index] as number
      return { metricName: `${this.#name}_bucket`, labels: { le, ...labels }, value: count }
    })
    return [
      ...buckets,
      { metricName: `${this.#name}_sum`, labels, value: sum },
      { metricName: `${this.#name}_count`, labels, value: count },
    ]
  }
}
