import { Worker, type WorkerOptions } from 'node:worker_threads'
import { propertyOf } from './errors-read.ts'
import { PikoError } from './errors.ts'

// A loader may add a query to the URL, so only its path shows whether this is the source or the build.
const isSource = new URL(import.meta.url).pathname.endsWith('.ts')

/**
 * Returns the URL of the module that a thread runs: TypeScript in the source tree, JavaScript in the build.
 *
 * @param name the file name without its extension
 * @param base the URL of a module in the same folder
 */
export function threadModule(name: string, base: string): URL {
  return new URL(`./${name}.${isSource ? 'ts' : 'js'}`, base)
}

/** The `execArgv` with which a thread can load the module. Empty in the build, and if Node reads TypeScript by itself. */
export const threadLoader: readonly string[] =
  isSource && process.features.typescript === false ? ['--import', import.meta.resolve('tsx')] : []

/**
 * Starts a thread that runs a module of Piko.
 *
 * @param name see {@link threadModule}
 * @throws PikoError `USAGE` if the process is not allowed to start threads
 */
export function startThread(name: string, base: string, options: WorkerOptions): Worker {
  try {
    // The thread must not inherit the process's own options.
    return new Worker(threadModule(name, base), { ...options, execArgv: [...threadLoader] })
  } catch (error) {
    if (propertyOf(error, 'code') !== 'ERR_ACCESS_DENIED') throw error
    throw new PikoError(
      'USAGE',
      'this process is not allowed to start threads, which Piko needs for its heartbeat: start node with --allow-worker in addition to --permission',
      { cause: error },
    )
  }
}
