import type { Contestant } from './contestants.ts'
import type { Options } from './options.ts'
import { prepare } from './prepare.ts'
import { alternate, type Found } from './rounds.ts'
import { Servers } from './servers.ts'
import { table } from './table.ts'

export interface Comparison {
  readonly bench: string
  readonly scene: string
  readonly options: Options
  readonly contestants: readonly Contestant[]
}

/** A benchmark from its start to its table. */
export async function compare(
  { bench, scene, options, contestants }: Comparison,
  measure: (contestant: Contestant, servers: Servers) => Promise<Found>,
): Promise<void> {
  const { lines, repeat } = options
  await prepare(contestants)
  await using servers = new Servers()
  await alternate({
    ...{ bench, scene, lines, repeat, contestants },
    measure: (contestant) => measure(contestant, servers),
  })
  process.stderr.write(`\n${table(lines.all.filter((line) => line.bench === bench && line.scene === scene))}\n`)
}
