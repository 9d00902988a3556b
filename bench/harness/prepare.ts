import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Contestant } from './contestants.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const PEERS = join(ROOT, 'bench/peers')

/** Builds the package if its sources are newer. Installs the peers if they take part and are missing. */
export async function prepare(contestants: readonly Contestant[]): Promise<void> {
  const built = join(ROOT, 'dist/index.js')
  if (!existsSync(built) || newest(join(ROOT, 'src')) > statSync(built).mtimeMs) await npm(ROOT, 'run', 'build')
  const needsPeers = contestants.some(({ module }) => fileURLToPath(module).startsWith(PEERS))
  const installed = join(PEERS, 'node_modules/.package-lock.json')
  if (needsPeers && !(existsSync(installed) && statSync(installed).mtimeMs > newest(join(PEERS, 'package.json')))) {
    await npm(PEERS, 'ci')
  }
}

/** Sends npm's output to stderr, because stdout is for JSON lines. */
async function npm(cwd: string, ...args: readonly string[]): Promise<void> {
  process.stderr.write(`npm ${args.join(' ')} in ${cwd}\n`)
  const child = spawn('npm', args, { cwd, stdio: ['ignore', 2, 2] })
  const [code] = (await once(child, 'exit')) as [number | null]
  if (code !== 0) throw new Error(`npm ${args.join(' ')} in ${cwd} ended with ${code}`)
}

function newest(path: string): number {
  const { mtimeMs } = statSync(path)
  if (!statSync(path).isDirectory()) return mtimeMs
  return Math.max(...readdirSync(path).map((name) => newest(join(path, name))))
}
