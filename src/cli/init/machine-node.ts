import { execFile } from 'node:child_process'
import { delimiter, sep } from 'node:path'
import { promisify } from 'node:util'
import { nodeTooOld } from '../../node-version.ts'

/** The Node package that a project gets on a machine whose own Node is too old. npx and npm scripts then use it. */
export const OWN_NODE = '^24.0.0'

/**
 * Whether the Node of this machine is too old for Piko, or missing. npx and npm scripts put that of a project first in the path, which
 * another project does not have.
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

/** Pure. */
export function withoutProjects(path: string): string {
  const own = `${sep}node_modules${sep}.bin`
  return path
    .split(delimiter)
    .filter((folder) => !folder.endsWith(own) && !folder.endsWith(`${sep}node-gyp-bin`))
    .join(delimiter)
}
