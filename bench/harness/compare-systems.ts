import { compare, type Comparison } from './compare.ts'
import type { Contestant } from './contestants.ts'
import { Round } from './round.ts'
import type { Values } from './rounds.ts'

export interface SystemComparison extends Comparison {
  readonly settings?: Readonly<Record<string, unknown>>
  /** Measures one round of one contestant on a fresh store. */
  readonly measure: (round: Round, contestant: Contestant) => Promise<Values>
}

/** Compares contestants that are systems; the same code measures their phases. */
export async function compareSystems({ settings = {}, measure, ...comparison }: SystemComparison): Promise<void> {
  await compare(comparison, async (contestant, servers) => {
    await using round = await Round.begin(contestant, servers)
    return { about: round.about, values: await measure(round, contestant), settings }
  })
}
