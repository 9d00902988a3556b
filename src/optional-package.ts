import { propertyOf } from './errors-read.ts'
import { PikoError } from './errors.ts'

const MISSING: readonly unknown[] = ['ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND']

/**
 * Loads a package that users install only if they need it.
 *
 * @param name the name of the package
 * @param what the feature that needs it, for the message
 * @param load for example `() => import('@viz-js/viz')`: a literal, so that tools see the import
 * @throws PikoError `PACKAGE_MISSING` that names the package to install
 */
export async function optionalPackage<T>(name: string, what: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (thrown) {
    throw orMissing(name, what, thrown)
  }
}

/**
 * Like {@link optionalPackage}, but for a package that a synchronous function needs.
 *
 * @throws PikoError `PACKAGE_MISSING` that names the package to install
 */
export function optionalPackageNow<T>(name: string, what: string, load: () => T): T {
  try {
    return load()
  } catch (thrown) {
    throw orMissing(name, what, thrown)
  }
}

/** Whether an import failed because this package is not installed. */
export function isMissingPackage(name: string, thrown: unknown): boolean {
  return MISSING.includes(propertyOf(thrown, 'code')) && String(propertyOf(thrown, 'message')).includes(name)
}

function orMissing(name: string, what: string, thrown: unknown): unknown {
  if (!isMissingPackage(name, thrown)) return thrown
  return new PikoError('PACKAGE_MISSING', `${what} needs the package ${name}; install it: npm install ${name}`, {
    cause: thrown,
    details: { package: name },
  })
}
