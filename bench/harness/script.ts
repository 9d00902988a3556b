import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Found } from './rounds.ts'
import type { SystemConfig } from './system.ts'

const RUN_SCRIPT = fileURLToPath(new URL('run-script.ts', import.meta.url))

/** The default export of a script: one measurement in its own process. */
export type Script = (config: SystemConfig) => Promise<Found>

/** Runs a script in a fresh process that never outlives this one. */
export async function runScript(module: URL, config: SystemConfig): Promise<Found> {
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', '--expose-gc', RUN_SCRIPT, module.href, JSON.stringify(config)],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  )
  let found: Found | undefined
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line.startsWith('{"about":')) found = JSON.parse(line) as Found
  })
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
  if (!found) throw new Error(`${module.pathname.split('/').at(-1)} ended with ${code ?? signal} and found nothing`)
  return found
}
