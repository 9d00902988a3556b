import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

/** The loader with which a Node that can't read all of TypeScript by itself runs this repository's source. */
const LOADER = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href

/** The options of a process that runs the source: `piko` is `src/index.ts`. */
export const SOURCE_FLAGS: readonly string[] = ['--conditions=piko-source', '--import', LOADER]

/** This process's environment without what would be settings of Piko, or options of the test run. */
export function cleanEnv(): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(?:PIKO_|VITEST|NODE_OPTIONS)/.test(name)),
  )
}
