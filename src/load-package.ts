import { createRequire } from 'node:module'

const load = createRequire(import.meta.url)

/**
 * Loads a dependency of Piko synchronously, when it is first needed. For packages that many processes never need, in places that can't wait
 * for an import.
 *
 * @param name the name of the package
 */
export function loadPackage<Package>(name: string): Package {
  return load(name) as Package
}
