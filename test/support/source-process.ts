import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { packedFlags } from './packed.ts'

/** Options for a process that runs the source, which Node reads itself: `piko` is `src/index.ts`. */
export const SOURCE_FLAGS: readonly string[] = [
  '--conditions=piko-source',
  '--disable-warning=ExperimentalWarning',
  ...packedFlags(),
]

const LOADER = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href

/** The same for files with decorators, which Node does not run. Such a process takes twice as long to start. */
export const DECORATOR_FLAGS: readonly string[] = [...SOURCE_FLAGS, '--import', LOADER]

/** This process's environment without Piko's settings and options of the test run. */
export function cleanEnv(): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(?:PIKO_|VITEST|NODE_OPTIONS)/.test(name)),
  )
}
