import { describe, PikoError } from '../errors.ts'
import { isJobDefinition } from './define-job.ts'
import { ownValue } from './decorator.ts'
import { carriesJobs, isClass } from './jobs-of.ts'
import type { JobDefinition } from './spec.ts'

/** The exports of a file, with its name for messages. */
export interface JobModule {
  readonly kind: 'piko.module'
  readonly file: string
  readonly exports: object
}

/**
 * Where jobs come from: a definition, a class with `@job` methods or an instance of one, a module namespace
 * (`import * as orders from './orders.ts'`), a {@link JobModule}, or an array of these.
 */
export type JobSource = object

/** A definition, a class or an instance, and where it was found. */
export type FoundSource =
  | { readonly kind: 'definition'; readonly definition: JobDefinition; readonly origin: string }
  | { readonly kind: 'holder'; readonly holder: object; readonly file: string | undefined }

/**
 * Finds every definition, class and instance in the sources, in order. From a module, it takes only the exports that contain jobs.
 *
 * @throws PikoError `JOB_INVALID` for any other source
 */
export function findSources(sources: readonly unknown[]): FoundSource[] {
  return sources.flatMap((source, index) => findSource(source, `source ${index + 1}`))
}

function findSource(source: unknown, position: string): FoundSource[] {
  if (Array.isArray(source)) return source.flatMap((item, index) => findSource(item, `${position}[${index}]`))
  if (isJobDefinition(source)) return [{ kind: 'definition', definition: source, origin: position }]
  if (isModule(source)) return findExports(source.exports, source.file)
  if (isNamespace(source)) return findExports(source, undefined)
  if (isClass(source) || (typeof source === 'object' && source !== null)) {
    return [{ kind: 'holder', holder: source, file: undefined }]
  }
  throw new PikoError(
    'JOB_INVALID',
    `${position} is ${describe(source)}; expected a job definition, a class or an instance with @job methods, or a module of these`,
  )
}

function findExports(namespace: object, file: string | undefined): FoundSource[] {
  return Object.entries(namespace).flatMap(([name, value]: [string, unknown]) => findExport(name, value, file))
}

function findExport(name: string, value: unknown, file: string | undefined): FoundSource[] {
  if (isJobDefinition(value)) {
    return [{ kind: 'definition', definition: value, origin: `export "${name}"${inFile(file)}` }]
  }
  if (Array.isArray(value)) return value.flatMap((item, index) => findExport(`${name}[${index}]`, item, file))
  if (carriesJobs(value)) return [{ kind: 'holder', holder: value, file }]
  // If a CommonJS module was loaded with `import`, its exports are properties of this value. Not all of them are always named exports, too.
  if ((name === 'default' || name === 'module.exports') && isPlainObject(value)) return findExports(value, file)
  return []
}

export function inFile(file: string | undefined): string {
  return file === undefined ? '' : ` in ${file}`
}

function isModule(value: unknown): value is JobModule {
  return typeof value === 'object' && value !== null && ownValue(value, 'kind') === 'piko.module'
}

function isNamespace(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  return ownValue(value, Symbol.toStringTag) === 'Module' || ownValue(value, '__esModule') === true
}

function isPlainObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}
