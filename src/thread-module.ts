// A loader may add a query to the URL; the path distinguishes source from build.
const isSource = new URL(import.meta.url).pathname.endsWith('.ts')

/**
 * The module that a thread runs: TypeScript in the source tree, JavaScript in the build.
 *
 * @param name name of the file, without its extension
 * @param base the URL of a module beside it
 */
export function threadModule(name: string, base: string): URL {
  return new URL(`./${name}.${isSource ? 'ts' : 'js'}`, base)
}

/** The options that a thread needs to load the module: none if Node reads TypeScript by itself. */
export const threadLoader: readonly string[] =
  isSource && process.features.typescript === false ? ['--import', import.meta.resolve('tsx')] : []
