import { posix } from 'node:path'
import { isObject, propertyOf } from '../../errors-read.ts'
import { isJobDefinition } from '../../job/define-job.ts'
import type { JobModule } from '../../job/job-source.ts'

/** A job, and the export from which TypeScript reads its types. */
export interface TypedJob {
  readonly id: string
  /** The file and the name of the export. Undefined if no file exports the definition or the spec; then only the job's id is known. */
  readonly place: { readonly file: string; readonly name: string } | undefined
}

const TYPESCRIPT = /\.[cm]?tsx?$/
const IDENTIFIER = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u

/** Finds for each job the TypeScript file that exports its definition, or a spec with its id. Pure. */
export function typedJobs(ids: readonly string[], modules: readonly JobModule[]): TypedJob[] {
  const places = new Map<string, TypedJob['place']>()
  for (const { file, exports } of modules.filter((one) => TYPESCRIPT.test(one.file))) {
    for (const [name, value] of namedIn(exports)) {
      const id = isObject(value) && typeof value !== 'function' ? propertyOf(value, 'id') : undefined
      if (typeof id !== 'string' || !IDENTIFIER.test(name)) continue
      // A definition takes precedence over a spec, because only the definition has the type of the handler's result.
      if (isJobDefinition(value) || !places.has(id)) places.set(id, { file, name })
    }
  }
  return ids.toSorted().map((id) => ({ id, place: places.get(id) }))
}

/** Returns the exports of a module by name. If a CommonJS module was loaded with `import`, its exports are also in the `default` export. */
function namedIn(exports: object): [string, unknown][] {
  const direct = Object.entries(exports) as [string, unknown][]
  const nested = direct.flatMap(([name, value]) =>
    (name === 'default' || name === 'module.exports') && isObject(value) && !isJobDefinition(value)
      ? (Object.entries(value) as [string, unknown][])
      : [],
  )
  return [...direct, ...nested]
}

/**
 * Creates the declaration file from which editors complete job ids and the compiler checks them. Pure.
 *
 * @param folder the folder of the declaration, such as `types`, relative to the same directory as the paths of the jobs' files
 */
export function typesText(jobs: readonly TypedJob[], folder: string): string {
  const lines = jobs.map(({ id, place }) => {
    const type = place ? `typeof import('${relativeTo(folder, place.file)}').${place.name}` : "import('piko').Typed"
    return `    '${id}': ${type}`
  })
  return [
    '// Written by `piko jobs types`. Run it again after you add, rename or move a job.',
    "import 'piko'",
    '',
    "declare module 'piko' {",
    '  interface RegisteredJobs {',
    ...lines,
    '  }',
    '}',
    '',
  ].join('\n')
}

function relativeTo(folder: string, file: string): string {
  const path = posix.relative(folder, file)
  return path.startsWith('.') ? path : `./${path}`
}
