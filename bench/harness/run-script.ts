// Runs a script in its own process: `run-script.ts <module> <config>`. Prints the result as one JSON line. Ends when stdin closes.
import type { Script } from './script.ts'
import type { SystemConfig } from './system.ts'

const [module = '', config = '{}'] = process.argv.slice(2)
process.stdin.on('end', () => process.exit(1)).resume()

const { default: script } = (await import(module)) as { default: Script }
const { about, values, settings } = await script(JSON.parse(config) as SystemConfig)
process.stdout.write(`${JSON.stringify({ about, values, settings })}\n`, () => process.exit())
