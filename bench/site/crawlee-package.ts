import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

/** The version that the benchmark compares with. */
export const CRAWLEE = '3.18.1'

const FOLDER = join(tmpdir(), `piko-bench-crawlee-${CRAWLEE}`)

/** The part of Crawlee that the benchmark uses. */
export interface Crawlee {
  readonly CheerioCrawler: new (options: {
    readonly requestHandler: (context: { readonly enqueueLinks: () => Promise<unknown> }) => Promise<void>
    readonly minConcurrency?: number
    readonly maxConcurrency?: number
  }) => { run(urls: readonly string[]): Promise<{ readonly requestsFinished: number }> }
  readonly log: { setLevel(level: number): void }
}

/** Installs Crawlee into a temporary folder unless it is already there, so that it is never a dependency of Piko. */
export async function installCrawlee(): Promise<void> {
  if (existsSync(join(FOLDER, 'installed'))) return
  mkdirSync(FOLDER, { recursive: true })
  writeFileSync(join(FOLDER, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  process.stderr.write(`npm install @crawlee/cheerio@${CRAWLEE} in ${FOLDER}\n`)
  const args = ['install', '--no-audit', '--no-fund', `@crawlee/cheerio@${CRAWLEE}`]
  const child = spawn('npm', args, { cwd: FOLDER, stdio: ['ignore', 2, 2] })
  const [code] = (await once(child, 'exit')) as [number | null]
  if (code !== 0) throw new Error(`npm ${args.join(' ')} in ${FOLDER} ended with ${code}`)
  writeFileSync(join(FOLDER, 'installed'), '')
}

export async function loadCrawlee(): Promise<Crawlee> {
  const path = createRequire(join(FOLDER, 'package.json')).resolve('@crawlee/cheerio')
  return (await import(pathToFileURL(path).href)) as Crawlee
}
