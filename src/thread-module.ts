// A loader may add a query to the URL, so only the path distinguishes source from build.
const isSource = new URL(import.meta.url).pathname.endsWith('.ts')

/**
 * The URL of the module that a thread runs: TypeScript in the source tree, JavaScript in the build.
 *
 * @param name the file name without its extension
 * @param base the URL of a module in the same folder
 */
export function threadModule(name: string, base: string): URL {
  return new URL(`./${name}.${isSource ? 'ts' : 'js'}`, base)
}

/** The `execArgv` that a thread needs to load the module. Empty if Node reads TypeScript by itself. */
export const threadLoader: readonly string[] =
  isSource && process.features.typescript === false ? ['--import', import.meta.resolve('tsx')] : []
