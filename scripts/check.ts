import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'

// Runs every script of package.json whose name begins with `check:`, two at a time, and prints each one's output when it ends.
const LONGEST_FIRST = ['check:lint', 'check:package', 'check:unused']
const AT_ONCE = 2

const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> }
const others = Object.keys(scripts).filter((name) => name.startsWith('check:') && !LONGEST_FIRST.includes(name))
const waiting = [...LONGEST_FIRST, ...others]
const failed: string[] = []

async function check(name: string): Promise<void> {
  const from = performance.now()
  // `check:package` builds the package; packing it need not build it again.
  const env = { ...process.env, npm_config_ignore_scripts: 'true' }
  const child = spawn(`npm run --silent ${name} 2>&1`, { shell: true, env, stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  const output = await text(child.stdout)
  const code = await ended
  if (code !== 0) failed.push(name)
  console.log(`${name}: ${code === 0 ? 'ok' : 'FAILED'} in ${((performance.now() - from) / 1_000).toFixed(1)} s`)
  if (output.trim() !== '') console.log(output.trimEnd().replace(/^/gm, '  '))
}

async function checkNext(): Promise<void> {
  for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) await check(name)
}

await Promise.all(Array.from({ length: AT_ONCE }, checkNext))
if (failed.length > 0) {
  console.error(`${failed.join(', ')} failed`)
  process.exitCode = 1
}
