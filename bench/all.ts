import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

/** All measurements that docs/performance.md and its results show, in their order. */
const PLAN: readonly string[] = [
  'throughput --store mysql',
  'throughput --store mysql --binlog',
  'throughput --store sqlite',
  'enqueue-one --store mysql',
  'enqueue-one --store mysql --binlog --peers none',
  'enqueue-one --store sqlite',
  'latency --store mysql',
  'latency --store sqlite --peers none',
  'in-flight --store mysql',
  'cron --store mysql',
  'rate --store mysql',
  'rate --store sqlite',
  'crawl --store mysql',
  'items --store mysql',
  'items --store sqlite',
  'crawl-http',
  'values --store mysql',
  'values --store sqlite',
  'offload',
  'queries --store mysql',
  'throughput --store mysql --runs 100000 --nodes 1 --peers none',
  'throughput --store mysql --runs 100000 --nodes 2 --peers none',
  'throughput --store mysql --runs 100000 --nodes 4 --peers none',
  'throughput --store mysql --work 250 --nodes 1 --peers none',
  'throughput --store mysql --work 250 --nodes 2 --peers none',
  'throughput --store mysql --work 250 --nodes 4 --peers none',
  'throughput --store mysql --runs 1000000 --peers none',
  'throughput --store mysql --runs 100000 --history 5000000 --peers none',
  'growth --store mysql',
  'backfill --store sqlite',
  'backfill --store mysql',
]

/**
 * Runs all benchmarks one after the other, each in its own process, and appends their lines to `--out`. Skips a benchmark that the file
 * already has, so the same command continues after an interruption.
 */
export async function all(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      out: { type: 'string' },
      repeat: { type: 'string', default: '5' },
      only: { type: 'string', default: '' },
    },
  })
  const { out, repeat, only } = values
  if (out === undefined) throw new Error('--out is missing; expected a file for the lines, such as run.jsonl')
  const done = new Set(existsSync(out) ? doneIn(readFileSync(out, 'utf8')) : [])
  const failed: string[] = []
  const plan = PLAN.filter((command) => command.startsWith(only))
  for (const [index, command] of plan.entries()) {
    const asked = `${command} --repeat ${repeat}`
    process.stderr.write(`\n[${index + 1}/${plan.length}] ${asked}${done.has(asked) ? ': done before' : ''}\n`)
    if (done.has(asked)) continue
    if (await run([...asked.split(' '), '--out', out])) appendFileSync(out, `${JSON.stringify({ done: asked })}\n`)
    else failed.push(asked)
  }
  if (failed.length === 0) return
  process.stderr.write(`\nfailed: ${failed.join('; ')}\n`)
  process.exitCode = 1
}

function doneIn(text: string): string[] {
  return text
    .split('\n')
    .flatMap((line) => (line.startsWith('{"done":') ? [(JSON.parse(line) as { done: string }).done] : []))
}

async function run(args: readonly string[]): Promise<boolean> {
  const main = fileURLToPath(new URL('main.ts', import.meta.url))
  const child = spawn(process.execPath, [...process.execArgv, main, ...args], { stdio: 'inherit' })
  const [code] = (await once(child, 'exit')) as [number | null]
  return code === 0
}
