import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { SettingsOverrides } from '../src/settings/settings.ts'
import type { StoreName } from './harness/contestants.ts'
import { Servers } from './harness/servers.ts'
import type { Finding } from './lines/finding.ts'
import type { Line } from './lines/line.ts'
import { Scene } from './lines/scene.ts'

const NUMBERS: readonly number[] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12]
const STORES: readonly StoreName[] = ['mysql', 'sqlite']

/**
 * What crawls promise, checked at full size on real servers and processes: each line prints what was expected and what was seen. The exit
 * code is 1 if one of them does not hold.
 *
 * Options: `--line 5,3` only these, `--store mysql|sqlite` only there. Default: all lines on both stores.
 */
export async function crawlLines(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({ args: [...argv], options: { line: { type: 'string' }, store: { type: 'string' } } })
  const wanted = values.line?.split(',').map(Number)
  const numbers = wanted?.filter((number) => NUMBERS.includes(number)) ?? NUMBERS
  const stores = STORES.filter((name) => values.store === undefined || name === values.store)
  if (numbers.length === 0) throw new Error(`--line is "${values.line}"; expected one of ${NUMBERS.join(', ')}`)
  if (stores.length === 0) throw new Error(`--store is "${values.store}"; expected ${STORES.join(' or ')}`)
  await using servers = new Servers()
  for (const number of numbers)
    for (const store of stores) if (!(await holds(number, store, servers))) process.exitCode = 1
}

async function holds(number: number, store: StoreName, servers: Servers): Promise<boolean> {
  const module = `line-${String(number).padStart(2, '0')}`
  const { line } = (await import(`./lines/${module}.ts`)) as { readonly line: Line<unknown> }
  print(`\n${number}. ${line.what} (${store})`)
  const since = performance.now()
  const say = (text: string): void => print(`   … ${text} (${seconds(since)})`)
  await using cleanup = new AsyncDisposableStack()
  const place = await placeOf(store, servers, cleanup)
  const scene = cleanup.use(new Scene({ store, module, crawl: line.crawl, place, say }))
  let findings: readonly Finding[]
  try {
    findings = await line.check(scene)
  } catch (error) {
    print(`   ✗ the check ended with ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
    return false
  }
  for (const { what, expected, seen, isRight } of findings)
    print(`   ${isRight ? '✓' : '✗'} ${what}: expected ${expected}, saw ${seen}`)
  print(`   ${seconds(since)}`)
  return findings.every(({ isRight }) => isRight)
}

async function placeOf(store: StoreName, servers: Servers, cleanup: AsyncDisposableStack): Promise<SettingsOverrides> {
  if (store === 'mysql') return { mysql: { dsn: await (await servers.get('mysql')).dsn() } }
  const folder = mkdtempSync(join(tmpdir(), 'piko-crawl-lines-'))
  cleanup.defer(() => rmSync(folder, { recursive: true, force: true }))
  return { sqlite: { path: join(folder, 'piko.db') } }
}

function seconds(since: number): string {
  return `${((performance.now() - since) / 1_000).toFixed(1)} s`
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
