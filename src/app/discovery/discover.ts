import { relative, sep } from 'node:path'
import { pathToFileURL } from 'node:url'
import { messageOf } from '../../errors-read.ts'
import { isPikoError, PikoError, toError } from '../../errors.ts'
import { faultsDuring } from '../../job/gathering.ts'
import { Faults } from '../../job/faults.ts'
import type { JobModule } from '../../job/job-source.ts'
import { JobRegistry } from '../../job/registry.ts'
import { loadTypeScript } from './typescript-loader.ts'

/**
 * Imports every JavaScript or TypeScript file that the globs match, sorted by path, as sources for `JobRegistry.of`. A file without jobs is
 * allowed.
 *
 * TypeScript files need no build step; both kinds of decorators work. The `tsconfig.json` of `cwd` applies.
 *
 * @param globs relative to `cwd`; a leading `!` excludes. `node_modules` and declaration files never match. A test or mock matches only
 * when a glob names it, such as `jobs/a.test.ts`.
 * @throws PikoError `JOBS_NOT_FOUND` if no file matches, `JOB_LOAD_FAILED` if a file can't be imported, `JOB_INVALID` or
 * `SCHEDULE_INVALID` if a job is wrong. One error names all wrong files.
 */
export async function discoverJobs(globs: readonly string[], cwd: string): Promise<JobModule[]> {
  const files = await filesOf(globs, cwd)
  if (files.length === 0) {
    throw new PikoError('JOBS_NOT_FOUND', `no file matches ${globs.map((one) => `"${one}"`).join(', ')} in ${cwd}`, {
      details: { globs, cwd },
    })
  }
  if (files.some((file) => TYPESCRIPT.test(file))) await loadTypeScript(cwd)
  const modules: JobModule[] = []
  const faults = new Faults()
  for (const file of files) {
    const name = pathIn(cwd, file)
    try {
      modules.push(await load(file, name))
    } catch (thrown) {
      for (const fault of await allFaults(file, name, thrown)) faults.add(fault)
    }
  }
  if (faults.errors.length > 0) faults.gather(() => assertJobs(modules), undefined)
  faults.throwIfAny()
  return modules
}

/**
 * Imports one JavaScript or TypeScript file, as {@link discoverJobs} does.
 *
 * @throws PikoError `JOB_LOAD_FAILED`; `JOB_INVALID` or `SCHEDULE_INVALID` if a job in it is wrong
 */
export async function importedFile(path: string, cwd: string): Promise<object> {
  if (TYPESCRIPT.test(path)) await loadTypeScript(cwd)
  return (await load(path, pathIn(cwd, path))).exports
}

/**
 * Finds all problems of a file whose import stopped at the first one. It executes the file a second time, which is safe because the app
 * does not start.
 */
async function allFaults(path: string, file: string, thrown: unknown): Promise<unknown[]> {
  if (!isPikoError(thrown) || thrown.code === 'JOB_LOAD_FAILED') return [thrown]
  const again = `${pathToFileURL(path).href}?faults=${++executions}`
  const faults = await faultsDuring(() => import(again))
  const named = faults.map((fault) => inFile(file, fault))
  return named.length > 1 ? named : [thrown]
}

let executions = 0

/**
 * Throws if the imported files contain wrong jobs. Ignores wrong dependencies, because a file that failed to import may define the missing
 * job.
 */
function assertJobs(modules: readonly JobModule[]): void {
  try {
    JobRegistry.of(modules)
  } catch (thrown) {
    if (!isPikoError(thrown, 'DEPENDENCY_INVALID')) throw thrown
  }
}

const IGNORED = /(?:^|\/)node_modules\/|\.d\.(?:[^/]+\.)?[cm]?ts$/
const TESTS = /\.(?:[^./]+-)?(?:test|spec|e2e|cy|bench|stories)(?:-d)?\.[^/]*$|(?:^|\/)__(?:tests|mocks|fixtures)__\//
const NAMES_TESTS = /\b(?:test|spec|e2e|cy|bench|stories)\b[^/]*\.|__(?:tests|mocks|fixtures)__/

/** Leaves tests out, because importing a test would run it outside its test runner. */
async function filesOf(globs: readonly string[], cwd: string): Promise<string[]> {
  const { glob } = await import('tinyglobby')
  const excluded = globs.filter((one) => one.startsWith('!'))
  const asked = globs.filter((one) => !one.startsWith('!'))
  const matches = async (some: readonly string[]): Promise<string[]> => {
    if (some.length === 0) return []
    const files = await glob([...some, ...excluded], { cwd, absolute: true, ignore: ['**/node_modules/**'] })
    // The option `ignore` has no effect outside of `cwd`, where a glob such as `../jobs/*.ts` leads.
    return files.filter((file) => IMPORTABLE.test(file) && !IGNORED.test(pathIn(cwd, file)))
  }
  const [all, named] = await Promise.all([matches(asked), matches(asked.filter((one) => NAMES_TESTS.test(one)))])
  return [...new Set([...all.filter((file) => !TESTS.test(pathIn(cwd, file))), ...named])].sort()
}

function pathIn(cwd: string, file: string): string {
  return relative(cwd, file).replaceAll(sep, '/')
}

const IMPORTABLE = /\.[cm]?[jt]sx?$/
const TYPESCRIPT = /\.[cm]?tsx?$/

async function load(path: string, file: string): Promise<JobModule> {
  try {
    return { kind: 'piko.module', file, exports: (await import(pathToFileURL(path).href)) as object }
  } catch (thrown) {
    const cause = toError(thrown)
    if (isPikoError(cause)) throw inFile(file, cause)
    throw new PikoError('JOB_LOAD_FAILED', `${file} can't be imported: ${messageOf(cause)}${hint(file, cause)}`, {
      cause,
      details: { file },
    })
  }
}

function inFile(file: string, cause: PikoError): PikoError {
  return new PikoError(cause.code, `${file}: ${messageOf(cause)}`, { cause, details: { ...cause.details, file } })
}

// Returns advice if Node failed at the `@` of a decorator. Compilers leave decorators in the code if their target is ESNext.
function hint(file: string, cause: Error): string {
  if (!(cause instanceof SyntaxError) || cause.message !== 'Invalid or unexpected token') return ''
  return TYPESCRIPT.test(file)
    ? ''
    : '; if it has decorators, compile it for ES2023 or older: Node does not support decorators'
}
