import { appendFileSync } from 'node:fs'
import { availableParallelism, cpus, totalmem } from 'node:os'

/** One measurement, printed as a JSON line. */
export interface Line {
  readonly bench: string
  /** The options that distinguish this measurement from others: the store, the size. */
  readonly scene: string
  readonly system: string
  readonly variant: string
  readonly measure: string
  readonly unit: string
  readonly median: number
  readonly min: number
  readonly max: number
  /** One value per round, in order. */
  readonly rounds: readonly number[]
  readonly settings: Readonly<Record<string, unknown>>
  readonly versions: Readonly<Record<string, string>>
  readonly machine: Readonly<Record<string, unknown>>
  readonly at: string
}

export type Measured = Omit<Line, 'median' | 'min' | 'max' | 'machine' | 'at'>

const MACHINE = {
  cpus: availableParallelism(),
  cpu: cpus()[0]?.model.trim() ?? 'unknown',
  memoryGb: Math.round(totalmem() / 2 ** 30),
  platform: `${process.platform} ${process.arch}`,
}

/** Prints lines to stdout and, if there is one, to a file. Keeps them for the table. */
export class Lines {
  readonly #file: string | undefined
  readonly all: Line[] = []

  constructor(file?: string) {
    this.#file = file
  }

  add(measured: Measured): void {
    const rounds = measured.rounds.map(rounded)
    const sorted = rounds.toSorted((a, b) => a - b)
    const line: Line = {
      ...measured,
      versions: { node: process.version, ...measured.versions },
      rounds,
      median: rounded(medianOf(sorted)),
      min: sorted[0] ?? NaN,
      max: sorted.at(-1) ?? NaN,
      machine: MACHINE,
      at: new Date().toISOString(),
    }
    this.all.push(line)
    this.write(line)
  }

  write(line: object): void {
    const text = `${JSON.stringify(line)}\n`
    process.stdout.write(text)
    if (this.#file !== undefined) appendFileSync(this.#file, text)
  }
}

function medianOf(sorted: readonly number[]): number {
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? NaN)) / 2
}

/** Four digits are enough for a measurement. */
function rounded(value: number): number {
  return Math.abs(value) >= 1_000 ? Math.round(value) : Number(value.toPrecision(4))
}

/** Whether a line has Piko's value of the wanted measurement. */
export function isOurs(
  line: Line,
  { bench, scene, measure, variant = '' }: Partial<Pick<Line, 'variant'>> & Pick<Line, 'bench' | 'scene' | 'measure'>,
): boolean {
  const isAsked = line.bench === bench && line.scene === scene && line.measure === measure
  return isAsked && line.system === 'piko' && line.variant === variant
}
