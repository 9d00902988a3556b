import { type Contestant } from './contestants.ts'
import { type Options } from './options.ts'
import { prepare } from './prepare.ts'
import { Round } from './round.ts'
import { alternate, type Values } from './rounds.ts'
import { Servers } from './servers.ts'
import { table } from './table.ts'

export interface Comparison {
  readonly bench: string
  readonly scene: string
  readonly options: Options
  readonly contestants: readonly Contestant[]
  readonly settings?: Readonly<Record<string, unknown>>
  /** One round of one contestant, on a fresh store. */
  readonly measure: (round: Round, contestant: Contestant) => Promise<Values>
}

/** A benchmark from its start to its table. */
export async function compare({
  bench,
  scene,
  options,
  contestants,
  settings = {},
  measure,
}: Comparison): Promise<void> {
  await prepare(contestants)
  await using servers = new Servers()
  await alternate({
    bench,
    scene,
    lines: options.lines,
    repeat: options.repeat,
    contestants,
    measure: async (contestant) => {
      await using round = await Round.begin(contestant, servers)
      return { about: round.about, values: await measure(round, contestant), settings }
    },
  })
  const { all } = options.lines
  process.stderr.write(`\n${table(all.filter((line) => line.bench === bench && line.scene === scene))}\n`)
}
