// A loader may hang a query on the URL; the path tells source from build.
const isSource = new URL(import.meta.url).pathname.endsWith('.ts')

/**
 * The module that a thread runs: TypeScript in the source tree, JavaScript in the build.
 *
 * @param name of the file, without its ending
 * @param base the URL of a module beside it
 */
export function threadModule(name: string, base: string): URL {
  return new URL(`./${name}.${isSource ? 'ts' : 'js'}`, base)
}

/** The options with which a thread can load it: none where Node reads TypeScript by itself. */
export const threadLoader: readonly string[] =
  isSource && process.features.typescript === false ? ['--import', import.meta.resolve('tsx')] : []
