import { execFile } from 'node:child_process'
import { delimiter, sep } from 'node:path'
import { promisify } from 'node:util'
import { nodeTooOld } from '../../node-version.ts'

/** A project needs its own Node package if the Node of the machine is too old. npx and npm scripts then use this package. */
export const OWN_NODE = '^24.0.0'

/**
 * Whether the Node of this machine is too old for Piko, or missing. Ignores the Node package of the current project, which npx and npm
 * scripts put first in `PATH`: another project may not have it.
 */
export async function isMachineNodeTooOld(): Promise<boolean> {
  try {
    const { stdout } = await promisify(execFile)('node', ['--version'], {
      env: { ...process.env, PATH: withoutProjects(process.env['PATH'] ?? '') },
    })
    return nodeTooOld(stdout.trim().replace(/^v/, '')) !== undefined
  } catch {
    return true
  }
}

/** Removes the folders that npx and npm scripts add to `PATH`. Pure. */
export function withoutProjects(path: string): string {
  const own = `${sep}node_modules${sep}.bin`
  return path
    .split(delimiter)
    .filter((folder) => !folder.endsWith(own) && !folder.endsWith(`${sep}node-gyp-bin`))
    .join(delimiter)
}
