import { PikoError } from './errors.ts'

/** The oldest supported Node. A test compares it with `engines` in package.json. */
export const OLDEST_NODE = '22.19.0'

/**
 * Returns the error if Node is too old, otherwise undefined. This file and its imports must run on Node 18.
 *
 * @param version in the form of `process.versions.node`
 */
export function nodeTooOld(version: string): PikoError | undefined {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [oldestMajor = 0, oldestMinor = 0] = OLDEST_NODE.split('.').map(Number)
  if (major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)) return undefined
  return new PikoError(
    'NODE_TOO_OLD',
    `this is Node ${version}; expected ${OLDEST_NODE} or newer; upgrade it, or install Node for this project only: ` +
      'npm install --save-dev node@24 (npx and npm scripts then use it)',
    { details: { found: version, expected: `>=${OLDEST_NODE}` } },
  )
}
