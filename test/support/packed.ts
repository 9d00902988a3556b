import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

// A starting process spends a third of its time on the 350 small files of the database libraries. The tests start
// hundreds of processes, so these read each library from one file. The test of the packed package uses the original
// libraries.

const MODULES = fileURLToPath(new URL('../../node_modules', import.meta.url))
const versionOf = (library: string): string =>
  (JSON.parse(readFileSync(join(MODULES, library, 'package.json'), 'utf8')) as { version: string }).version

/** The name identifies the content, so an existing folder need not be built again. */
const FOLDER = join(MODULES, '.cache', `packed-${versionOf('kysely')}-${versionOf('mysql2')}`)
const LIBRARIES = ['kysely', 'mysql2', 'mysql2/promise']
const fileOf = (library: string): string => `${library.replace('/', '-')}.mjs`

/** The file of each library, for `resolve.alias`. */
export const packedAliases = LIBRARIES.map((library) => ({
  find: new RegExp(`^${library}$`),
  replacement: join(FOLDER, fileOf(library)),
}))

const HOOK = join(FOLDER, 'hook.mjs')

/** Options for a Node process to read the libraries from these files too; none if the files do not exist. */
export const packedFlags = (): readonly string[] => (existsSync(HOOK) ? ['--import', pathToFileURL(HOOK).href] : [])

/** Creates the files if they do not exist. */
export async function packLibraries(): Promise<void> {
  if (existsSync(FOLDER)) return
  mkdirSync(join(MODULES, '.cache'), { recursive: true })
  const { build } = await import('esbuild')
  const making = mkdtempSync(`${FOLDER}-`)
  // Readable for all, because some tests start processes of other users.
  chmodSync(making, 0o755)
  const entries = join(making, 'entries')
  mkdirSync(entries)
  for (const library of LIBRARIES) writeFileSync(join(entries, fileOf(library)), entryOf(library))
  await build({
    entryPoints: LIBRARIES.map((library) => join(entries, fileOf(library))),
    outdir: making,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    banner: { js: `import { createRequire } from 'node:module';const require = createRequire(import.meta.url);` },
  })
  const urls = LIBRARIES.map((library) => [library, pathToFileURL(join(FOLDER, fileOf(library))).href])
  writeFileSync(join(making, 'hook.mjs'), hookOf(Object.fromEntries(urls) as Record<string, string>))
  try {
    renameSync(making, FOLDER)
  } catch (error) {
    // Another test run was faster, so only a missing file is an error.
    if (!existsSync(HOOK)) throw error
    rmSync(making, { recursive: true })
  }
}

/** A CommonJS module's names are known only when it runs, so they are written out. */
function entryOf(library: string): string {
  if (library === 'kysely') return `export * from 'kysely'`
  const names = Object.keys(createRequire(import.meta.url)(library) as object)
  return `import all from '${library}'\nexport default all\nexport const { ${names.join(', ')} } = all`
}

function hookOf(urls: Readonly<Record<string, string>>): string {
  return `import { registerHooks } from 'node:module'
const urls = ${JSON.stringify(urls)}
registerHooks({
  resolve: (specifier, context, next) =>
    Object.hasOwn(urls, specifier) ? { url: urls[specifier], format: 'module', shortCircuit: true } : next(specifier, context),
})
`
}
