// A script in a process of its own: `run-script.ts <module> <config>`. It prints what it found as one JSON line, and ends with stdin.
import { type Script } from './script.ts'
import { type SystemConfig } from './system.ts'

const [module = '', config = '{}'] = process.argv.slice(2)
process.stdin.on('end', () => process.exit(1)).resume()

const { default: script } = (await import(module)) as { default: Script }
const { about, values, settings } = await script(JSON.parse(config) as SystemConfig)
process.stdout.write(`${JSON.stringify({ about, values, settings })}\n`, () => process.exit())
