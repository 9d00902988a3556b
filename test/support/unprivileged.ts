import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { cleanEnv, SOURCE_FLAGS } from './source-process.ts'

const SCRIPT = fileURLToPath(new URL('../fixtures/store/unprivileged.ts', import.meta.url))

/** The error that an ordinary user gets, even when this process belongs to root. */
export function asUnprivileged(
  act: 'open' | 'write' | 'start' | 'settings',
  path: string,
): { readonly code: string; readonly message: string } | null {
  const { stdout, stderr } = spawnSync(process.execPath, [...SOURCE_FLAGS, SCRIPT, act, path], {
    env: cleanEnv(),
    encoding: 'utf8',
  })
  const last = stdout.trimEnd().split('\n').at(-1)
  if (!last) throw new Error(stderr)
  return JSON.parse(last) as ReturnType<typeof asUnprivileged>
}
