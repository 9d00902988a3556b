import type { Contestant } from './contestants.ts'
import type { Lines } from './line.ts'
import type { About } from './system.ts'

/** Values by measure. */
export type Values = Readonly<Record<string, { readonly value: number; readonly unit: string }>>

export interface Found {
  readonly about: About
  readonly values: Values
  /** Further settings of the measurement, for the lines. */
  readonly settings?: Readonly<Record<string, unknown>>
}

interface Series {
  readonly contestant: Contestant
  readonly measure: string
  readonly unit: string
  readonly rounds: number[]
  readonly about: About
  readonly settings: Readonly<Record<string, unknown>>
}

/**
 * Measures all contestants in turn, round by round, so that a slower machine affects all of them. Each round begins with another
 * contestant. A contestant that fails is reported and skipped from then on.
 */
export async function alternate(options: {
  readonly bench: string
  readonly scene: string
  readonly lines: Lines
  readonly repeat: number
  readonly contestants: readonly Contestant[]
  readonly measure: (contestant: Contestant) => Promise<Found>
}): Promise<void> {
  const { bench, scene, lines, repeat, contestants, measure } = options
  const series = new Map<string, Series>()
  const failed = new Set<Contestant>()
  for (let round = 0; round < repeat; round++) {
    const order = contestants.map((_, index) => contestants[(index + round) % contestants.length]!)
    for (const contestant of order) {
      if (failed.has(contestant)) continue
      const name = `${contestant.system} ${contestant.variant}`.trim()
      process.stderr.write(`${bench} ${scene}: round ${round + 1} of ${repeat}, ${name}\n`)
      try {
        const { about, values, settings = {} } = await measure(contestant)
        for (const [measured, { value, unit }] of Object.entries(values)) {
          const key = JSON.stringify([contestant.system, contestant.variant, measured])
          const known = series.get(key) ?? { contestant, measure: measured, unit, rounds: [], about, settings }
          series.set(key, known)
          known.rounds.push(value)
        }
      } catch (error) {
        // A peer's failure must not lose the measurements of others, but Piko's own must be visible.
        if (contestant.system === 'piko') throw error
        process.stderr.write(`${name} is left out: ${error instanceof Error ? error.message : String(error)}\n`)
        failed.add(contestant)
      }
    }
  }
  const rank = ({ contestant }: Series): number => contestants.indexOf(contestant)
  const measures = [...new Set([...series.values()].map(({ measure: name }) => name))]
  for (const name of measures) {
    const same = [...series.values()].filter(({ measure: measured }) => measured === name)
    for (const { contestant, unit, rounds, about, settings } of same.toSorted((a, b) => rank(a) - rank(b))) {
      lines.add({
        ...{ bench, scene, system: contestant.system, variant: contestant.variant, measure: name, unit, rounds },
        versions: about.versions,
        settings: { store: contestant.server, ...about.settings, ...settings },
      })
    }
  }
}
