// npm run bench -- throughput --store mysql --runs 20000
import { backfill } from './backfill.ts'
import { throughput } from './throughput.ts'

const BENCHMARKS: Readonly<Record<string, (argv: readonly string[]) => Promise<void>>> = { throughput, backfill }

const USAGE = `Usage: npm run bench -- <name> [options]

  throughput   bulk enqueue/s and process/s from a standing queue [--nodes 1] [--history 0] [--concurrency 2000]
  backfill     two years of minutes [--to 2026-01-01T00:00:00Z] [--parallel 1000]

Options: --store mysql|sqlite  --binlog  --runs 20000  --repeat 5  --peers all|none|graphile,bullmq,pg-boss,sidequest
         --out file.jsonl (appends the lines there too)
`

const [name = '', ...argv] = process.argv.slice(2)
const benchmark = BENCHMARKS[name]
if (!benchmark) {
  process.stderr.write(`there is no benchmark "${name}"; expected ${Object.keys(BENCHMARKS).join(', ')}\n\n${USAGE}`)
  process.exit(2)
}
await benchmark(argv)
