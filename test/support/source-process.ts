import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { packedFlags } from './packed.ts'

/** Options for a process that runs the source, which Node reads itself: `piko` is `src/index.ts`. */
export const SOURCE_FLAGS: readonly string[] = [
  '--conditions=piko-source',
  '--disable-warning=ExperimentalWarning',
  ...packedFlags(),
]

/** Options for a process that runs the built package, which loads twice as fast as the source. The test run has built it. */
export const BUILT_FLAGS: readonly string[] = ['--disable-warning=ExperimentalWarning', ...packedFlags()]

const LOADER = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href

/** The same for files with decorators, which Node does not run. */
export const DECORATOR_FLAGS: readonly string[] = [...BUILT_FLAGS, '--import', LOADER]

/** This process's environment without Piko's settings and options of the test run. */
export function cleanEnv(): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(?:PIKO_|VITEST|NODE_OPTIONS)/.test(name)),
  )
}
