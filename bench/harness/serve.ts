// Runs a system in its own process: `serve.ts <module> <config>`. Reads orders as JSON lines from stdin and answers on stdout. Ends when
// stdin closes, so it never outlives the harness.
import { createInterface } from 'node:readline'
import { monotonicMs } from './monotonic.ts'
import { Phases } from './phases.ts'
import type { Order, Reply } from './protocol.ts'
import type { SystemConfig, SystemFactory } from './system.ts'

const [module = '', config = '{}'] = process.argv.slice(2)
const say = (reply: Reply): unknown => process.stdout.write(`${JSON.stringify(reply)}\n`)

const { default: open } = (await import(module)) as { default: SystemFactory }
const phases = new Phases(await open(JSON.parse(config) as SystemConfig), (event, id) => {
  say({ event, id, at: monotonicMs() })
})

/** Unchecked, because the harness belongs to the same code and only requests existing phases. */
const byName = phases as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>

createInterface({ input: process.stdin })
  .on('line', (line) => void obey(JSON.parse(line) as Order))
  .on('close', () => process.exit())

async function obey({ call, phase, args }: Order): Promise<void> {
  try {
    say({ answer: call, result: await byName[phase]?.(...args) })
  } catch (error) {
    say({ answer: call, error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
  }
}
