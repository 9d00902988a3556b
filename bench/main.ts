// npm run bench -- throughput --store mysql --runs 20000
import { backfill } from './backfill.ts'
import { throughput } from './throughput.ts'

const BENCHMARKS: Readonly<Record<string, (argv: readonly string[]) => Promise<void>>> = { throughput, backfill }

const [name = '', ...argv] = process.argv.slice(2)
const benchmark = BENCHMARKS[name]
if (!benchmark) {
  process.stderr.write(
    `there is no benchmark "${name}"; expected ${Object.keys(BENCHMARKS).join(', ')}\n\n` +
      'Usage: npm run bench -- throughput [--store mysql|sqlite] [--runs 20000] [--repeat 5] [--concurrency 2000]\n' +
      '       npm run bench -- backfill [--store mysql|sqlite] [--to 2024-01-01T00:00:00Z] [--parallel 1000]\n',
  )
  process.exit(2)
}
await benchmark(argv)
