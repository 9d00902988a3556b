// What traces cost a process without an SDK of OpenTelemetry: this checkout against an earlier one, in turns.
//
//   node scripts/build.ts   (in both checkouts)
//   node bench/scripts/trace-cost.ts --before /path/to/earlier/checkout [--runs 50000] [--rounds 11] [--dsn mysql://…]
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'

const run = promisify(execFile)
const { values } = parseArgs({
  options: {
    before: { type: 'string' },
    runs: { type: 'string', default: '50000' },
    rounds: { type: 'string', default: '11' },
    dsn: { type: 'string' },
  },
})
if (values.before === undefined) throw new Error('name the earlier checkout: --before /path/to/checkout')

const here = fileURLToPath(new URL('../..', import.meta.url))
const script = fileURLToPath(new URL('trace-run.ts', import.meta.url))
const roots = { before: values.before, now: here }
const speeds: Record<keyof typeof roots, number[]> = { before: [], now: [] }
for (let round = 0; round < Number(values.rounds); round++) {
  // The order changes with each round, so a slow drift of the machine affects both.
  const names = round % 2 === 0 ? (['before', 'now'] as const) : (['now', 'before'] as const)
  for (const name of names) speeds[name].push(await measured(roots[name]))
}
const [before, now] = [median(speeds.before), median(speeds.now)]
console.log(
  `before ${Math.round(before)} runs/s, now ${Math.round(now)} runs/s: ${((now / before - 1) * 100).toFixed(2)} %`,
)

async function measured(root: string): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'piko-traces-'))
  const store =
    values.dsn === undefined ? { sqlite: { path: join(folder, 'piko.db') } } : { mysql: { dsn: values.dsn } }
  const settings = { piko: { log_level: 'silent' }, ...store }
  try {
    const order = JSON.stringify({ root, runs: Number(values.runs), settings })
    const { stdout } = await run(process.execPath, [script, order], { cwd: here })
    return Number(stdout)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((one, other) => one - other)[Math.floor(numbers.length / 2)] ?? 0
}
