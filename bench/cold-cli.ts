import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { defineJob, Piko } from '../src/index.ts'
import { parseOptions } from './harness/options.ts'
import { table } from './harness/table.ts'

const BIN = fileURLToPath(new URL('../dist/bin.js', import.meta.url))
const COMMANDS = ['runs list', 'why daily', 'windows daily'] as const
const BARE = 'node -e 0'

/** Wall and CPU time of commands on SQLite, each a process of the built package, in turn with a Node process that does nothing. */
export async function coldCli(argv: readonly string[]): Promise<void> {
  const options = parseOptions(argv, { runs: 1_000, repeat: 21 })
  if (!existsSync(BIN)) throw new Error('dist/ is missing: run "npm run build" first')
  const folder = mkdtempSync(join(tmpdir(), 'piko-cold-'))
  try {
    await fill(join(folder, '.piko/piko.db'), options.runs)
    const { lines } = options
    const rounds = new Map([BARE, ...COMMANDS].map((name) => [name, { wall: [] as number[], cpu: [] as number[] }]))
    // The first round fills the caches of the operating system and of Node.
    for (let round = 0; round <= options.repeat; round++)
      for (const [name, { wall, cpu }] of rounds) {
        const took = time(name === BARE ? ['-e', '0'] : [BIN, ...name.split(' ')], folder)
        if (round > 0) {
          wall.push(took.wall)
          cpu.push(took.cpu)
        }
      }
    for (const [name, { wall, cpu }] of rounds)
      for (const [measure, values] of Object.entries({ wall, cpu }))
        lines.add({
          ...{ bench: 'cold-cli', scene: `${options.runs} runs`, measure, unit: 'ms', rounds: values },
          ...(name === BARE ? { system: 'node', variant: '-e 0' } : { system: 'piko', variant: name }),
          ...{ settings: {}, versions: {} },
        })
    process.stdout.write(`\n${table(lines.all)}\n`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A database with a job of daily windows, all of which have run. */
async function fill(path: string, count: number): Promise<void> {
  const start = '2020-01-01T00:00:00Z'
  const end = new Date(Date.parse(start) + count * 86_400_000).toISOString()
  const daily = defineJob({ id: 'daily', every: '1d', windows: { start, end, parallel: 100 } }, () => {})
  const app = new Piko({ jobs: daily, settings: { sqlite: { path }, piko: { log_level: 'warn' }, mysql: { dsn: '' } } })
  await app.start()
  while ((await app.windows.summary('daily')).counts.succeeded < count)
    await new Promise((resolve) => setTimeout(resolve, 50))
  await app.stop()
}

/** Milliseconds of a process of this Node, measured by the shell, which counts the CPU time of its child. */
function time(args: readonly string[], cwd: string): { readonly wall: number; readonly cpu: number } {
  const script = 'TIMEFORMAT="%3R %3U %3S"; exec 3>&1; time "$0" "$@" > /dev/null 2>&3'
  const output = execFileSync('bash', ['-c', `{ ${script}; } 2>&1`, process.execPath, ...args], {
    cwd,
    env: { ...process.env, NODE_OPTIONS: '' },
    encoding: 'utf8',
  })
  const [wall = NaN, user = NaN, system = NaN] = (output.trim().split('\n').at(-1) ?? '').split(' ').map(Number)
  return { wall: wall * 1_000, cpu: (user + system) * 1_000 }
}
